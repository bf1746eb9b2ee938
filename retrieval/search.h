// Searches over one state of an index. Used by CatalogIndex.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "domain/vector.h"
#include "retrieval/index.h"
#include "retrieval/index_state.h"

namespace palate::retrieval {

// OK when searches may use the space: it is active, retiring, or declared and still without
// vectors. An empty fingerprint is none of these.
absl::Status CheckSpace(const IndexState& state, const SpaceKey& space);

// Checks the request and finds out which rows may be returned, once for all queries: a wrong query
// fails alone, in Run(). `request` and `clock` are borrowed by the result, `state` is kept by it.
absl::StatusOr<std::unique_ptr<const PreparedSearch>> PrepareSearch(
    std::shared_ptr<const IndexState> state, const SearchRequest& request, const Clock& clock);

}  // namespace palate::retrieval
