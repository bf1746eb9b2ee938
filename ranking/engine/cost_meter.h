// The cost of a unit of work, as a moving average of measurements. Thread-safe.
#pragma once

#include "absl/time/time.h"
#include "base/mutex.h"

namespace palate::ranking {

class CostMeter {
 public:
  // Records that `units` of work took `elapsed`. Ignored if `units` is not above 0.
  void Add(double units, absl::Duration elapsed) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (units <= 0) return;
    const double seconds = absl::ToDoubleSeconds(elapsed) / units;
    MutexLock lock(mutex_);
    seconds_per_unit_ =
        seconds_per_unit_ == 0 ? seconds : (1 - kShare) * seconds_per_unit_ + kShare * seconds;
  }

  // Zero before the first measurement.
  double seconds_per_unit() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return seconds_per_unit_;
  }

  absl::Duration Estimate(double units) const { return absl::Seconds(seconds_per_unit() * units); }

 private:
  static constexpr double kShare = 0.2;  // weight of the newest measurement

  mutable Mutex mutex_;
  double seconds_per_unit_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace palate::ranking
