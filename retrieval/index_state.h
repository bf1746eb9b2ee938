// One consistent state of a catalog's index, and the editor that makes the next one from it.
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

// A segment with the rows of it that were replaced or deleted since it was built.
struct SegmentView {
  std::shared_ptr<const RowSegment> rows;
  std::shared_ptr<const Bitmap> dead;  // null: none
  int64_t live = 0;
  std::vector<int64_t> live_vectors;  // beside rows->spaces()

  bool IsLive(size_t row) const { return dead == nullptr || !dead->Test(row); }
};

// A view of the whole segment, without the rows of `dead` (which may be null).
SegmentView MakeSegmentView(std::shared_ptr<const RowSegment> rows,
                            std::shared_ptr<const Bitmap> dead);

struct IndexedSpace {
  int dimensions = 0;
  int64_t live_vectors = 0;  // above 0
};

// Immutable once published; thread-safe. An item has one live row at most.
struct IndexState {
  std::shared_ptr<const CatalogConfig> config;
  std::vector<SegmentView> segments;  // large ones first, the delta last, newest at the end
  std::map<SpaceKey, IndexedSpace> spaces;
  std::map<std::string, std::string>
      active;  // fingerprint by space name; absent where nothing is embedded
  std::map<SpaceKey, absl::Time> retiring;  // formerly active, searched until then
  std::set<SpaceKey> dropped;  // retired: vectors are refused, and left out of the next merge
};

struct RowPlace {
  size_t segment = 0;
  uint32_t row = 0;
};

// The item's live row.
std::optional<RowPlace> FindLiveRow(const IndexState& state, absl::string_view item_id);

// Not thread-safe. Borrows nothing from the base state.
class StateEditor {
 public:
  explicit StateEditor(const IndexState& base) : state_(base), own_dead_(base.segments.size()) {}

  const IndexState& state() const { return state_; }
  std::optional<RowPlace> Find(absl::string_view item_id) const {
    return FindLiveRow(state_, item_id);
  }
  void Kill(const RowPlace& place);
  void Append(std::shared_ptr<const RowSegment> segment);
  void Prepend(std::shared_ptr<const RowSegment> segment);
  void Remove(size_t segment);
  void SetConfig(std::shared_ptr<const CatalogConfig> config) { state_.config = std::move(config); }
  // Retires the spaces whose time has come; false when there are none.
  bool Drop(absl::Time now);
  void AdoptRetired(const std::set<SpaceKey>& retiring, const std::set<SpaceKey>& dropped,
                    absl::Time until);

  // Drops empty segments, counts vectors, settles the active fingerprints. What ceases to be active
  // retires until `retire_at`.
  std::shared_ptr<const IndexState> Finish(absl::Time retire_at);

 private:
  std::map<std::string, std::string> ResolveActive() const;

  IndexState state_;
  std::vector<std::shared_ptr<Bitmap>>
      own_dead_;  // beside state_.segments: copies made by this editor
};

}  // namespace palate::retrieval
