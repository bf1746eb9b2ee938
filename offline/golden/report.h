// The lines that palate-golden-check prints, and their count.
#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"

namespace palate::golden {

// Not thread-safe. Borrows the stream, which must outlive it.
class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}

  // Named at the start of each following line.
  void BeginFixture(const std::string& name) { fixture_ = name; }

  // One check: "PASS fixture what: detail".
  void Add(bool passed, const std::string& what, const std::string& detail);
  // Passes when `error` is at most `tolerance`; a NaN fails.
  void AtMost(const std::string& what, const std::string& measure, double error, double tolerance);
  // A check that could not be carried out.
  void Fail(const std::string& what, const absl::Status& status);

  // The last line: "N passed, M failed".
  void Summarize();

  int passed() const { return passed_; }
  int failed() const { return failed_; }

 private:
  std::ostream& out_;
  std::string fixture_;
  int passed_ = 0;
  int failed_ = 0;
};

// One check over many texts, ids or pictures, which must all agree: counts those that differ and
// shows the first.
class Tally {
 public:
  void Add(bool equal, const std::string& difference);
  void AddTo(Report& report, const std::string& what) const;

 private:
  int total_ = 0;
  int different_ = 0;
  std::string first_;
};

}  // namespace palate::golden
