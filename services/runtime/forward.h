// Forwards unary calls from one service to another. The bytes of request and response are neither
// parsed nor copied.
//
// Usage:
//   class CatalogRelay final : public RpcService {
//    public:
//     CatalogRelay(ChannelProvider store, ThreadPool& pool)
//         : RpcService("palate.catalog.v1.CatalogService", pool),
//           store_(std::move(store), "palate.catalog.v1.CatalogService") {
//       Forward("GetCatalog", store_);
//     }
//
//    private:
//     ForwardTarget store_;
//   };
//
// The target's method has the same name, and its messages have the same fields; RpcService::Forward
// checks this at startup. The target checks that text is UTF-8.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/base/call_once.h"
#include "absl/status/status.h"
#include "base/call_context.h"
#include "google/protobuf/descriptor.h"
#include "services/runtime/channel.h"

namespace palate::services {

// The service that calls are forwarded to. Thread-safe.
class ForwardTarget {
 public:
  // `service_name` is the full name, as generated code gives it.
  ForwardTarget(ChannelProvider channel, std::string service_name);

  const std::string& service_name() const { return service_name_; }

  // Calls `method` and blocks until it has finished or `context` ends. Returns the target's errors,
  // including their field violations.
  absl::Status Call(const std::string& method, const grpc::ByteBuffer& request,
                    grpc::ByteBuffer& response, const CallContext& context);

 private:
  grpc::GenericStub& stub();

  const ChannelProvider channel_;
  const std::string service_name_;
  absl::once_flag once_;
  std::unique_ptr<grpc::GenericStub> stub_;
};

// Whether the bytes of one message type can be read as the other: both have the same fields by
// number, name, type and cardinality. Messages and enums inside must be of the same type.
// FailedPrecondition names the first difference.
absl::Status CheckSameFields(const google::protobuf::Descriptor& one,
                             const google::protobuf::Descriptor& other);

}  // namespace palate::services
