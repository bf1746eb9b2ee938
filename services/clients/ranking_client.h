// Implements pipeline::CandidateRanker over RankingService. Thread-safe; calls block, at most until
// their deadline.
//
// Usage:
//   RankingClient ranker(TcpChannel(address));
//   ranking::RankInput input;
//   input.candidates.resize(1);
//   input.candidates[0].item_id = "lamp";
//   input.candidates[0].title = "Red lamp";
//   PALATE_ASSIGN_OR_RETURN(const ranking::RankOutput output, ranker.Rank(input, context));
#pragma once

#include "palate/ranking/v1/ranking_service.grpc.pb.h"
#include "pipeline/interfaces.h"
#include "services/runtime/channel.h"

namespace palate::services {

class RankingClient final : public pipeline::CandidateRanker {
 public:
  explicit RankingClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::StatusOr<ranking::RankOutput> Rank(const ranking::RankInput& input,
                                           const CallContext& context) override;
  absl::StatusOr<std::vector<ranking::Explanation>> Explain(
      const std::vector<ranking::ExplainInput>& inputs, const OnText& on_text,
      const CallContext& context) override;

 private:
  LazyStub<palate::ranking::v1::RankingService> stub_;
};

}  // namespace palate::services
