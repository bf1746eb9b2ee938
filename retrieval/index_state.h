// One consistent state of a catalog's index, and the editor that derives the next state from it.
//
// Usage:
//   StateEditor editor(*state);
//   const std::optional<RowPlace> place = editor.Find("mug");
//   if (place.has_value()) editor.Kill(*place);
//   const std::shared_ptr<const IndexState> next = editor.Finish(/*retire_at=*/clock.Now());
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/vector.h"
#include "retrieval/bitmap.h"
#include "retrieval/index.h"
#include "retrieval/row_segment.h"

namespace palate::retrieval {

// A segment, and which of its rows were replaced or deleted since it was built (dead rows).
struct SegmentView {
  std::shared_ptr<const RowSegment> rows;
  std::shared_ptr<const Bitmap> dead;  // null: none
  int64_t live = 0;
  std::vector<int64_t> live_vectors;  // for each of rows->spaces()

  bool IsLive(size_t row) const { return dead == nullptr || !dead->Test(row); }
};

// A view of all rows of the segment but those of `dead`, which may be null.
SegmentView MakeSegmentView(std::shared_ptr<const RowSegment> rows,
                            std::shared_ptr<const Bitmap> dead);

struct IndexedSpace {
  int dimensions = 0;
  int64_t live_vectors = 0;  // above 0
};

// Immutable once published, and so thread-safe. An item has at most one live row.
struct IndexState {
  std::shared_ptr<const CatalogConfig> config;
  std::vector<SegmentView> segments;  // merged ones first, then those of Apply(), newest last
  std::map<SpaceKey, IndexedSpace> spaces;
  std::map<std::string, std::string>
      active;  // fingerprint by space name; absent while a space has no vectors
  std::map<SpaceKey, absl::Time> retiring;  // formerly active; can be searched until that time
  std::set<SpaceKey> dropped;  // retired: Apply() ignores their vectors, and merges drop them
  bool listing_due = false;    // as CatalogIndex::listing_due
};

struct RowPlace {
  size_t segment = 0;
  uint32_t row = 0;
};

// The item's live row.
std::optional<RowPlace> FindLiveRow(const IndexState& state, absl::string_view item_id);

// Edits a copy of a state. Not thread-safe. Does not borrow the base state.
class StateEditor {
 public:
  explicit StateEditor(const IndexState& base) : state_(base), own_dead_(base.segments.size()) {}

  const IndexState& state() const { return state_; }
  std::optional<RowPlace> Find(absl::string_view item_id) const {
    return FindLiveRow(state_, item_id);
  }
  // Marks the row as dead. REQUIRES: it is live.
  void Kill(const RowPlace& place);
  void Append(std::shared_ptr<const RowSegment> segment);
  void Prepend(std::shared_ptr<const RowSegment> segment);
  void Remove(size_t segment);
  void SetConfig(std::shared_ptr<const CatalogConfig> config) { state_.config = std::move(config); }
  void SetListingDue(bool due) { state_.listing_due = due; }
  // Moves the spaces whose time has come from `retiring` to `dropped`; false when there are none.
  bool Drop(absl::Time now);
  // Adds the spaces of a snapshot; those of `retiring` can be searched until `until`.
  void AdoptRetired(const std::set<SpaceKey>& retiring, const std::set<SpaceKey>& dropped,
                    absl::Time until);

  // Drops empty segments, counts vectors, and decides the active fingerprints. Fingerprints that
  // are no longer active can be searched until `retire_at`. The last call on this object.
  std::shared_ptr<const IndexState> Finish(absl::Time retire_at);

 private:
  std::map<std::string, std::string> ResolveActive() const;

  IndexState state_;
  // For each of state_.segments: the editor's copy of the dead rows; null before the first Kill().
  std::vector<std::shared_ptr<Bitmap>> own_dead_;
};

}  // namespace palate::retrieval
