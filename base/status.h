// Status helpers: propagation macros, annotation, and the one way to say that a field of the input
// is wrong.
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

// One wrong field of a request: its path ("items[3].title"), and what is wrong with it: the value
// and the limit.
//
// Libraries give paths relative to the element that they check, the path of the element itself
// being empty; each caller puts its own name of the element before them:
//
//   absl::Status CheckItem(const Item& item);   // InvalidField("title", "has 2000 bytes", "at most
//   1024")
//   ...
//   return PrefixFields(CheckItem(items[3]), "items[3]");   // items[3].title has 2000 bytes; must
//   be at most 1024
struct FieldViolation {
  std::string field;
  std::string description;
};

// InvalidArgument naming the field, its value and the limit. Services turn it into
// google.rpc.BadRequest details.
//   InvalidField("num_results", "is 900", "at most 500")
absl::Status InvalidField(absl::string_view field, absl::string_view value,
                          absl::string_view limit);

// InvalidArgument with these violations, as a service receives them from another one.
absl::Status InvalidFields(absl::string_view message,
                           const std::vector<FieldViolation>& violations);

// The violations that a status carries; empty when it carries none.
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// The same error, known to be about `field`: for errors of a field that are not InvalidField, such
// as NotFound for a URI. The message becomes "field: message". A status that names fields already
// gets `field` before their paths. OK stays OK.
absl::Status AtField(const absl::Status& status, absl::string_view field);

// The same error with `prefix` before each field path: InvalidField("title", …) inside item 3
// becomes "items[3].title". A status that names no field stays as it is.
absl::Status PrefixFields(const absl::Status& status, absl::string_view prefix);

// The same for a result: PALATE_ASSIGN_OR_RETURN(out.item, PrefixFields(FromProto(write.item()),
// "item")).
template <typename T>
absl::StatusOr<T> PrefixFields(absl::StatusOr<T> result, absl::string_view prefix) {
  if (!result.ok()) return PrefixFields(result.status(), prefix);
  return result;
}

// The same error with each field path replaced by what `map` returns for it. A status that names no
// field stays as it is. Messages are written anew from the paths and the descriptions.
absl::Status MapFields(const absl::Status& status,
                       absl::FunctionRef<std::string(const std::string& path)> map);

// The first step of a path, and the path behind it: "images[2].width" is {"images", 2, "width"}.
// Only a number is an index: `attributes["a.b"]` is {"attributes", nullopt, `["a.b"]`}.
struct FieldStep {
  std::string name;
  std::optional<size_t> index;
  std::string rest;
};
FieldStep FirstStep(absl::string_view path);

// The path that leads along `outer` and then along `inner`; either may be empty.
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
