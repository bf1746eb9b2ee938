// One RPC in progress on its server. Owns the cancellation of all work that is started for the RPC.
//
// Usage:
//   absl::Status GetCatalog(Call& call, const pb::GetCatalogRequest& request,
//                           pb::GetCatalogResponse& response) {
//     return CallUnary(store_.async(), &CatalogStub::GetCatalog, request, response,
//                      call.context());
//   }
//
// Handlers pass context() to everything that they call, so that a caller's cancellation stops the
// work, also in other processes. Thread-safe.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/call_context.h"

namespace palate::services {

class Call {
 public:
  // `deadline` is infinite when the caller set none.
  explicit Call(absl::Time deadline)
      : cancellation_(std::make_shared<Cancellation>()), context_{deadline, cancellation_} {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const CallContext& context() const { return context_; }
  bool cancelled() const { return context_.cancelled(); }

  // Cancelled or DeadlineExceeded when the caller no longer waits for the response.
  absl::Status Check() const;

  // Cancels the call and runs the callbacks that wait for it, once.
  void Cancel() { cancellation_->Cancel(); }

 private:
  const std::shared_ptr<Cancellation> cancellation_;
  const CallContext context_;
};

}  // namespace palate::services
