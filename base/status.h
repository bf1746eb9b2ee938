// Status helpers: propagation macros, annotation, and errors that name a field of the input.
//
// Usage:
//   auto check_title = [](const std::string& title) {
//     if (title.size() <= 1024) return absl::OkStatus();
//     return InvalidField("title", absl::StrCat("has ", title.size(), " bytes"), "at most 1024");
//   };
//   const absl::Status status = PrefixFields(check_title(title), "items[3]");
//
// `status` is now InvalidArgument: "items[3].title has 2000 bytes; must be at most 1024". Libraries
// return paths relative to the element that they check; the path of the element itself is empty.
// Each caller puts its own name of the element before them. The functions are thread-safe.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#define PALATE_STATUS_CONCAT_INNER(a, b) a##b
#define PALATE_STATUS_CONCAT(a, b) PALATE_STATUS_CONCAT_INNER(a, b)

// Returns the status from the enclosing function unless it is OK.
#define PALATE_RETURN_IF_ERROR(expr)               \
  do {                                             \
    ::absl::Status palate_status = (expr);         \
    if (!palate_status.ok()) return palate_status; \
  } while (false)

// PALATE_ASSIGN_OR_RETURN(auto value, MakeValue()): assigns the value, or returns the status.
#define PALATE_ASSIGN_OR_RETURN(lhs, expr) \
  PALATE_ASSIGN_OR_RETURN_IMPL(PALATE_STATUS_CONCAT(palate_status_or_, __LINE__), lhs, expr)
#define PALATE_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                 \
  if (!result.ok()) return std::move(result).status();  \
  lhs = *std::move(result)

namespace palate {

// One wrong field of a request: its path ("items[3].title"), and a description of the error with
// the value and the limit.
struct FieldViolation {
  std::string field;
  std::string description;
};

// InvalidArgument that names the field, its value and the limit, such as ("num_results", "is 900",
// "at most 500"). Services convert it into google.rpc.BadRequest details.
absl::Status InvalidField(absl::string_view field, absl::string_view value,
                          absl::string_view limit);

// InvalidArgument with these violations, for a client that received them from a service.
absl::Status InvalidFields(absl::string_view message,
                           const std::vector<FieldViolation>& violations);

// The violations that a status carries; empty when it carries none.
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// The same error with `field` named: for errors about a field that are not InvalidField, such as
// NotFound for a URI. The message becomes "field: message". If the status already names fields,
// `field` is put before their paths. OK stays OK.
absl::Status AtField(const absl::Status& status, absl::string_view field);

// The same error with `prefix` before each field path: InvalidField("title", …) inside item 3
// becomes "items[3].title". A status that names no field is returned unchanged.
absl::Status PrefixFields(const absl::Status& status, absl::string_view prefix);

// The same for the error of a result; a value is returned unchanged.
template <typename T>
absl::StatusOr<T> PrefixFields(absl::StatusOr<T> result, absl::string_view prefix) {
  if (!result.ok()) return PrefixFields(result.status(), prefix);
  return result;
}

// The same error with each field path replaced by map(path). A status that names no field is
// returned unchanged. The message is rebuilt from the first path and its description.
absl::Status MapFields(const absl::Status& status,
                       absl::FunctionRef<std::string(const std::string& path)> map);

// The first step of a path, and the rest of the path: "images[2].width" is {"images", 2, "width"}.
// Only a number is an index: `attributes["a.b"]` is {"attributes", nullopt, `["a.b"]`}.
struct FieldStep {
  std::string name;
  std::optional<size_t> index;
  std::string rest;
};
FieldStep FirstStep(absl::string_view path);

// The path `inner` inside the element at `outer`; either may be empty.
std::string JoinPaths(absl::string_view outer, absl::string_view inner);

// The same code and payloads; the message is prefixed by `parts` and ": ". OK stays OK.
template <typename... Parts>
absl::Status Annotate(const absl::Status& status, const Parts&... parts) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(parts..., ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace palate
