#include "services/ranking/ranking_grpc.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "services/convert/ranking_convert.h"
#include "services/convert/types_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::ranking::v1;

}  // namespace

RankingGrpc::RankingGrpc(const ranking::Ranker& ranker, ThreadPool& pool)
    : RpcService("palate.ranking.v1.RankingService", pool), ranker_(ranker) {
  Unary("Rank", this, &RankingGrpc::Rank);
  ServerStream("Explain", this, &RankingGrpc::Explain);
  Unary("GetModelInfo", this, &RankingGrpc::GetModelInfo);
  CheckComplete();
}

absl::Status RankingGrpc::Rank(Call& call, const pb::RankRequest& request,
                               pb::RankResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const ranking::RankInput input, FromProto(request));
  PALATE_ASSIGN_OR_RETURN(const ranking::RankOutput output, ranker_.Rank(input, call.context()));

  response = ToProto(output);
  AddFailures(input.documents.empty() ? "candidates" : "documents", output.failures, {},
              *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status RankingGrpc::Explain(Call& call, const pb::ExplainRequest& request,
                                  ResponseWriter<pb::ExplainResponse>& writer) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<ranking::ExplainInput> inputs, FromProto(request));

  ranking::OnTextFn on_text;
  if (request.stream_text()) {
    on_text = [&writer](size_t index, const std::string& piece) {
      pb::ExplainResponse message;
      message.mutable_text()->set_input_index(static_cast<int>(index));
      message.mutable_text()->set_piece(piece);
      return writer.Write(message);
    };
  }

  PALATE_ASSIGN_OR_RETURN(const std::vector<ranking::Explanation> explanations,
                          ranker_.Explain(inputs, on_text, call.context()));

  for (size_t i = 0; i < explanations.size(); ++i) {
    pb::ExplainResponse message;
    message.mutable_done()->set_input_index(static_cast<int>(i));
    *message.mutable_done()->mutable_explanation() = ToProto(explanations[i]);
    if (!writer.Write(message)) return absl::CancelledError("the caller stopped listening");
  }
  return absl::OkStatus();
}

absl::Status RankingGrpc::GetModelInfo(Call&, const pb::GetModelInfoRequest& request,
                                       pb::GetModelInfoResponse& response) {
  for (const ranking::RankerModelInfo& model : ranker_.models()) {
    if (!request.model().empty() && request.model() != model.name) continue;
    pb::ModelInfo* out = response.add_models();
    out->set_name(model.name);
    out->set_is_default(model.is_default);
    out->set_fingerprint(model.fingerprint);
    out->set_max_prompt_tokens(model.max_prompt_tokens);
    out->set_mode(ToProto(model.mode));
    out->set_reads_images(model.reads_images);
  }

  if (response.models().empty() && !request.model().empty()) {
    return absl::NotFoundError(
        absl::StrCat("model: unknown language model ", QuoteForMessage(request.model())));
  }
  return absl::OkStatus();
}

}  // namespace palate::services
