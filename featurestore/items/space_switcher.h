// The models that fill a catalog's vector spaces, and the change from one model to the next.
// Private to featurestore/.
//
// A space has an active fingerprint, which searches use, and a target one. While they differ every
// item is pending. When nothing is pending any more, a target becomes active if every item that the
// active model has embedded has a vector of the target too; otherwise the space stays, and
// GetActive() says why.
//
// Thread-safe. Borrows `storage`.
#pragma once

#include <map>
#include <string>
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

  // Makes target fingerprints active when nothing is pending and they cover what the active ones
  // do. Called after every write that can complete a change of models. The caller keeps the store
  // open and holds no lifecycle lock.
  absl::Status SwitchIfDone(CatalogState& state)
      ABSL_LOCKS_EXCLUDED(state.spaces_mutex(), state.lifecycle());
  // Completes what the end of the process interrupted: a switch that was due, and the deletion of
  // stale vectors. Called while opening.
  absl::Status FinishInterrupted();

 private:
  // What keeps a space from switching to its target.
  struct Uncovered {
    int64_t covered = 0;   // items that have the vectors of both models
    int64_t missing = 0;   // items of which only the active model has a vector
    std::string first_id;  // one of the latter
  };
  using Coverage =
      std::map<std::string, Uncovered>;  // by the space's name; only spaces that change

  // Makes the targets active that still wait for it and cover their space. False when none does.
  absl::StatusOr<bool> Switch(CatalogState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.spaces_mutex()) ABSL_LOCKS_EXCLUDED(state.lifecycle());
  // Whether an item that kept the spaces from switching still does, so that counting all again
  // would change nothing.
  absl::StatusOr<bool> IsStillUncovered(CatalogState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.spaces_mutex());
  // Compares the vectors of all items. Remembers some items without the target's.
  absl::StatusOr<Coverage> CountCoverage(CatalogState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.spaces_mutex());
  // Adds one item's vectors to `coverage`. True when a target lacks it.
  absl::StatusOr<bool> AddItem(const CatalogState& state, const std::string& item_id,
                               const SpaceRecords& spaces, Coverage& coverage);
  // One sentence about a space that cannot switch.
  absl::StatusOr<std::string> Refusal(const CatalogState& state, const storage::SpaceRecord& space,
                                      const Uncovered& uncovered);
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
