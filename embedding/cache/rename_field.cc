#include "embedding/cache/rename_field.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace palate::embedding {

std::string InputName(size_t index) { return absl::StrCat("inputs[", index, "]"); }

absl::Status RenameField(const absl::Status& status, absl::string_view from, absl::string_view to) {
  if (status.ok() || from == to) return status;
  const std::string message = absl::StrReplaceAll(status.message(), {{from, to}});
  std::vector<FieldViolation> violations = FieldViolations(status);
  if (violations.empty()) return absl::Status(status.code(), message);
  for (FieldViolation& violation : violations) violation.field = absl::StrReplaceAll(violation.field, {{from, to}});
  return InvalidFields(message, violations);
}

}  // namespace palate::embedding
