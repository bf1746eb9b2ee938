// Decides which segments of an index to merge next. Pure functions, thread-safe.
//
// Usage:
//   for (size_t i : PickMerge(state, options)) inputs.push_back(state.segments[i]);
#pragma once

#include <vector>

#include "retrieval/index.h"
#include "retrieval/index_state.h"

namespace palate::retrieval {

// Whether the segment belongs to the delta: it has fewer than options.delta_rows rows.
bool IsDelta(const SegmentView& view, const IndexOptions& options);

// Indexes into state.segments, to be merged into one segment in the background; empty when there is
// nothing to merge. The first of these that applies: a segment with vectors of a dropped
// fingerprint; the delta, when it has options.delta_rows live rows or more than 16 segments; the
// smallest of four or more segments whose sizes are within a factor of four; a large segment with
// more than 30 % dead rows.
std::vector<size_t> PickMerge(const IndexState& state, const IndexOptions& options);

}  // namespace palate::retrieval
