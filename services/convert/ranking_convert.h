// Between RankingService's messages and ranking/ranking_types.h, for the server and its clients.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "palate/ranking/v1/ranking_service.pb.h"
#include "ranking/ranking_types.h"

namespace palate::services {

palate::ranking::v1::RankRequest ToProto(const ranking::RankInput& input);
// Errors carry paths in the request.
absl::StatusOr<ranking::RankInput> FromProto(const palate::ranking::v1::RankRequest& request);

palate::ranking::v1::RankMode ToProto(ranking::RankMode mode);

// Without failures, which are statuses: they are converted where gRPC is known (services/runtime/status_convert.h).
palate::ranking::v1::RankResponse ToProto(const ranking::RankOutput& output);
ranking::RankOutput FromProto(const palate::ranking::v1::RankResponse& response);

// The inputs share the model of the first.
palate::ranking::v1::ExplainRequest ToProto(const std::vector<ranking::ExplainInput>& inputs, bool stream_text);
absl::StatusOr<std::vector<ranking::ExplainInput>> FromProto(const palate::ranking::v1::ExplainRequest& request);

}  // namespace palate::services
