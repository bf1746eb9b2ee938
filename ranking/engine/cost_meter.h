// The cost of a unit of work, and whether work of that cost may start: admission by measurement.
//
// Other load on the machine makes work look dearer than it is, never cheaper. So the average takes
// over a much lower measurement at once and rises slowly, an estimate that no measurement confirms
// decays, and Admit lets one piece of work in from time to time when nothing waits, whatever the
// estimate says: it is measured, so an estimate that is far too high heals.
//
// Thread-safe. `now` is given by tests.
#pragma once

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace palate::ranking {

class CostMeter {
 public:
  // Records that `units` of work took `elapsed`. Ignored if `units` is not above 0.
  void Add(double units, absl::Duration elapsed, absl::Time now = absl::Now())
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The average; zero before the first measurement.
  double seconds_per_unit() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The average, decayed by the time since the last measurement, times `units`.
  absl::Duration Estimate(double units, absl::Time now = absl::Now()) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  struct Work {
    double ahead = 0;  // units that wait or run already
    double units = 0;
  };
  // OK if the work fits into `remaining` by the estimate, or is let in to be measured: when nothing
  // is ahead, and after a pause that grows while what was let in ends without a measurement. Else
  // DeadlineExceeded naming the estimated and the remaining time.
  absl::Status Admit(const Work& work, absl::Duration remaining, absl::Time now = absl::Now())
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Duration EstimateLocked(double units, absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static constexpr double kShare = 0.2;  // weight of the newest measurement
  // A measurement below this share of the average replaces it.
  static constexpr double kMuchLower = 0.5;

  mutable Mutex mutex_;
  double seconds_per_unit_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time measured_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // When work may be let in against the estimate, and the pause after that.
  absl::Time next_try_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration pause_ ABSL_GUARDED_BY(mutex_);  // zero: the shortest
};

}  // namespace palate::ranking
