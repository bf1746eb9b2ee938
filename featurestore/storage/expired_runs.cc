#include "featurestore/storage/expired_runs.h"

#include <algorithm>
#include <iterator>

namespace palate::featurestore {
namespace {

constexpr size_t kMaxRuns = 1024;
constexpr size_t kMaxLastWritten = 4096;

}  // namespace

int64_t ExpiredRuns::Begin() const {
  MutexLock lock(mutex_);
  return written_;
}

ExpiredRuns::Runs::const_iterator ExpiredRuns::Holding(absl::string_view key) const {
  auto at = runs_.upper_bound(key);
  if (at == runs_.begin()) return runs_.end();
  --at;
  return key < at->second.end ? at : runs_.end();
}

void ExpiredRuns::Add(int64_t begun, Run run) {
  MutexLock lock(mutex_);
  const auto missed = static_cast<size_t>(written_ - begun);
  if (missed > last_written_.size()) return;
  if (std::any_of(last_written_.end() - static_cast<std::ptrdiff_t>(missed), last_written_.end(),
                  [&](const std::string& key) { return run.first <= key && key < run.end; })) {
    return;
  }

  // Replaces the runs that it overlaps.
  auto at = runs_.lower_bound(run.first);
  if (at != runs_.begin() && run.first < std::prev(at)->second.end) --at;
  while (at != runs_.end() && at->first < run.end) at = runs_.erase(at);
  if (runs_.size() >= kMaxRuns) runs_.clear();
  std::string first = run.first;
  runs_.emplace(std::move(first), std::move(run));
}

std::optional<ExpiredRuns::Run> ExpiredRuns::Find(absl::string_view key, int64_t at_us) const {
  MutexLock lock(mutex_);
  const auto found = Holding(key);
  if (found == runs_.end() || found->second.expired_by_us > at_us) return std::nullopt;
  return found->second;
}

void ExpiredRuns::RowWritten(const std::string& key) {
  MutexLock lock(mutex_);
  ++written_;
  last_written_.push_back(key);
  if (last_written_.size() > kMaxLastWritten) last_written_.pop_front();

  const auto found = Holding(key);
  if (found == runs_.end()) return;
  // The parts before and after the row stay.
  const Run run = found->second;
  runs_.erase(found);
  if (run.first < key) runs_.emplace(run.first, Run{run.first, key, run.expired_by_us});
  const std::string next = key + '\0';
  if (next < run.end) runs_.emplace(next, Run{next, run.end, run.expired_by_us});
}

}  // namespace palate::featurestore
