// The models that fill a catalog's vector spaces, and the change from one model to the next.
// Private to featurestore/.
//
// A space has an active fingerprint, which searches use, and a target one. While they differ every
// item is pending; when nothing is pending any more the targets become active.
//
// Thread-safe. Borrows `storage`.
#pragma once

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "domain/vector.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class SpaceSwitcher {
 public:
  explicit SpaceSwitcher(Storage& storage);

  // As FeatureStore::SetTargetSpaces and GetActiveSpaces.
  absl::Status SetTargets(absl::string_view catalog, const std::vector<SpaceKey>& targets);
  absl::StatusOr<std::vector<ActiveSpace>> GetActive(absl::string_view catalog);

  // Makes target fingerprints active when nothing is pending. The caller keeps the store open and
  // holds no lifecycle lock.
  absl::Status SwitchIfDone(CatalogState& state)
      ABSL_LOCKS_EXCLUDED(state.spaces_mutex(), state.lifecycle());
  // Deletes the stale vectors that an interrupted switch left. Called while opening.
  absl::Status FinishInterrupted();

 private:
  // Makes the targets active, where they still wait for it. False when they do not.
  absl::StatusOr<bool> Switch(CatalogState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.spaces_mutex()) ABSL_LOCKS_EXCLUDED(state.lifecycle());
  // False when nothing changed.
  absl::StatusOr<bool> StoreTargets(CatalogState& state, const std::vector<SpaceKey>& targets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.spaces_mutex()) ABSL_LOCKS_EXCLUDED(state.lifecycle());
  // Puts every embeddable item into the backlog.
  absl::Status MakeAllPending(CatalogState& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.lifecycle());
  // Removes vectors of fingerprints that are neither active nor target.
  absl::Status DeleteStaleVectors(CatalogState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.spaces_mutex());

  Database& database_;
  CatalogRegistry& catalogs_;
  ChangeLog& changes_;
  const StoreOptions& options_;
};

}  // namespace palate::featurestore
