// pipeline::CandidateRanker over RankingService. Thread-safe; calls block the calling thread until
// their deadline at most.
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
