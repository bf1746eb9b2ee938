// Reads a file of JSON lines, and says where and why a line of it is wrong. Not thread-safe.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::offline {

// The nonempty lines of a file, with their numbers. Memory holds one line.
class LineFile {
 public:
  // NotFound when the file cannot be read. FailedPrecondition, naming what the file is, for a
  // folder and for content of which no line can be understood: a JSON array, UTF-16 or UTF-32.
  static absl::StatusOr<LineFile> Open(const std::string& path);

  // The next line without its end and without a byte order mark. False at the end.
  bool Next(std::string& line);
  // DataLoss when the file could not be read to its end.
  absl::Status status() const;

  const std::string& path() const { return path_; }
  int64_t number() const { return number_; }  // of the last line, counted from 1
  int64_t count() const { return count_; }    // of all lines, empty ones too

 private:
  std::string path_;
  std::ifstream stream_;
  int64_t number_ = 0;
  int64_t count_ = 0;
};

// What makes a line no JSON object.
struct JsonFault {
  size_t offset = 0;  // bytes before it
  std::string reason;
};

// Nothing when `line` is a JSON object that can be read.
std::optional<JsonFault> FindJsonFault(const std::string& line);

// The column of what `error` is about, in characters from 1: of the key that its first field
// violation names, or of the fault in the JSON; 0 when it is unknown. Fields are written as an item
// or event line has them ("attributes.price"), or as the public API does (`attributes["price"]`).
int64_t ColumnOf(const std::string& line, const absl::Status& error);

// The error of one element of a batch without the element's place in the batch.
absl::Status WithoutBatch(const absl::Status& error);

}  // namespace palate::offline
