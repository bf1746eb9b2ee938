// Which segments of an index to merge next. Pure functions.
#pragma once

#include <vector>

#include "retrieval/index.h"
#include "retrieval/index_state.h"

namespace palate::retrieval {

// A segment too small to be worth a graph or a merge of its own.
bool IsDelta(const SegmentView& view, const IndexOptions& options);

// Indexes into state.segments, to be merged into one segment in the background; empty when all is
// well. In this order: segments with vectors of a dropped fingerprint; the delta once it has grown
// to a segment's size; four or more segments of like size; a segment with many dead rows.
std::vector<size_t> PickMerge(const IndexState& state, const IndexOptions& options);

}  // namespace palate::retrieval
