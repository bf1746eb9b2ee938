// Channels and stubs by which servers call each other.
//
// Usage:
//   LazyStub<pb::CatalogService> catalogs(TcpChannel("127.0.0.1:7101"));
//   const absl::Status status =
//       CallUnary(catalogs.async(), &CatalogStub::GetCatalog, request, response, context);
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/base/call_once.h"

namespace palate::services {

// A TCP channel that reconnects within about a second once its server is reachable again. While the
// server is unreachable, calls fail immediately.
std::shared_ptr<grpc::Channel> DialTcp(const std::string& address);

// Returns the channel when it is first needed: in one process it exists only after the server has
// started. Called once per stub.
using ChannelProvider = std::function<std::shared_ptr<grpc::Channel>()>;

ChannelProvider TcpChannel(const std::string& address);

// A stub of the generated class `Service`, created at its first use. Thread-safe.
template <typename Service>
class LazyStub {
 public:
  explicit LazyStub(ChannelProvider provider) : provider_(std::move(provider)) {}

  // The callback interface of the stub.
  auto* async() {
    absl::call_once(once_, [this] { stub_ = Service::NewStub(provider_()); });
    return stub_->async();
  }

 private:
  const ChannelProvider provider_;
  absl::once_flag once_;
  std::unique_ptr<typename Service::Stub> stub_;
};

}  // namespace palate::services
