// Base class of gRPC services whose RPCs are registered with one line each.
//
// Usage:
//   class CatalogEcho final : public RpcService {
//    public:
//     explicit CatalogEcho(ThreadPool& pool)
//         : RpcService("palate.catalog.v1.CatalogService", pool) {
//       Unary("GetCatalog", this, &CatalogEcho::GetCatalog);
//     }
//
//    private:
//     absl::Status GetCatalog(Call&, const pb::GetCatalogRequest& request,
//                             pb::GetCatalogResponse& response) {
//       response.mutable_catalog()->set_id(request.catalog());
//       return absl::OkStatus();
//     }
//   };
//
// A constructor that registers every RPC of its service ends with CheckComplete(). Handlers pass
// call.context() to everything that they call.
//
// gRPC's callback threads only queue calls: parsing, the handler and serialization run on `pool`.
// When the pool is full, calls fail with RESOURCE_EXHAUSTED immediately. A call that was cancelled,
// or whose deadline passed in the queue, is not started. An exception that escapes a library
// becomes INTERNAL. Text that is not UTF-8 reaches the handler unchanged
// (services/runtime/wire_text.h), so that the check of its field can name it.
//
// Registration happens in the constructor; afterwards the object is immutable and thread-safe.
// Borrows the pools.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <deque>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "google/protobuf/message.h"
#include "services/runtime/call.h"
#include "services/runtime/forward.h"

namespace palate::services {

// Writes the responses of a streaming handler. Used from the handler's thread only.
class MessageWriter {
 public:
  virtual ~MessageWriter() = default;
  // Blocks until the transport has taken the message, so a slow reader slows the handler. Returns
  // false when the call was cancelled.
  virtual bool Write(const google::protobuf::Message& message) = 0;
};

template <typename Response>
class ResponseWriter {
 public:
  explicit ResponseWriter(MessageWriter& writer) : writer_(writer) {}
  bool Write(const Response& response) { return writer_.Write(response); }

 private:
  MessageWriter& writer_;
};

class RpcService : public grpc::Service {
 public:
  // The full name, which is also the name for health requests.
  const std::string& service_name() const { return service_name_; }

  // From now on calls from other processes are UNAVAILABLE. Calls from this process are still
  // accepted, because calls in progress may need them.
  void RefuseNewCalls() { refusing_ = true; }
  // Waits until no call of the registered handlers is in progress. Returns false when `deadline`
  // passed. Calls of Reactor() and BidiReactor() methods do not count.
  bool WaitUntilIdle(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // Used by the calls themselves: every successful Enter needs one Leave.
  absl::Status Enter(const std::string& peer) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);

 protected:
  // `service_name` is the full name, as generated code gives it.
  RpcService(std::string service_name, ThreadPool& pool);

  // Calls without a deadline of methods that are registered after this end `timeout` after their
  // start. Infinite by default.
  void SetDefaultTimeout(absl::Duration timeout) { default_timeout_ = timeout; }

  // `handler` is a member `absl::Status (Call&, const Request&, Response&)`. `pool` replaces the
  // service's pool.
  template <typename Self, typename Request, typename Response>
  void Unary(const std::string& method, Self* self,
             absl::Status (Self::*handler)(Call&, const Request&, Response&),
             ThreadPool* pool = nullptr) {
    AddUnary(method, pool,
             [self, handler](Call& call, const grpc::ByteBuffer& in, grpc::ByteBuffer& out) {
               Request request;
               Response response;
               return RunUnary(in, request, out, response,
                               [&] { return (self->*handler)(call, request, response); });
             });
  }

  // `handler` is a member `absl::Status (Call&, const Request&, ResponseWriter<Response>&)`. The
  // stream holds a thread of the pool until the handler returns, so handlers must end soon.
  template <typename Self, typename Request, typename Response>
  void ServerStream(const std::string& method, Self* self,
                    absl::Status (Self::*handler)(Call&, const Request&, ResponseWriter<Response>&),
                    ThreadPool* pool = nullptr) {
    AddServerStream(
        method, pool, [self, handler](Call& call, const grpc::ByteBuffer& in, MessageWriter& out) {
          Request request;
          ResponseWriter<Response> writer(out);
          return RunStream(in, request, [&] { return (self->*handler)(call, request, writer); });
        });
  }

  // Forwards the method to the method of the same name of `target`, which is borrowed
  // (services/runtime/forward.h). Aborts unless the messages of both methods have the same fields.
  void Forward(const std::string& method, ForwardTarget& target);

  // For long-lived streams: `make` returns a reactor that owns itself. gRPC's threads call it: it
  // must not block.
  using ReactorMaker = std::function<grpc::ServerWriteReactor<grpc::ByteBuffer>*(
      grpc::CallbackServerContext*, const grpc::ByteBuffer*)>;
  void Reactor(const std::string& method, ReactorMaker make);

  // The same for streams in both directions.
  using BidiReactorMaker =
      std::function<grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*(
          grpc::CallbackServerContext*)>;
  void BidiReactor(const std::string& method, BidiReactorMaker make);

  // Aborts unless exactly the methods of the service's descriptor were registered, so that the
  // first test finds a forgotten RPC.
  void CheckComplete() const;

 private:
  using UnaryHandler =
      std::function<absl::Status(Call&, const grpc::ByteBuffer&, grpc::ByteBuffer&)>;
  using StreamHandler = std::function<absl::Status(Call&, const grpc::ByteBuffer&, MessageWriter&)>;

  static absl::Status RunUnary(const grpc::ByteBuffer& in, google::protobuf::Message& request,
                               grpc::ByteBuffer& out, const google::protobuf::Message& response,
                               const std::function<absl::Status()>& handler);
  static absl::Status RunStream(const grpc::ByteBuffer& in, google::protobuf::Message& request,
                                const std::function<absl::Status()>& handler);

  void AddUnary(const std::string& method, ThreadPool* pool, UnaryHandler handler);
  void AddServerStream(const std::string& method, ThreadPool* pool, StreamHandler handler);
  // Returns the method's index.
  int AddMethodNamed(const std::string& method, grpc::internal::RpcMethod::RpcType type);

  const std::string service_name_;
  ThreadPool& pool_;
  absl::Duration default_timeout_ = absl::InfiniteDuration();  // used by the constructor only
  std::deque<std::string> method_names_;                       // gRPC keeps pointers to them

  std::atomic<bool> refusing_ = false;
  Mutex mutex_;
  CondVar left_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The caller's deadline, or `default_timeout` from now when it set none.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context,
                      absl::Duration default_timeout = absl::InfiniteDuration());

// Runs a handler. Libraries report errors as statuses; an exception that they throw nevertheless
// becomes INTERNAL and must not end the process.
absl::Status RunGuarded(const std::function<absl::Status()>& handler);

// Parse and serialize messages, with errors that callers can understand.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message& request);
absl::Status SerializeResponse(const google::protobuf::Message& response, grpc::ByteBuffer& bytes);

}  // namespace palate::services
