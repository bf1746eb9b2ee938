#include "embedding/cache/single_flight.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace palate::embedding {
namespace {

// A cancel flag has no way to wake a waiter, which looks at it this often.
constexpr absl::Duration kPoll = absl::Milliseconds(20);

}  // namespace

SingleFlight::Seat SingleFlight::Join(const std::string& key) {
  const MutexLock lock(mutex_);
  const auto [place, inserted] = flights_.try_emplace(key);
  if (inserted) place->second = std::make_shared<Flight>();
  return {place->second, inserted};
}

void SingleFlight::Land(const std::string& key, std::optional<EmbedResult> result) {
  const MutexLock lock(mutex_);
  const auto place = flights_.find(key);
  if (place == flights_.end()) return;
  place->second->landed_ = true;
  place->second->result_ = std::move(result);
  place->second->changed_.SignalAll();
  flights_.erase(place);
}

absl::StatusOr<std::optional<EmbedResult>> SingleFlight::Wait(Flight& flight, const EmbedOptions& options) {
  const MutexLock lock(mutex_);
  while (!flight.landed_) {
    if (options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed)) {
      return absl::CancelledError("embedding was cancelled");
    }
    const absl::Duration left = options.deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("embedding did not finish before the deadline");
    flight.changed_.WaitFor(mutex_, options.cancelled == nullptr ? left : std::min(left, kPoll));
  }
  return flight.result_;
}

}  // namespace palate::embedding
