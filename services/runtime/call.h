// One RPC in progress, as the server that runs it sees it: owns the cancellation of everything that
// is started for it.
//
//   absl::Status RankingGrpc::Rank(Call& call, const pb::RankRequest& request, pb::RankResponse&
//   response) {
//     PALATE_ASSIGN_OR_RETURN(const RankOutput output, ranker_.Rank(input, call.context()));
//     ...
//   }
//
// Handlers hand context() to whatever they call; a caller that goes away then stops it, in other
// processes too. Thread-safe.
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

  // OK while somebody waits for the answer.
  absl::Status Check() const;

  // Marks the call as abandoned and runs what waits for that, once.
  void Cancel() { cancellation_->Cancel(); }

 private:
  const std::shared_ptr<Cancellation> cancellation_;
  const CallContext context_;
};

}  // namespace palate::services
