// Runs of rows that were all expired when a scan walked over them, so that the next scan need not
// walk over them again. A hint in memory only: what is not known costs a walk, nothing else.
//
// Usage:
//   ExpiredRuns runs;
//   const int64_t begun = runs.Begin();  // before the snapshot that the scan reads
//   runs.Add(begun, {.first = "b", .end = "k", .expired_by_us = 70});
//   const std::optional<ExpiredRuns::Run> run = runs.Find("c", /*at_us=*/80);
//   if (run.has_value()) SeekTo(run->end);
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace palate::featurestore {

class ExpiredRuns {
 public:
  // The rows from `first` to before `end` had expired by `expired_by_us`.
  struct Run {
    std::string first;
    std::string end;
    int64_t expired_by_us = 0;
  };

  // The moment before a scan, for Add().
  int64_t Begin() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Remembers what a scan found whose snapshot was taken after `begun`. Nothing, when a row that
  // was written since may be in the run.
  void Add(int64_t begun, Run run) ABSL_LOCKS_EXCLUDED(mutex_);
  // The run that holds `key`, if all of it has expired at `at_us`.
  std::optional<Run> Find(absl::string_view key, int64_t at_us) const ABSL_LOCKS_EXCLUDED(mutex_);
  // After the commit of a row, before its writer is answered.
  void RowWritten(const std::string& key) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Runs = std::map<std::string, Run, std::less<>>;  // by `first`; they do not overlap

  Runs::const_iterator Holding(absl::string_view key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Runs runs_ ABSL_GUARDED_BY(mutex_);
  int64_t written_ ABSL_GUARDED_BY(mutex_) = 0;                   // rows since the start
  std::deque<std::string> last_written_ ABSL_GUARDED_BY(mutex_);  // the newest of them
};

}  // namespace palate::featurestore
