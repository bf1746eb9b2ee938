// Checks of requests before any work: a wrong request fails as a whole, naming the field, its value
// and the limit.
#pragma once

#include "absl/status/status.h"
#include "pipeline/request.h"

namespace palate::pipeline {

absl::Status Validate(const RecommendQuery& query);
absl::Status Validate(const SearchQuery& query);
absl::Status Validate(const SimilarQuery& query);
absl::Status Validate(const RankQuery& query);

}  // namespace palate::pipeline
