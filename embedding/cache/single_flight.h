// Work that several callers want at the same time is done by one of them; the others wait for it.
//
// Thread-safe. A caller that joined as the owner of a flight must land it, whatever happens.
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

  // The flight of `key` that is under way, or a new one that the caller owns.
  Seat Join(const std::string& key) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends a flight. Empty when the owner's call failed as a whole: the guests have to see for
  // themselves.
  void Land(const std::string& key, std::optional<EmbedResult> result) ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until the flight has landed. DeadlineExceeded and Cancelled are the guest's own.
  absl::StatusOr<std::optional<EmbedResult>> Wait(Flight& flight, const CallContext& context)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace palate::embedding
