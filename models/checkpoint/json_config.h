// Strict reading of the JSON files in a model folder: a missing key is an error that names file and
// key, never a made-up default.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const JsonConfig config, JsonConfig::Load(folder + "/config.json"));
//   PALATE_ASSIGN_OR_RETURN(const int64_t layers, config.IntIn("num_hidden_layers", 1, 1024));
//   PALATE_ASSIGN_OR_RETURN(const bool tied, config.BoolOr("tie_word_embeddings", false));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace palate::models {

// The content of a file. NotFound; InvalidArgument when it is a folder or larger than
// `limit_bytes`; FailedPrecondition when it is a Git LFS pointer; DataLoss when it cannot be read.
absl::StatusOr<std::string> ReadFileToString(const std::string& path,
                                             size_t limit_bytes = 64u << 20);
bool FileExists(const std::string& path);
// The path of the file `name` in a folder.
std::string InFolder(const std::string& folder, absl::string_view name);
// Writes to a temporary file in the same folder and renames it. DataLoss when that fails.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content);

// One JSON object of a file, with typed access. A value: copyable, immutable after construction.
class JsonConfig {
 public:
  // NotFound, or InvalidArgument with the position when the text is not a JSON object.
  static absl::StatusOr<JsonConfig> Load(const std::string& path);
  // Error messages call the object `source`.
  static absl::StatusOr<JsonConfig> Parse(absl::string_view text, std::string source);
  JsonConfig(nlohmann::json object, std::string source)
      : object_(std::move(object)), source_(std::move(source)) {}

  // A key that holds null counts as absent.
  bool Has(absl::string_view key) const;

  // InvalidArgument naming the source and the key when the key is absent or has another type.
  absl::StatusOr<int64_t> Int(absl::string_view key) const;
  // An integer in [low, high].
  absl::StatusOr<int64_t> IntIn(absl::string_view key, int64_t low, int64_t high) const;
  absl::StatusOr<double> Double(absl::string_view key) const;
  absl::StatusOr<bool> Bool(absl::string_view key) const;
  absl::StatusOr<std::string> String(absl::string_view key) const;
  absl::StatusOr<JsonConfig> Object(absl::string_view key) const;
  absl::StatusOr<std::vector<double>> Doubles(absl::string_view key) const;

  // For keys that the format declares optional with this default. A value of another type is still
  // an error.
  absl::StatusOr<int64_t> IntOr(absl::string_view key, int64_t absent) const;
  absl::StatusOr<double> DoubleOr(absl::string_view key, double absent) const;
  absl::StatusOr<bool> BoolOr(absl::string_view key, bool absent) const;
  absl::StatusOr<std::string> StringOr(absl::string_view key, absl::string_view absent) const;

  const nlohmann::json& json() const { return object_; }
  const std::string& source() const { return source_; }

 private:
  absl::StatusOr<const nlohmann::json*> Find(absl::string_view key) const;
  absl::Status WrongType(absl::string_view key, absl::string_view expected) const;

  nlohmann::json object_;
  std::string source_;
};

}  // namespace palate::models
