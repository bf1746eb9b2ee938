// Users: profiles, events, impressions, and the purge of all of them. Private to featurestore/; the
// public methods are described in feature_store.h.
//
// Thread-safe. Borrows `storage`.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "domain/element_failure.h"
#include "domain/event.h"
#include "domain/user.h"
#include "featurestore/storage/locks.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class UserStore {
 public:
  explicit UserStore(Storage& storage);

  // As in FeatureStore: WriteEvents, UpsertUsers, GetUser, PurgeUser, WriteImpression,
  // ListImpressions.
  absl::StatusOr<WriteEventsResult> WriteEvents(absl::string_view catalog,
                                                const std::vector<Event>& events,
                                                const WriteEventsOptions& options);
  absl::StatusOr<std::vector<ElementFailure>> Upsert(absl::string_view catalog,
                                                     const std::vector<User>& users);
  absl::StatusOr<User> Get(absl::string_view catalog, absl::string_view user_id);
  absl::StatusOr<PurgeReport> Purge(absl::string_view catalog, absl::string_view user_id)
      ABSL_LOCKS_EXCLUDED(purge_mutex_);
  absl::Status WriteImpression(absl::string_view catalog, const Impression& impression);
  absl::StatusOr<std::vector<Impression>> ListImpressions(absl::string_view catalog,
                                                          absl::string_view user_id, int limit);

  // Completes a purge during which the process died. Called while opening.
  absl::Status FinishInterruptedPurge();

 private:
  // The user's rows and their part in every counter, gone in one batch with the feed entry and the
  // note that files are still to be cleaned. `prefix` is the user's.
  absl::StatusOr<PurgeReport> DeleteRows(CatalogState& state, absl::string_view user_id,
                                         const std::string& prefix)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(purge_mutex_);
  // Writes the profiles and their feed entries.
  absl::Status CommitProfiles(CatalogState& state, const std::vector<const User*>& changed,
                              int64_t new_users);

  Database& database_;
  CatalogRegistry& catalogs_;
  ChangeLog& changes_;
  const StoreOptions& options_;
  LockTable user_locks_{32};  // by the user's prefix
  Mutex purge_mutex_;         // one purge at a time
};

}  // namespace palate::featurestore
