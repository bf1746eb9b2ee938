#include "models/checkpoint/json_config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/pointer_file.h"

namespace palate::models {
namespace {

// Far beyond the nesting of any model folder's files. nlohmann's parser does not recurse, but
// copying and printing its result does.
constexpr int kMaxDepth = 64;

// The maximum nesting of brackets outside of strings.
int NestingDepth(absl::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;

  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '[' || c == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!in_string && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

absl::StatusOr<std::string> ReadFileToString(const std::string& path, size_t limit_bytes) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder, not a file"));
  if (!std::filesystem::is_regular_file(path, error))
    return absl::NotFoundError(absl::StrCat(path, " does not exist"));

  const auto size = std::filesystem::file_size(path, error);
  if (error) return absl::DataLossError(absl::StrCat("cannot read ", path, ": ", error.message()));
  if (size > limit_bytes)
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has ", size, " bytes, at most ", limit_bytes));

  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  // Inserting an empty buffer sets failbit, which is not an error here.
  if (size > 0) content << file.rdbuf();
  if (!file) return absl::DataLossError(absl::StrCat("cannot read ", path));

  std::string text = std::move(content).str();
  PALATE_RETURN_IF_ERROR(RefusePointerFile(path, text));
  return text;
}

std::string InFolder(const std::string& folder, absl::string_view name) {
  return absl::StrCat(folder, "/", name);
}

bool FileExists(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content) {
  const std::string temporary = absl::StrCat(path, ".tmp.", ::getpid());
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    if (!file) {
      std::remove(temporary.c_str());
      return absl::DataLossError(absl::StrCat("cannot write ", temporary));
    }
  }

  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) {
    std::remove(temporary.c_str());
    return absl::DataLossError(absl::StrCat("cannot rename to ", path, ": ", error.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<JsonConfig> JsonConfig::Load(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFileToString(path));
  return Parse(text, path);
}

absl::StatusOr<JsonConfig> JsonConfig::Parse(absl::string_view text, std::string source) {
  if (NestingDepth(text) > kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " is nested deeper than ", kMaxDepth, " levels"));
  }
  try {
    nlohmann::json json = nlohmann::json::parse(text.begin(), text.end());
    if (!json.is_object())
      return absl::InvalidArgumentError(absl::StrCat(source, " is not a JSON object"));
    return JsonConfig(std::move(json), std::move(source));
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(source, " is not valid JSON: ", error.what()));
  }
}

bool JsonConfig::Has(absl::string_view key) const {
  const auto it = object_.find(std::string(key));
  return it != object_.end() && !it->is_null();
}

absl::StatusOr<const nlohmann::json*> JsonConfig::Find(absl::string_view key) const {
  const auto it = object_.find(std::string(key));

  if (it == object_.end() || it->is_null()) {
    return absl::InvalidArgumentError(absl::StrCat(source_, " lacks the key \"", key, "\""));
  }
  return &*it;
}

absl::Status JsonConfig::WrongType(absl::string_view key, absl::string_view expected) const {
  return absl::InvalidArgumentError(absl::StrCat(source_, ": \"", key, "\" is not ", expected));
}

absl::StatusOr<int64_t> JsonConfig::Int(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* value, Find(key));

  if (!value->is_number_integer()) return WrongType(key, "an integer");
  return value->get<int64_t>();
}

absl::StatusOr<int64_t> JsonConfig::IntIn(absl::string_view key, int64_t low, int64_t high) const {
  PALATE_ASSIGN_OR_RETURN(const int64_t value, Int(key));
  if (value < low || value > high) {
    return absl::InvalidArgumentError(absl::StrCat(source_, ": \"", key, "\" is ", value,
                                                   ", must lie in [", low, ", ", high, "]"));
  }
  return value;
}

absl::StatusOr<double> JsonConfig::Double(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* value, Find(key));
  if (!value->is_number()) return WrongType(key, "a number");
  return value->get<double>();
}

absl::StatusOr<bool> JsonConfig::Bool(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* value, Find(key));
  if (!value->is_boolean()) return WrongType(key, "true or false");
  return value->get<bool>();
}

absl::StatusOr<std::string> JsonConfig::String(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* value, Find(key));
  if (!value->is_string()) return WrongType(key, "a string");
  return value->get<std::string>();
}

absl::StatusOr<JsonConfig> JsonConfig::Object(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* value, Find(key));
  if (!value->is_object()) return WrongType(key, "an object");
  return JsonConfig(*value, absl::StrCat(source_, ": ", key));
}

absl::StatusOr<std::vector<double>> JsonConfig::Doubles(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* value, Find(key));
  if (!value->is_array()) return WrongType(key, "a list of numbers");

  std::vector<double> numbers;
  for (const nlohmann::json& element : *value) {
    if (!element.is_number()) return WrongType(key, "a list of numbers");
    numbers.push_back(element.get<double>());
  }
  return numbers;
}

absl::StatusOr<int64_t> JsonConfig::IntOr(absl::string_view key, int64_t absent) const {
  if (!Has(key)) return absent;
  return Int(key);
}

absl::StatusOr<double> JsonConfig::DoubleOr(absl::string_view key, double absent) const {
  if (!Has(key)) return absent;
  return Double(key);
}

absl::StatusOr<bool> JsonConfig::BoolOr(absl::string_view key, bool absent) const {
  if (!Has(key)) return absent;
  return Bool(key);
}

absl::StatusOr<std::string> JsonConfig::StringOr(absl::string_view key,
                                                 absl::string_view absent) const {
  if (!Has(key)) return std::string(absent);
  return String(key);
}

}  // namespace palate::models
