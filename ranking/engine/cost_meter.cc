#include "ranking/engine/cost_meter.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace palate::ranking {
namespace {

constexpr absl::Duration kHalfLife = absl::Minutes(1);  // of an estimate without measurements
constexpr absl::Duration kShortestPause = absl::Seconds(1);
constexpr absl::Duration kLongestPause = absl::Seconds(30);

std::string Rounded(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Microseconds(1)));
}

}  // namespace

void CostMeter::Add(double units, absl::Duration elapsed, absl::Time now) {
  if (units <= 0) return;
  const double seconds = absl::ToDoubleSeconds(elapsed) / units;

  MutexLock lock(mutex_);
  const bool replaces = seconds_per_unit_ == 0 || seconds < kMuchLower * seconds_per_unit_;
  seconds_per_unit_ = replaces ? seconds : (1 - kShare) * seconds_per_unit_ + kShare * seconds;
  measured_ = now;
  pause_ = absl::ZeroDuration();
}

double CostMeter::seconds_per_unit() const {
  MutexLock lock(mutex_);
  return seconds_per_unit_;
}

absl::Duration CostMeter::Estimate(double units, absl::Time now) const {
  MutexLock lock(mutex_);
  return EstimateLocked(units, now);
}

absl::Status CostMeter::Admit(const Work& work, absl::Duration remaining, absl::Time now) {
  MutexLock lock(mutex_);
  const absl::Duration needed = EstimateLocked(work.ahead + work.units, now);
  if (needed <= remaining) return absl::OkStatus();

  if (work.ahead <= 0 && remaining > absl::ZeroDuration() && now >= next_try_) {
    pause_ = std::clamp(2 * pause_, kShortestPause, kLongestPause);
    next_try_ = now + pause_;
    return absl::OkStatus();
  }

  return absl::DeadlineExceededError(absl::StrCat("the model needs about ", Rounded(needed),
                                                  ", but the remaining time is ",
                                                  Rounded(remaining)));
}

absl::Duration CostMeter::EstimateLocked(double units, absl::Time now) const {
  if (seconds_per_unit_ == 0) return absl::ZeroDuration();
  const absl::Duration unused = std::max(now - measured_, absl::ZeroDuration());
  return absl::Seconds(seconds_per_unit_ * units *
                       std::exp2(-absl::FDivDuration(unused, kHalfLife)));
}

}  // namespace palate::ranking
