// Searches over one state of an index: the implementation behind CatalogIndex. Thread-safe.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "domain/vector.h"
#include "retrieval/index.h"
#include "retrieval/index_state.h"

namespace palate::retrieval {

// OK when searches may use the space: it is active, retiring, declared and without vectors, or of a
// model that the space changes to and that some items have vectors of. NotFound for an undeclared
// space, InvalidField for an empty fingerprint, FailedPrecondition for any other fingerprint than
// the active one.
absl::Status CheckSpace(const IndexState& state, const SpaceKey& space);

// Checks the request and determines which rows may be returned, once for all queries. A wrong query
// fails alone, in Run(). The result shares `state`; it borrows `request` and `clock`, which must
// outlive it.
absl::StatusOr<std::unique_ptr<const PreparedSearch>> PrepareSearch(
    std::shared_ptr<const IndexState> state, const SearchRequest& request, const Clock& clock);

}  // namespace palate::retrieval
