// Reads the rows of one user that a user context carries, from one snapshot. Private to
// featurestore/.
//
// Used by one thread. Borrows everything that the constructor gets.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/rating.h"
#include "domain/user_context.h"
#include "featurestore/storage/catalog_state.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

class UserHistoryReader {
 public:
  // What was known at query.request_time; infinite: everything, also events ahead of the clock.
  UserHistoryReader(const Database& database, CatalogState& state, const UserContextQuery& query,
                    const rocksdb::ReadOptions& read);

  // Fills in the profile, the seen items, and the events with their weights, but not the events'
  // items.
  absl::Status Read(UserContext& context);
  // Whether the user has any event, at whatever time.
  bool has_events() const { return has_events_; }

 private:
  // Events up to the request's time, newest first: time, the key after the time, value.
  using EventVisitor = std::function<absl::StatusOr<bool>(int64_t time_us, absl::string_view key,
                                                          absl::string_view value)>;
  absl::Status ScanEvents(const EventVisitor& visit) const;

  absl::Status ReadProfile(UserContext& context) const;
  absl::Status ReadAggregate();
  absl::Status ReadEarlierRatings();
  absl::Status ReadSeen(UserContext& context) const;
  // From the events up to the request's time, by the event types as they are declared now.
  absl::Status ReadEarlierSeen(UserContext& context) const;
  absl::Status ReadEvents(UserContext& context);
  void WeighEvents(UserContext& context);

  const Database& database_;
  const ItemNumbers& item_numbers_;
  const std::shared_ptr<const Catalog> catalog_;
  const std::string prefix_;
  const UserContextQuery& query_;
  const absl::Time request_time_;
  const rocksdb::ReadOptions read_;
  bool has_events_ = false;
  bool has_later_events_ = false;  // than the request's time
  RatingStats ratings_;            // of the user, up to the request's time
};

}  // namespace palate::featurestore
