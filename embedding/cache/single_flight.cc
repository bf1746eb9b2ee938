#include "embedding/cache/single_flight.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"

namespace palate::embedding {

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

absl::StatusOr<std::optional<EmbedResult>> SingleFlight::Wait(Flight& flight,
                                                              const CallContext& context) {
  const CancelRegistration wake = context.OnCancel([&] {
    const MutexLock lock(mutex_);
    flight.changed_.SignalAll();
  });

  const MutexLock lock(mutex_);
  while (!flight.landed_) {
    const absl::Time now = absl::Now();
    PALATE_RETURN_IF_ERROR(context.Check("embedding", now));
    flight.changed_.WaitFor(mutex_, context.deadline - now);
  }
  return flight.result_;
}

}  // namespace palate::embedding
