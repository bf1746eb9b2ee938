// Passes unary calls on from one service to another: the bytes of request and response travel as
// they came, neither parsed nor copied.
//
//   class CatalogProxy final : public RpcService {
//    public:
//     CatalogProxy(ChannelProvider store, ThreadPool& pool)
//         : RpcService("palate.catalog.v1.CatalogService", pool), store_(std::move(store),
//         "palate.catalog.v1.CatalogService") {
//       Forward("GetCatalog", store_);
//       CheckComplete();
//     }
//    private:
//     ForwardTarget store_;
//   };
//
// The target's method has the same name, and its messages have the same fields; RpcService::Forward
// checks this at start-up. Text that is not UTF-8 is the target's to find.
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

// A service that calls are passed on to. Thread-safe.
class ForwardTarget {
 public:
  // `service_name` is the full name, as generated code gives it.
  ForwardTarget(ChannelProvider channel, std::string service_name);

  const std::string& service_name() const { return service_name_; }

  // Calls `method` and blocks until the response is there or `context` ends. Errors are the
  // target's, with their field violations.
  absl::Status Call(const std::string& method, const grpc::ByteBuffer& request,
                    grpc::ByteBuffer& response, const CallContext& context);

 private:
  grpc::GenericStub& stub();

  const ChannelProvider channel_;
  const std::string service_name_;
  absl::once_flag once_;
  std::unique_ptr<grpc::GenericStub> stub_;
};

// Whether bytes of one message type may be read as the other: both have the same fields by number,
// name, type and cardinality. Messages and enums inside must be of the same type.
// FailedPrecondition names the first difference.
absl::Status CheckSameFields(const google::protobuf::Descriptor& one,
                             const google::protobuf::Descriptor& other);

}  // namespace palate::services
