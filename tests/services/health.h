// Health checks of a server by gRPC's health protocol, as an operator sends them.
//
// The packages have no generated code for the health service; its messages are small enough to
// write by hand.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/runtime/client_call.h"

namespace palate::services {

// Whether the health of `service` is SERVING; "" is the server.
inline bool Serves(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  const std::string request =
      service.empty()
          ? ""
          : absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  grpc::Slice slice(request);
  grpc::ByteBuffer in(&slice, 1);
  grpc::ByteBuffer out;

  BoundContext context({.deadline = absl::Now() + absl::Seconds(60)});
  StatusWaiter waiter;
  grpc::GenericStub(channel).UnaryCall(context.get(), "/grpc.health.v1.Health/Check",
                                       grpc::StubOptions(), &in, &out,
                                       [&](grpc::Status status) { waiter.Set(status); });
  const absl::Status status = waiter.Wait();
  EXPECT_TRUE(status.ok()) << service << ": " << status;

  grpc::Slice whole;
  return status.ok() && out.DumpToSingleSlice(&whole).ok() &&
         std::string(whole.begin(), whole.end()) == "\x08\x01";
}

}  // namespace palate::services
