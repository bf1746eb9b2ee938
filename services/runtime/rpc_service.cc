#include "services/runtime/rpc_service.h"

#include <grpcpp/impl/codegen/server_callback_handlers.h>

#include <cstdlib>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "services/runtime/status_convert.h"
#include "services/runtime/wire_text.h"

namespace palate::services {
namespace {

using google::protobuf::Message;
using grpc::ByteBuffer;

class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(RpcService& service, grpc::CallbackServerContext* context,
               absl::Duration default_timeout)
      : service_(service),
        entered_(service.Enter(context->peer())),
        call_(DeadlineOf(*context, default_timeout)) {}
  ~UnaryReactor() override {
    if (entered_.ok()) service_.Leave();
  }
  const absl::Status& entered() const { return entered_; }
  Call& call() { return call_; }
  void OnCancel() override { call_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  RpcService& service_;
  const absl::Status entered_;
  Call call_;
};

class StreamReactor final : public grpc::ServerWriteReactor<ByteBuffer>, public MessageWriter {
 public:
  StreamReactor(RpcService& service, grpc::CallbackServerContext* context,
                absl::Duration default_timeout)
      : service_(service),
        entered_(service.Enter(context->peer())),
        context_(context),
        call_(DeadlineOf(*context, default_timeout)) {}
  ~StreamReactor() override {
    if (entered_.ok()) service_.Leave();
  }
  const absl::Status& entered() const { return entered_; }
  Call& call() { return call_; }

  bool Write(const Message& message) override {
    if (call_.cancelled() || !SerializeResponse(message, buffer_).ok()) return false;

    {
      MutexLock lock(mutex_);
      writing_ = true;
    }
    StartWrite(&buffer_);

    MutexLock lock(mutex_);
    while (writing_) {
      // A caller that does not read must not occupy a thread forever. The cancellation ends the
      // write.
      if (!written_.WaitFor(mutex_, kLongestWrite) && writing_) context_->TryCancel();
    }
    return ok_;
  }

  // gRPC calls this for every write, also of a cancelled call.
  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    writing_ = false;
    ok_ = ok;
    written_.Signal();
  }
  void OnCancel() override { call_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  static constexpr absl::Duration kLongestWrite = absl::Seconds(30);

  RpcService& service_;
  const absl::Status entered_;
  grpc::CallbackServerContext* const context_;
  Call call_;
  ByteBuffer buffer_;
  Mutex mutex_;
  CondVar written_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ok_ ABSL_GUARDED_BY(mutex_) = true;
};

// Queues `work` with the reactor's call. A refused call is finished immediately.
template <typename Reactor, typename Work>
void Start(Reactor* reactor, ThreadPool& pool, Work work) {
  if (!reactor->entered().ok()) {
    reactor->Finish(ToGrpcStatus(reactor->entered()));
    return;
  }

  const absl::Status queued = pool.Submit([reactor, work = std::move(work)] {
    absl::Status status = reactor->call().Check();
    if (status.ok()) status = RunGuarded([&] { return work(reactor->call()); });
    reactor->Finish(ToGrpcStatus(status));
  });
  if (!queued.ok()) reactor->Finish(ToGrpcStatus(queued));
}

// Whether both services have the method, with messages of the same fields.
absl::Status CheckForwardable(const std::string& from, const std::string& to,
                              const std::string& method) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  const google::protobuf::MethodDescriptor* own =
      pool->FindMethodByName(absl::StrCat(from, ".", method));
  const google::protobuf::MethodDescriptor* target =
      pool->FindMethodByName(absl::StrCat(to, ".", method));
  if (own == nullptr || target == nullptr)
    return absl::NotFoundError(absl::StrCat(own == nullptr ? from : to, " has no such method"));

  PALATE_RETURN_IF_ERROR(CheckSameFields(*own->input_type(), *target->input_type()));
  return CheckSameFields(*own->output_type(), *target->output_type());
}

}  // namespace

RpcService::RpcService(std::string service_name, ThreadPool& pool)
    : service_name_(std::move(service_name)), pool_(pool) {}

absl::Status RpcService::Enter(const std::string& peer) {
  MutexLock lock(mutex_);
  if (refusing_ && !absl::StartsWith(peer, "inproc"))
    return absl::UnavailableError("the server is shutting down");
  ++calls_;
  return absl::OkStatus();
}

void RpcService::Leave() {
  MutexLock lock(mutex_);
  if (--calls_ == 0) left_.SignalAll();
}

bool RpcService::WaitUntilIdle(absl::Time deadline) {
  MutexLock lock(mutex_);
  while (calls_ > 0) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    left_.WaitFor(mutex_, left);
  }
  return true;
}

int RpcService::AddMethodNamed(const std::string& method, grpc::internal::RpcMethod::RpcType type) {
  method_names_.push_back(absl::StrCat("/", service_name_, "/", method));
  AddMethod(new grpc::internal::RpcServiceMethod(method_names_.back().c_str(), type, nullptr));
  return static_cast<int>(method_names_.size()) - 1;
}

