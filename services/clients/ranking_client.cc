#include "services/clients/ranking_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "services/convert/ranking_convert.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

using RankingAsync = ranking_pb::RankingService::StubInterface::async_interface;

}  // namespace

absl::StatusOr<ranking::RankOutput> RankingClient::Rank(const ranking::RankInput& input,
                                                        const CallContext& context) {
  ranking_pb::RankResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub_.async(), &RankingAsync::Rank, ToProto(input), response, context));

  if (static_cast<size_t>(response.scores_size()) != input.candidates.size()) {
    return absl::InternalError(absl::StrCat(response.scores_size(), " scores for ",
                                            input.candidates.size(), " candidates"));
  }

  ranking::RankOutput output = FromProto(response);
  for (const auto& failure : response.failures()) {
    output.failures.push_back({static_cast<size_t>(failure.index()),
                               absl::Status(static_cast<absl::StatusCode>(failure.status().code()),
                                            failure.status().message())});
  }
  return output;
}

absl::StatusOr<std::vector<ranking::Explanation>> RankingClient::Explain(
    const std::vector<ranking::ExplainInput>& inputs, const OnText& on_text,
    const CallContext& context) {
  const ranking_pb::ExplainRequest request = ToProto(inputs, on_text != nullptr);
  BoundContext bound(context);
  StreamReader<ranking_pb::ExplainResponse> reader;
  reader.Start([&](grpc::ClientReadReactor<ranking_pb::ExplainResponse>* reactor) {
    stub_.async()->Explain(bound.get(), &request, reactor);
  });

  std::vector<ranking::Explanation> explanations(inputs.size());
  size_t done = 0;
  bool stopped = false;
  absl::Status unreadable;
  ranking_pb::ExplainResponse message;
  while (reader.Read(message)) {
    if (message.has_text() && !stopped && on_text != nullptr &&
        !on_text(message.text().input_index(), message.text().piece())) {
      stopped = true;
      bound.get()->TryCancel();
    }

    if (!message.has_done()) continue;
    const size_t index = static_cast<size_t>(message.done().input_index());
    if (index >= explanations.size()) continue;
    absl::StatusOr<ranking::Explanation> explanation = FromProto(message.done().explanation());
    if (explanation.ok()) {
      explanations[index] = *std::move(explanation);
      ++done;
    } else {
      unreadable = absl::InternalError(
          absl::StrCat("an explanation cannot be read: ", explanation.status().message()));
      bound.get()->TryCancel();
    }
  }

  const absl::Status status = reader.Finish();
  if (stopped) return absl::CancelledError("the caller stopped listening");
  PALATE_RETURN_IF_ERROR(unreadable);
  PALATE_RETURN_IF_ERROR(status);
  if (done != inputs.size())
    return absl::InternalError(absl::StrCat(done, " explanations for ", inputs.size(), " inputs"));
  return explanations;
}

}  // namespace palate::services
