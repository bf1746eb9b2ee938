#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/commands.h"

namespace palate::services {
namespace {

constexpr char kNotTakenUrl[] = "palate/not_taken";

}  // namespace

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  if (status.GetPayload(kNotTakenUrl).has_value()) return 3;
  return absl::IsInvalidArgument(status) && FieldViolations(status).empty() ? 2 : 1;
}

absl::Status NotTaken(absl::Status error) {
  error.SetPayload(kNotTakenUrl, absl::Cord());
  return error;
}

absl::Status CheckAllTaken(int64_t failures) {
  if (failures == 0) return absl::OkStatus();
  return NotTaken(absl::FailedPreconditionError(absl::StrCat(
      failures, failures == 1 ? " line or part of one was" : " lines or parts of them were",
      " not taken, as said above; everything else was")));
}

}  // namespace palate::services
