// Checks requests against domain/limits.h before any work is done. The error is InvalidArgument
// (InvalidField) and names the field, its value and the limit. Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "pipeline/request.h"

namespace palate::pipeline {

absl::Status Validate(const RecommendQuery& query);
absl::Status Validate(const SearchQuery& query);
absl::Status Validate(const SimilarQuery& query);
absl::Status Validate(const RankQuery& query);

}  // namespace palate::pipeline
