#include "base/status.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace palate {
namespace {

// Payload: one "field NUL description" per violation, each followed by the record separator.
// Neither may be in a field or a description: callers quote text from requests (QuoteForMessage).
constexpr absl::string_view kPayloadUrl = "palate/field-violations";
constexpr char kFieldEnd = '\0';
constexpr char kRecordEnd = '\x1e';

// Payload of an error about a field that is not an InvalidField: "field NUL description".
constexpr absl::string_view kLocationUrl = "palate/field-location";

// "field what"; `what` alone for an empty path, which names the checked element itself.
std::string Sentence(absl::string_view field, absl::string_view separator, absl::string_view what) {
  return field.empty() ? std::string(what) : absl::StrCat(field, separator, what);
}

std::optional<FieldViolation> Location(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kLocationUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);

  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(kFieldEnd, 1));
  return FieldViolation{parts.first, parts.second};
}

absl::Status Locate(absl::StatusCode code, const FieldViolation& location) {
  absl::Status status(code, Sentence(location.field, ": ", location.description));
  status.SetPayload(kLocationUrl, absl::Cord(absl::StrCat(location.field, std::string(1, kFieldEnd),
                                                          location.description)));
  return status;
}

}  // namespace

absl::Status InvalidFields(absl::string_view message,
                           const std::vector<FieldViolation>& violations) {
  std::string payload;
  for (const FieldViolation& violation : violations) {
    absl::StrAppend(&payload, violation.field, std::string(1, kFieldEnd), violation.description,
                    std::string(1, kRecordEnd));
  }

  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kPayloadUrl, absl::Cord(payload));
  return status;
}

absl::Status InvalidField(absl::string_view field, absl::string_view value,
                          absl::string_view limit) {
  const std::string description = absl::StrCat(value, "; must be ", limit);
  return InvalidFields(Sentence(field, " ", description), {{std::string(field), description}});
}

std::vector<FieldViolation> FieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return violations;

  const std::string text(*payload);
  for (absl::string_view record : absl::StrSplit(text, kRecordEnd, absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(record, absl::MaxSplits(kFieldEnd, 1));
    violations.push_back({std::string(parts.first), std::string(parts.second)});
  }
  return violations;
}

absl::Status MapFields(const absl::Status& status,
                       absl::FunctionRef<std::string(const std::string& path)> map) {
  if (std::optional<FieldViolation> location = Location(status); location.has_value()) {
    location->field = map(location->field);
    return Locate(status.code(), *location);
  }

  std::vector<FieldViolation> violations = FieldViolations(status);
  if (violations.empty()) return status;
  for (FieldViolation& violation : violations) violation.field = map(violation.field);
  return InvalidFields(Sentence(violations.front().field, " ", violations.front().description),
                       violations);
}

absl::Status PrefixFields(const absl::Status& status, absl::string_view prefix) {
  return MapFields(status, [&](const std::string& path) { return JoinPaths(prefix, path); });
}

absl::Status AtField(const absl::Status& status, absl::string_view field) {
  if (status.ok()) return status;
  if (Location(status).has_value() || !FieldViolations(status).empty())
    return PrefixFields(status, field);
  return Locate(status.code(), {std::string(field), std::string(status.message())});
}

FieldStep FirstStep(absl::string_view path) {
  FieldStep step;
  const size_t name_end = std::min(path.find_first_of(".["), path.size());
  step.name = std::string(path.substr(0, name_end));
  path.remove_prefix(name_end);

  const size_t closing = path.find(']');
  size_t index = 0;
  if (absl::StartsWith(path, "[") && closing != absl::string_view::npos &&
      absl::SimpleAtoi(path.substr(1, closing - 1), &index)) {
    step.index = index;
    path.remove_prefix(closing + 1);
  }

  if (absl::StartsWith(path, ".")) path.remove_prefix(1);
  step.rest = std::string(path);
  return step;
}

std::string JoinPaths(absl::string_view outer, absl::string_view inner) {
  const bool dot = !outer.empty() && !inner.empty() && inner[0] != '[';
  return absl::StrCat(outer, dot ? "." : "", inner);
}

}  // namespace palate
