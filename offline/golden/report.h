// The lines that palate-golden-check prints, and the numbers of passed and failed checks.
//
// Usage:
//   Report report(out);
//   report.BeginFixture("vit-model");
//   report.AtMost("pixel_values", "max abs diff", 2e-6, 1e-5);
//   report.Summarize();
#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"

namespace palate::golden {

// Not thread-safe. Borrows the stream, which must outlive it.
class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}

  // Sets the name that each following line shows.
  void BeginFixture(const std::string& name) { fixture_ = name; }

  // Adds one check and prints "PASS fixture what: detail" or the same with FAIL.
  void Add(bool passed, const std::string& what, const std::string& detail);
  // Adds a check that passes when `error` is at most `tolerance`; NaN fails.
  void AtMost(const std::string& what, const std::string& measure, double error, double tolerance);
  // Adds a check that could not run, as failed.
  void Fail(const std::string& what, const absl::Status& status);

  // Prints the last line: "N passed, M failed".
  void Summarize();

  int passed() const { return passed_; }
  int failed() const { return failed_; }

 private:
  std::ostream& out_;
  std::string fixture_;
  int passed_ = 0;
  int failed_ = 0;
};

// One check over many texts, ids or pictures, which must all be equal. Counts the differences and
// shows the first. Not thread-safe.
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
