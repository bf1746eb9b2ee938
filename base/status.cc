#include "base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_split.h"

namespace palate {
namespace {

// Payload: one "field NUL description" per violation, separated by the record separator. Field text from callers is quoted and shortened
// before it comes here, so neither separator occurs inside.
constexpr absl::string_view kPayloadUrl = "palate/field-violations";
constexpr char kFieldEnd = '\0';
constexpr char kRecordEnd = '\x1e';

}  // namespace

absl::Status InvalidFields(absl::string_view message, const std::vector<FieldViolation>& violations) {
  std::string payload;
  for (const FieldViolation& violation : violations) {
    absl::StrAppend(&payload, violation.field, std::string(1, kFieldEnd), violation.description, std::string(1, kRecordEnd));
  }
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kPayloadUrl, absl::Cord(payload));
  return status;
}

absl::Status InvalidField(absl::string_view field, absl::string_view value, absl::string_view limit) {
  const std::string description = absl::StrCat(value, "; must be ", limit);
  return InvalidFields(absl::StrCat(field, " ", description), {{std::string(field), description}});
}

std::vector<FieldViolation> FieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return violations;
  const std::string text(*payload);
  for (absl::string_view record : absl::StrSplit(text, kRecordEnd, absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(record, absl::MaxSplits(kFieldEnd, 1));
    violations.push_back({std::string(parts.first), std::string(parts.second)});
  }
  return violations;
}

absl::Status PrefixFields(const absl::Status& status, absl::string_view prefix) {
  std::vector<FieldViolation> violations = FieldViolations(status);
  if (violations.empty()) return status;
  for (FieldViolation& violation : violations) {
    violation.field = absl::StrCat(prefix, violation.field.empty() ? "" : ".", violation.field);
  }
  return InvalidFields(absl::StrCat(violations.front().field, " ", violations.front().description), violations);
}

}  // namespace palate
