#include "offline/import/text_files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace palate::offline {

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  // A folder opens like a file, and its end lies nowhere.
  if (std::error_code error; std::filesystem::is_directory(path, error))
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder, not a file"));

  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    const std::string message = absl::StrCat("cannot read ", path, ": ", std::strerror(errno));
    return errno == EACCES ? absl::PermissionDeniedError(message) : absl::NotFoundError(message);
  }

  const std::streamoff size = file.tellg();
  if (size < 0) return absl::NotFoundError(absl::StrCat("cannot read ", path, ": not a file"));
  if (static_cast<size_t>(size) > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", size, " bytes, the limit is ", max_bytes));
  }

  std::string content(static_cast<size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(content.data(), size))
    return absl::DataLossError(absl::StrCat("cannot read all of ", path));
  return content;
}

std::vector<absl::string_view> SplitLines(absl::string_view text) {
  std::vector<absl::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    absl::string_view line = text.substr(0, end);
    absl::ConsumeSuffix(&line, "\r");
    lines.push_back(line);
    text.remove_prefix(end == absl::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

absl::StatusOr<std::vector<std::string>> ParseCsvRecord(absl::string_view line) {
  std::vector<std::string> fields(1);
  size_t i = 0;
  while (true) {
    std::string& field = fields.back();
    if (i < line.size() && line[i] == '"') {
      for (++i;; ++i) {
        if (i >= line.size()) return absl::InvalidArgumentError("a quoted field is not closed");
        if (line[i] != '"') {
          field.push_back(line[i]);
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          field.push_back(line[++i]);
        } else {
          ++i;
          break;
        }
      }
      if (i < line.size() && line[i] != ',')
        return absl::InvalidArgumentError("text follows a closing quote");
    } else {
      while (i < line.size() && line[i] != ',') field.push_back(line[i++]);
    }

    if (i >= line.size()) return fields;
    ++i;
    fields.emplace_back();
  }
}

}  // namespace palate::offline
