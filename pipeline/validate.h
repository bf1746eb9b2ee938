// Checks requests against domain/limits.h before any work is done. The error is InvalidArgument
// (InvalidField) and names the field, its value and the limit. Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "pipeline/request.h"

namespace palate::pipeline {

// Session events further ahead of the clock than this are refused: one in 2099 would be the newest
// event of every list for ever.
inline constexpr absl::Duration kMaxSessionEventLead = absl::Hours(24);

absl::Status Validate(const RecommendQuery& query, absl::Time now = absl::Now());
absl::Status Validate(const SearchQuery& query);
absl::Status Validate(const SimilarQuery& query);
absl::Status Validate(const RankQuery& query, absl::Time now = absl::Now());

}  // namespace palate::pipeline
