// Converts between RankingService's messages and ranking/ranking_types.h, for the server and its
// clients (see services/convert/types_convert.h).
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "palate/ranking/v1/ranking_service.pb.h"
#include "ranking/ranking_types.h"

namespace palate::services {

namespace ranking_pb = palate::ranking::v1;

// An unset mode is the model's own.
ranking_pb::RankMode ToProto(ranking::RankMode mode);
absl::StatusOr<ranking::RankMode> FromProto(ranking_pb::RankMode mode);

ranking_pb::ItemFacts ToProto(const ranking::ItemFacts& facts);
absl::StatusOr<ranking::ItemFacts> FromProto(const ranking_pb::ItemFacts& facts);
ranking_pb::HistoryEntry ToProto(const ranking::HistoryEntry& entry);
absl::StatusOr<ranking::HistoryEntry> FromProto(const ranking_pb::HistoryEntry& entry);
ranking_pb::RankContent ToProto(const ranking::RankContent& content);
absl::StatusOr<ranking::RankContent> FromProto(const ranking_pb::RankContent& content);

ranking_pb::RankRequest ToProto(const ranking::RankInput& input);
absl::StatusOr<ranking::RankInput> FromProto(const ranking_pb::RankRequest& request);

// Without the failures, which services/runtime/status_convert.h converts.
ranking_pb::RankResponse ToProto(const ranking::RankOutput& output);
ranking::RankOutput FromProto(const ranking_pb::RankResponse& response);

// Without the model, which belongs to the request.
ranking_pb::ExplainInput ToProto(const ranking::ExplainInput& input);
absl::StatusOr<ranking::ExplainInput> FromProto(const ranking_pb::ExplainInput& input);

// REQUIRES: all inputs name the same model.
ranking_pb::ExplainRequest ToProto(const std::vector<ranking::ExplainInput>& inputs,
                                   bool stream_text);
absl::StatusOr<std::vector<ranking::ExplainInput>> FromProto(
    const ranking_pb::ExplainRequest& request);

}  // namespace palate::services
