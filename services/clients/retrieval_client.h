// pipeline::Retriever over RetrievalService. Thread-safe; calls block the calling thread until
// their deadline at most.
#pragma once

#include "palate/retrieval/v1/retrieval_service.grpc.pb.h"
#include "pipeline/interfaces.h"
#include "services/runtime/channel.h"

namespace palate::services {

class RetrievalClient final : public pipeline::Retriever {
 public:
  explicit RetrievalClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::StatusOr<std::vector<pipeline::RetrievalResult>> Search(
      const pipeline::RetrievalRequest& request, const CallContext& context) override;

 private:
  LazyStub<palate::retrieval::v1::RetrievalService> stub_;
};

}  // namespace palate::services
