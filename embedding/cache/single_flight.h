// Deduplicates concurrent work: of the callers that request the same key, one does the work and the
// others wait for its result.
//
// Thread-safe. A caller that joined as the owner of a flight must call Land, also when it fails.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "base/call_context.h"
#include "base/mutex.h"
#include "embedding/embedder.h"

namespace palate::embedding {

class SingleFlight {
 public:
  class Flight {
   private:
    friend class SingleFlight;
    bool landed_ = false;
    std::optional<EmbedResult> result_;
    CondVar changed_;
  };

  struct Seat {
    std::shared_ptr<Flight> flight;
    bool owner = false;  // the caller does the work
  };

  // The running flight of `key`, or a new one that the caller owns.
  Seat Join(const std::string& key) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends a flight. Empty when the whole call of the owner failed; the waiting callers then have to
  // do the work themselves.
  void Land(const std::string& key, std::optional<EmbedResult> result) ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until the flight has landed. DeadlineExceeded and Cancelled refer to the waiting
  // caller's context.
  absl::StatusOr<std::optional<EmbedResult>> Wait(Flight& flight, const CallContext& context)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace palate::embedding
