#include "retrieval/merge_policy.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace palate::retrieval {
namespace {

constexpr size_t kMaxDeltaSegments = 16;
constexpr size_t kSegmentsPerTier = 4;  // segments whose sizes lie within a factor of four
constexpr double kMaxDeadShare = 0.3;

std::vector<size_t> PickDelta(const IndexState& state, const IndexOptions& options) {
  std::vector<size_t> delta;
  int64_t live = 0;
  for (size_t i = 0; i < state.segments.size(); ++i) {
    if (!IsDelta(state.segments[i], options)) continue;
    delta.push_back(i);
    live += state.segments[i].live;
  }

  if (delta.size() >= 2 && (live >= options.delta_rows || delta.size() > kMaxDeltaSegments))
    return delta;
  return {};
}

std::vector<size_t> PickTier(const IndexState& state, const IndexOptions& options) {
  std::map<int, std::vector<size_t>> tiers;
  for (size_t i = 0; i < state.segments.size(); ++i) {
    const SegmentView& view = state.segments[i];
    if (IsDelta(view, options)) continue;
    const double size = std::max<double>(
        1.0, static_cast<double>(view.live) / static_cast<double>(options.delta_rows));
    tiers[static_cast<int>(std::log2(size) / 2)].push_back(i);
  }

  for (auto& [tier, members] : tiers) {
    if (members.size() < kSegmentsPerTier) continue;
    std::sort(members.begin(), members.end(),
              [&](size_t a, size_t b) { return state.segments[a].live < state.segments[b].live; });
    std::vector<size_t> picked;
    int64_t rows = 0;
    for (size_t member : members) {
      rows += state.segments[member].live;
      if (rows > options.max_segment_rows) break;
      picked.push_back(member);
    }
    if (picked.size() >= 2) return picked;
  }
  return {};
}

}  // namespace

bool IsDelta(const SegmentView& view, const IndexOptions& options) {
  return static_cast<int64_t>(view.rows->rows()) < options.delta_rows;
}

std::vector<size_t> PickMerge(const IndexState& state, const IndexOptions& options) {
  for (size_t i = 0; i < state.segments.size(); ++i) {
    const auto& spaces = state.segments[i].rows->spaces();
    if (std::any_of(spaces.begin(), spaces.end(),
                    [&](const SpacePart& part) { return state.dropped.contains(part.key); }))
      return {i};
  }

  std::vector<size_t> picked = PickDelta(state, options);
  if (picked.empty()) picked = PickTier(state, options);
  if (!picked.empty()) return picked;

  for (size_t i = 0; i < state.segments.size(); ++i) {
    const SegmentView& view = state.segments[i];
    const double rows = static_cast<double>(view.rows->rows());
    if (!IsDelta(view, options) && rows - static_cast<double>(view.live) > kMaxDeadShare * rows)
      return {i};
  }
  return {};
}

}  // namespace palate::retrieval
