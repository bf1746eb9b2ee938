// Small readers of text files: whole files, lines, and comma-separated records (RFC 4180, one
// record per line).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::offline {

// NotFound or PermissionDenied naming the path, InvalidArgument for a folder, ResourceExhausted
// beyond `max_bytes`, DataLoss when the file became shorter while it was read.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{1} << 32);

// The lines without their ends ("\n" or "\r\n"); the last line need not have an end. Views into
// `text`.
std::vector<absl::string_view> SplitLines(absl::string_view text);

// The fields of one record. Quoted fields may hold commas, and quotes that are doubled.
// InvalidArgument when a quote is not closed, or text follows a closing quote.
absl::StatusOr<std::vector<std::string>> ParseCsvRecord(absl::string_view line);

}  // namespace palate::offline
