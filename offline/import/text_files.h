// Small readers of text files: whole files, lines, and comma-separated records (RFC 4180, one
// record per line).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::offline {

// NotFound or PermissionDenied naming the path; ResourceExhausted beyond `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{1} << 32);

// Without line ends ("\n" or "\r\n"); a last line without one counts.
std::vector<absl::string_view> SplitLines(absl::string_view text);

// Fields of one record: quoted fields may hold commas, and quotes written twice. InvalidArgument
// when a quote is not closed, or text follows a closing quote.
absl::StatusOr<std::vector<std::string>> ParseCsvRecord(absl::string_view line);

}  // namespace palate::offline
