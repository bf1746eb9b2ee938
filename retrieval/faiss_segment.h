// Vector segments on FAISS.
#pragma once

#include "retrieval/vector_segment.h"

namespace palate::retrieval {

// Makes exact segments (faiss::IndexFlatIP), for the delta and for large segments alike. Lives as
// long as the process.
const VectorSegmentFactory& FaissSegments();

}  // namespace palate::retrieval
