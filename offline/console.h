// Progress on a terminal: one line that is rewritten in place, or, where the output is not a
// terminal, a plain line for every tenth that is done.
//
// Usage:
//   ConsoleReporter reporter(options);
//   const auto on_progress = reporter.Step("items");
//   for (int64_t done = 1; done <= total; ++done) on_progress(done, total);
//   reporter.Say("all items are sent");
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "offline/import/reporter.h"

namespace palate::offline {

struct ConsoleOptions {
  bool terminal = false;                         // redraw in place
  int columns = 80;                              // width of the terminal
  std::function<void(absl::string_view)> write;  // receives the text
  std::function<absl::Time()> now = [] { return absl::Now(); };
};

// Writes to standard error, so that standard output holds only results. Detects whether it is a
// terminal.
ConsoleOptions StandardError();

// The progress of one step. Thread-safe.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label, ConsoleOptions options = StandardError());
  ~ProgressBar();  // finishes
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // A `total` of 0 or less is unknown: only the count is shown.
  void Update(int64_t done, int64_t total) ABSL_LOCKS_EXCLUDED(mutex_);
  // Draws the last state and ends the line. Later calls do nothing.
  void Finish() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void MaybeDraw() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Line() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string label_;
  const ConsoleOptions options_;
  const absl::Time start_;
  mutable Mutex mutex_;
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t last_tenth_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time last_draw_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// A Reporter whose steps are progress bars. Used from one thread; a step's function may be called
// until the next Say or Step.
class ConsoleReporter final : public Reporter {
 public:
  explicit ConsoleReporter(ConsoleOptions options = StandardError())
      : options_(std::move(options)) {}

  void Say(const std::string& line) override;
  std::function<void(int64_t done, int64_t total)> Step(const std::string& label) override;

 private:
  const ConsoleOptions options_;
  std::shared_ptr<ProgressBar> bar_;
};

}  // namespace palate::offline
