// Blocking calls through callback stubs.
//
// Usage:
//   PALATE_RETURN_IF_ERROR(
//       CallUnary(stub.async(), &StoreStub::GetItems, request, response, context));
//
//   BoundContext bound(context);
//   StreamReader<store_pb::WatchChangesResponse> reader;
//   reader.Start([&](grpc::ClientReadReactor<store_pb::WatchChangesResponse>* reactor) {
//     stub.async()->WatchChanges(bound.get(), &watch, reactor);
//   });
//   while (reader.Read(message)) changes += message.changes_size();
//   PALATE_RETURN_IF_ERROR(reader.Finish());
//
// A call ends when its CallContext ends: at the deadline, or when it is cancelled. Must not be used
// from gRPC's callback threads. Functions are thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "base/mutex.h"
#include "services/runtime/status_convert.h"

namespace palate::services {

// A gRPC client context that ends with `context`.
class BoundContext {
 public:
  explicit BoundContext(const CallContext& context);
  BoundContext(const BoundContext&) = delete;
  BoundContext& operator=(const BoundContext&) = delete;

  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
  const CancelRegistration cancel_;  // last: it uses context_
};

// Waits for one status.
class StatusWaiter {
 public:
  void Set(const grpc::Status& status);
  absl::Status Wait();

 private:
  Mutex mutex_;
  CondVar set_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

// Calls `method` of a generated stub's async_interface and blocks until it has finished. `response`
// is filled when the status is OK.
template <typename Async, typename Request, typename Response, typename Interface>
absl::Status CallUnary(Async* async,
                       void (Interface::*method)(grpc::ClientContext*, const Request*, Response*,
                                                 std::function<void(grpc::Status)>),
                       const Request& request, Response& response, const CallContext& context) {
  BoundContext bound(context);
  StatusWaiter waiter;
  (async->*method)(bound.get(), &request, &response,
                   [&waiter](grpc::Status status) { waiter.Set(status); });
  return waiter.Wait();
}

// A server stream read by blocking calls. Read() and Finish() belong to one thread; Cancel() may
// come from any.
template <typename Response>
class StreamReader final : public grpc::ClientReadReactor<Response> {
 public:
  // Starts the call: `start` hands this reactor to the stub.
  void Start(const std::function<void(grpc::ClientReadReactor<Response>*)>& start) {
    start(this);
    this->AddHold();  // the call must not finish between two reads
    this->StartRead(&buffer_);
    this->StartCall();
  }

  // Reads the next message. Returns false when the stream has ended, or sets `*timed_out` and
  // returns false when `deadline` has passed.
  bool Read(Response& response, absl::Time deadline = absl::InfiniteFuture(),
            bool* timed_out = nullptr) {
    {
      MutexLock lock(mutex_);
      if (timed_out != nullptr) *timed_out = false;
      while (!ready_ && !ended_) {
        if (deadline == absl::InfiniteFuture()) {
          changed_.Wait(mutex_);
        } else if (const absl::Duration left = deadline - absl::Now();
                   left > absl::ZeroDuration()) {
          changed_.WaitFor(mutex_, left);
        } else {
          if (timed_out != nullptr) *timed_out = true;
          return false;
        }
      }

      if (!ready_) return false;
      ready_ = false;
      response = std::move(buffer_);
    }

    this->StartRead(&buffer_);
    return true;
  }

  // Waits for the end of the stream and discards unread messages. To end the stream early, cancel
  // the call first.
  absl::Status Finish() {
    while (true) {
      {
        MutexLock lock(mutex_);
        while (!ready_ && !done_) changed_.Wait(mutex_);
        if (done_) return status_;
        ready_ = false;
      }
      this->StartRead(&buffer_);
    }
  }

 private:
  void OnReadDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      ready_ = ok;
      ended_ = !ok;
      changed_.SignalAll();
    }
    if (!ok) this->RemoveHold();
  }
  void OnDone(const grpc::Status& status) override {
    MutexLock lock(mutex_);
    status_ = ToAbslStatus(status);
    ready_ = false;
    ended_ = true;
    done_ = true;
    changed_.SignalAll();
  }

  Response buffer_;
  Mutex mutex_;
  CondVar changed_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace palate::services
