// How our servers reach each other.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/base/call_once.h"

namespace palate::services {

// A TCP channel that returns within about a second of its server's return, and fails calls at once
// while the server is away.
std::shared_ptr<grpc::Channel> DialTcp(const std::string& address);

// Gives the channel when it is first needed: in one process it exists only once the server has
// started. Called once for each stub.
using ChannelProvider = std::function<std::shared_ptr<grpc::Channel>()>;

ChannelProvider TcpChannel(const std::string& address);

// A stub of `Service` (generated code) made at its first use. Thread-safe.
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
