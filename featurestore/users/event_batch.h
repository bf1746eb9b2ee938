// The events of one call: their checks, and the rows and counts that follow from the new ones.
// Private to featurestore/.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "domain/catalog.h"
#include "domain/element_failure.h"
#include "domain/event.h"
#include "domain/item_number_set.h"
#include "featurestore/options.h"
#include "featurestore/storage/catalog_state.h"
#include "featurestore/storage/database.h"
#include "featurestore/validate.h"

namespace palate::featurestore {

// One valid event with its rows' keys.
struct EventRows {
  Event event;
  std::string user_prefix;
  std::string idempotence_key;
  int64_t time_us = 0;
};

struct PreparedEvents {
  std::vector<EventRows> rows;
  std::vector<ElementFailure> failures;
};
// `number` is the catalog's. Events without an id get one that is derived from their content.
PreparedEvents PrepareEvents(const std::vector<Event>& events, const Catalog& catalog,
                             uint32_t number, const EventTimeBounds& bounds,
                             const StoreLimits& limits);

// Adds events, each once, with the users' aggregates, the seen sets and the popularity counters, in
// one batch. Not thread-safe; the users' locks are held from Load() to Commit(). Borrows
// everything.
class EventBatch {
 public:
  EventBatch(Database& database, CatalogState& state, const Catalog& catalog)
      : database_(database), state_(state), catalog_(catalog) {}

  // Reads which events are known and what is stored of the users, and numbers the items.
  absl::Status Load(const std::vector<EventRows>& rows);
  // False for an event that is already known, from before or from this batch.
  bool Add(const EventRows& row);
  // Writes everything, and updates what is kept in memory.
  absl::Status Commit();

 private:
  struct UserChange {
    storage::UserAggregateRecord aggregate;
    ItemNumberSet seen;  // by the events of this batch
    bool is_new = false;
    bool changed = false;
  };

  absl::Status LoadUsers();
  absl::Status NumberItems(const std::vector<EventRows>& rows);
  // Adds the users' aggregates and seen items to the batch. Returns how many users are new.
  int64_t WriteUsers();
  void WriteCounters(int64_t new_users);

  Database& database_;
  CatalogState& state_;
  const Catalog& catalog_;
  std::set<std::string> known_;              // idempotence keys
  std::map<std::string, UserChange> users_;  // by prefix
  std::map<std::string, uint32_t> numbers_;  // by item id
  std::vector<PopularityDelta> popularity_;
  rocksdb::WriteBatch batch_;
  int64_t newest_us_ = -1;
  int64_t num_events_ = 0;
};

}  // namespace palate::featurestore