void RpcService::AddUnary(const std::string& method, ThreadPool* pool, UnaryHandler handler) {
  ThreadPool& chosen = pool != nullptr ? *pool : pool_;

  MarkMethodRawCallback(
      AddMethodNamed(method, grpc::internal::RpcMethod::NORMAL_RPC),
      new grpc::internal::CallbackUnaryHandler<ByteBuffer, ByteBuffer>(
          [this, &chosen, timeout = default_timeout_, handler = std::move(handler)](
              grpc::CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) {
            auto* reactor = new UnaryReactor(*this, context, timeout);
            Start(reactor, chosen,
                  [&handler, in, out](Call& call) { return handler(call, *in, *out); });
            return reactor;
          }));
}

void RpcService::AddServerStream(const std::string& method, ThreadPool* pool,
                                 StreamHandler handler) {
  ThreadPool& chosen = pool != nullptr ? *pool : pool_;

  Reactor(method, [this, &chosen, timeout = default_timeout_, handler = std::move(handler)](
                      grpc::CallbackServerContext* context, const ByteBuffer* in) {
    auto* reactor = new StreamReactor(*this, context, timeout);
    Start(reactor, chosen,
          [&handler, in, reactor](Call& call) { return handler(call, *in, *reactor); });
    return reactor;
  });
}

void RpcService::Forward(const std::string& method, ForwardTarget& target) {
  const absl::Status forwardable = CheckForwardable(service_name_, target.service_name(), method);
  if (!forwardable.ok()) {
    spdlog::critical("{}.{} cannot be forwarded: {}", service_name_, method,
                     forwardable.ToString());
    std::abort();
  }

  AddUnary(method, nullptr, [method, &target](Call& call, const ByteBuffer& in, ByteBuffer& out) {
    return target.Call(method, in, out, call.context());
  });
}

void RpcService::Reactor(const std::string& method, ReactorMaker make) {
  MarkMethodRawCallback(
      AddMethodNamed(method, grpc::internal::RpcMethod::SERVER_STREAMING),
      new grpc::internal::CallbackServerStreamingHandler<ByteBuffer, ByteBuffer>(std::move(make)));
}

void RpcService::BidiReactor(const std::string& method, BidiReactorMaker make) {
  MarkMethodRawCallback(
      AddMethodNamed(method, grpc::internal::RpcMethod::BIDI_STREAMING),
      new grpc::internal::CallbackBidiHandler<ByteBuffer, ByteBuffer>(std::move(make)));
}

void RpcService::CheckComplete() const {
  const google::protobuf::ServiceDescriptor* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service_name_);
  std::set<std::string> expected;
  for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
    expected.insert(absl::StrCat("/", service_name_, "/", service->method(i)->name()));
  }

  const std::set<std::string> registered(method_names_.begin(), method_names_.end());
  if (registered == expected && registered.size() == method_names_.size()) return;

  spdlog::critical("{}: the registered methods are not those of the service's definition",
                   service_name_);
  std::abort();
}

absl::Status RpcService::RunUnary(const ByteBuffer& in, Message& request, ByteBuffer& out,
                                  const Message& response,
                                  const std::function<absl::Status()>& handler) {
  PALATE_RETURN_IF_ERROR(ParseRequest(in, request));
  PALATE_RETURN_IF_ERROR(handler());
  return SerializeResponse(response, out);
}

absl::Status RpcService::RunStream(const ByteBuffer& in, Message& request,
                                   const std::function<absl::Status()>& handler) {
  PALATE_RETURN_IF_ERROR(ParseRequest(in, request));
  return handler();
}

absl::Status RunGuarded(const std::function<absl::Status()>& handler) {
  try {
    return handler();
  } catch (const std::exception& error) {
    spdlog::error("a handler threw: {}", error.what());
    return absl::InternalError(absl::StrCat("unexpected: ", error.what()));
  }
}

absl::Time DeadlineOf(const grpc::CallbackServerContext& context, absl::Duration default_timeout) {
  // gRPC represents "none" by the largest time, whose conversion must not overflow.
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline > std::chrono::system_clock::now() + std::chrono::hours(24 * 365))
    return absl::Now() + default_timeout;
  return absl::FromChrono(deadline);
}

absl::Status ParseRequest(const ByteBuffer& bytes, Message& request) {
  std::vector<grpc::Slice> slices;
  if (bytes.Valid() && !bytes.Dump(&slices).ok())
    return absl::InternalError("the request's bytes cannot be read");

  std::string flat;
  flat.reserve(bytes.Valid() ? bytes.Length() : 0);
  for (const grpc::Slice& slice : slices)
    flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return ParseTolerantly(flat, request);
}

absl::Status SerializeResponse(const Message& response, ByteBuffer& bytes) {
  const size_t size = response.ByteSizeLong();
  grpc::Slice slice(size);
  if (!response.SerializeToArray(const_cast<uint8_t*>(slice.begin()), static_cast<int>(size))) {
    return absl::InternalError("the response cannot be serialized");
  }

  bytes = ByteBuffer(&slice, 1);
  return absl::OkStatus();
}

}  // namespace palate::services
