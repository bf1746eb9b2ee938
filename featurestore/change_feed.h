// The change feed's reading side: tokens, waiting, trimming. Private to featurestore/; the public
// methods are described in feature_store.h. Writing is storage/change_log.h.
//
// Thread-safe. Borrows `storage`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class ChangeFeed {
 public:
  explicit ChangeFeed(Storage& storage);

  // As in FeatureStore: GetFeedToken, ReadChanges, TrimFeed.
  absl::StatusOr<std::string> GetToken(absl::string_view catalog);
  absl::StatusOr<ChangeBatch> Read(absl::string_view catalog, absl::string_view token,
                                   int max_changes, absl::Time deadline);
  absl::Status Trim();

 private:
  // Appends the changes after `position`, up to `max_changes` changes in all, and moves `position`
  // to the last entry read, or to the feed's end. OUT_OF_RANGE when entries were trimmed meanwhile.
  absl::Status ReadNow(const CatalogState& state, size_t max_changes, int64_t& position,
                       std::vector<Change>& changes);

  std::string EncodeToken(uint32_t catalog, int64_t position) const;

  Database& database_;
  CatalogRegistry& catalogs_;
  ChangeLog& changes_;
};

}  // namespace palate::featurestore
