#include "retrieval/index_state.h"

#include <algorithm>
#include <utility>

namespace palate::retrieval {

SegmentView MakeSegmentView(std::shared_ptr<const RowSegment> rows,
                            std::shared_ptr<const Bitmap> dead) {
  SegmentView view{.rows = std::move(rows), .dead = std::move(dead), .live = 0, .live_vectors = {}};
  view.live = view.rows->rows() - (view.dead == nullptr ? 0 : view.dead->Count());
  for (const SpacePart& part : view.rows->spaces()) {
    view.live_vectors.push_back(std::count_if(part.row_of_vector.begin(), part.row_of_vector.end(),
                                              [&](uint32_t row) { return view.IsLive(row); }));
  }
  return view;
}

std::optional<RowPlace> FindLiveRow(const IndexState& state, absl::string_view item_id) {
  for (size_t i = state.segments.size(); i-- > 0;) {
    const std::optional<uint32_t> row = state.segments[i].rows->Find(item_id);
    if (row.has_value() && state.segments[i].IsLive(*row))
      return RowPlace{.segment = i, .row = *row};
  }
  return std::nullopt;
}

void StateEditor::Kill(const RowPlace& place) {
  SegmentView& view = state_.segments[place.segment];
  std::shared_ptr<Bitmap>& own = own_dead_[place.segment];
  if (own == nullptr) {
    own = view.dead == nullptr ? std::make_shared<Bitmap>(view.rows->rows())
                               : std::make_shared<Bitmap>(*view.dead);
    view.dead = own;
  }

  own->Set(place.row);
  --view.live;
  for (size_t i = 0; i < view.live_vectors.size(); ++i) {
    if (view.rows->spaces()[i].vector_of_row[place.row] != SpacePart::kNoVector)
      --view.live_vectors[i];
  }
}

void StateEditor::Append(std::shared_ptr<const RowSegment> segment) {
  state_.segments.push_back(MakeSegmentView(std::move(segment), nullptr));
  own_dead_.emplace_back();
}

void StateEditor::Prepend(std::shared_ptr<const RowSegment> segment) {
  state_.segments.insert(state_.segments.begin(), MakeSegmentView(std::move(segment), nullptr));
  own_dead_.emplace(own_dead_.begin());
}

void StateEditor::Remove(size_t segment) {
  state_.segments.erase(state_.segments.begin() + segment);
  own_dead_.erase(own_dead_.begin() + segment);
}

bool StateEditor::Drop(absl::Time now) {
  const size_t before = state_.retiring.size();
  for (auto entry = state_.retiring.begin(); entry != state_.retiring.end();) {
    if (entry->second > now) {
      ++entry;
      continue;
    }
    state_.dropped.insert(entry->first);
    entry = state_.retiring.erase(entry);
  }
  return state_.retiring.size() != before;
}

void StateEditor::AdoptRetired(const std::set<SpaceKey>& retiring,
                               const std::set<SpaceKey>& dropped, absl::Time until) {
  for (const SpaceKey& key : retiring) state_.retiring[key] = until;
  state_.dropped.insert(dropped.begin(), dropped.end());
}

// The active fingerprints of the feature store. For a space without one, the fingerprint of most
// vectors; among equals the one that is active now.
std::map<std::string, std::string> StateEditor::ResolveActive() const {
  std::map<std::string, std::string> active = state_.config->active_fingerprints;

  std::map<std::string, int64_t> most;
  for (const auto& [key, info] : state_.spaces) {
    if (state_.config->active_fingerprints.contains(key.name)) continue;
    const auto present = state_.active.find(key.name);
    const bool is_present = present != state_.active.end() && present->second == key.fingerprint;
    int64_t& best = most[key.name];
    if (info.live_vectors > best || (info.live_vectors == best && is_present)) {
      best = info.live_vectors;
      active[key.name] = key.fingerprint;
    }
  }
  return active;
}

std::shared_ptr<const IndexState> StateEditor::Finish(absl::Time retire_at) {
  std::erase_if(state_.segments, [](const SegmentView& view) { return view.live == 0; });
  own_dead_.clear();

  state_.spaces.clear();
  for (const SegmentView& view : state_.segments) {
    for (size_t i = 0; i < view.live_vectors.size(); ++i) {
      const SpacePart& part = view.rows->spaces()[i];
      if (view.live_vectors[i] == 0 || state_.dropped.contains(part.key)) continue;
      IndexedSpace& info = state_.spaces[part.key];
      info.dimensions = part.vectors->dimensions();
      info.live_vectors += view.live_vectors[i];
    }
  }

  std::map<std::string, std::string> active = ResolveActive();
  for (const auto& [name, fingerprint] : state_.active) {
    const auto now_active = active.find(name);
    if (now_active != active.end() && now_active->second == fingerprint) continue;
    state_.retiring[{name, fingerprint}] = retire_at;
  }

  for (const auto& [name, fingerprint] : active) {
    state_.retiring.erase({name, fingerprint});
    state_.dropped.erase({name, fingerprint});
  }

  state_.active = std::move(active);
  return std::make_shared<const IndexState>(std::move(state_));
}

}  // namespace palate::retrieval
