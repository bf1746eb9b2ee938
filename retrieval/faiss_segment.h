// Vector segments with FAISS.
//
// Usage:
//   CatalogIndex index(config, IndexOptions{}, FaissSegments(), clock);
#pragma once

#include "retrieval/vector_segment.h"

namespace palate::retrieval {

// Makes exact segments (faiss::IndexFlatIP), for the delta as well as for large segments.
// Thread-safe. The factory is never destroyed before the process ends.
const VectorSegmentFactory& FaissSegments();

}  // namespace palate::retrieval
