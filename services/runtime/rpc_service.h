// What an adapter derives from: a gRPC service whose RPCs cost one line each.
//
//   class RetrievalGrpc : public RpcService {
//    public:
//     explicit RetrievalGrpc(...) : RpcService("palate.retrieval.v1.RetrievalService", pool) {
//       Unary("Search", this, &RetrievalGrpc::Search);
//       CheckComplete();
//     }
//    private:
//     absl::Status Search(Call& call, const pb::SearchRequest& request, pb::SearchResponse&
//     response);
//   };
//
// Handlers pass call.context() on to whatever they call.
//
// gRPC's callback threads only queue: parsing, the handler and serialization run on `pool`, and a
// full pool answers RESOURCE_EXHAUSTED at once. A request whose caller has gone, or whose deadline
// passed in the queue, is not begun. An exception that a library lets out becomes INTERNAL.
// Requests with invalid UTF-8 reach the handler as they are (services/runtime/wire_text.h), which
// names the field.
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
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "google/protobuf/message.h"
#include "services/runtime/call.h"
#include "services/runtime/forward.h"

namespace palate::services {

// Where a streaming handler writes its answer. Used from the handler's thread only.
class MessageWriter {
 public:
  virtual ~MessageWriter() = default;
  // Blocks until the message was handed to the transport: a slow reader slows the handler. False
  // when the caller has gone.
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
  // The full name, by which health is asked for.
  const std::string& service_name() const { return service_name_; }

  // From now on calls from other processes are UNAVAILABLE; those from this process, which calls in
  // progress may need, are still taken.
  void RefuseNewCalls() { refusing_ = true; }
  // Waits until no call of the registered handlers is in progress. False when `deadline` passed.
  // Reactor() methods do not count.
  bool WaitUntilIdle(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // For the calls themselves: a call that was let in has to leave.
  absl::Status Enter(const std::string& peer) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);

 protected:
  // `service_name` is the full name, as generated code gives it.
  RpcService(std::string service_name, ThreadPool& pool);

  // Methods that are registered from now on end `timeout` after their start where the caller set no
  // deadline. Infinite by default.
  void SetDefaultTimeout(absl::Duration timeout) { default_timeout_ = timeout; }

  // `handler` is a member `absl::Status (Call&, const Request&, Response&)`. With `pool`, that pool
  // instead of the service's.
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

  // Passes the method on to the method of the same name of `target`, which is borrowed
  // (services/runtime/forward.h). Aborts unless the messages of both methods have the same fields.
  void Forward(const std::string& method, ForwardTarget& target);

  // For streams that live long: `make` returns a reactor that owns itself. Called from a gRPC
  // thread: it must not block.
  using ReactorMaker = std::function<grpc::ServerWriteReactor<grpc::ByteBuffer>*(
      grpc::CallbackServerContext*, const grpc::ByteBuffer*)>;
  void Reactor(const std::string& method, ReactorMaker make);

  // The same for streams in both directions.
  using BidiReactorMaker =
      std::function<grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*(
          grpc::CallbackServerContext*)>;
  void BidiReactor(const std::string& method, BidiReactorMaker make);

  // Aborts unless exactly the methods of the service's descriptor were registered: a forgotten RPC
  // shows in the first test.
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
  absl::Duration default_timeout_ = absl::InfiniteDuration();  // of the constructor only
  std::deque<std::string> method_names_;                       // gRPC keeps pointers to them

  std::atomic<bool> refusing_ = false;
  Mutex mutex_;
  CondVar left_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The deadline that the caller set; `default_timeout` from now when it set none.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context,
                      absl::Duration default_timeout = absl::InfiniteDuration());

// Runs a handler. Libraries report errors as statuses; what they throw nevertheless is INTERNAL and
// must not end the process.
absl::Status RunGuarded(const std::function<absl::Status()>& handler);

// Parse and serialize, with errors that a caller understands.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message& request);
absl::Status SerializeResponse(const google::protobuf::Message& response, grpc::ByteBuffer& bytes);

}  // namespace palate::services
