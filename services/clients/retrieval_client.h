// Implements pipeline::Retriever over RetrievalService. Thread-safe; calls block, at most until
// their deadline.
//
// Usage:
//   RetrievalClient retriever(TcpChannel(address));
//   pipeline::RetrievalRequest request;
//   request.catalog = "shop";
//   request.queries = {{.vector = vector, .k = 10}};
//   PALATE_ASSIGN_OR_RETURN(const std::vector<pipeline::RetrievalResult> results,
//                           retriever.Search(request, context));
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
