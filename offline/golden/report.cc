#include "offline/golden/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace palate::golden {

void Report::Add(bool passed, const std::string& what, const std::string& detail) {
  ++(passed ? passed_ : failed_);
  out_ << (passed ? "PASS " : "FAIL ") << fixture_ << " " << what << ": " << detail << "\n";
}

void Report::AtMost(const std::string& what, const std::string& measure, double error,
                    double tolerance) {
  Add(error <= tolerance, what,
      absl::StrFormat("%s %.2g (at most %.2g)", measure, error, tolerance));
}

void Report::Fail(const std::string& what, const absl::Status& status) {
  Add(false, what, std::string(status.message()));
}

void Report::Summarize() { out_ << passed_ << " passed, " << failed_ << " failed\n"; }

void Tally::Add(bool equal, const std::string& difference) {
  ++total_;
  if (equal) return;
  if (++different_ == 1) first_ = difference;
}

void Tally::AddTo(Report& report, const std::string& what) const {
  const std::string count = absl::StrCat(different_, " of ", total_, " differ (at most 0)");
  report.Add(different_ == 0, what,
             different_ == 0 ? count : absl::StrCat(count, "; first: ", first_));
}

}  // namespace palate::golden
