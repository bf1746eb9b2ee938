// Configuration: every key has a default, may stand in a YAML file, and has an environment variable
// and a flag as twins.
//
// A struct registers its fields under dotted keys; then a file, the environment and flags are
// applied in this order, so that a flag wins:
//   retrieval:
//     search_threads: 2            PALATE_RETRIEVAL_SEARCH_THREADS=2 --retrieval.search-threads=2
// Unknown keys, values of the wrong type and values out of range are errors that name the file, the
// line and the key.
//
// Not thread-safe: used by main before anything else runs. Borrows the registered fields.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace palate::services {

class Config {
 public:
  void AddString(std::string key, std::string* target, std::string help);
  void AddBool(std::string key, bool* target, std::string help);
  // Bounds are inclusive.
  void AddInt(std::string key, int* target, int low, int high, const std::string& help);
  void AddInt64(std::string key, int64_t* target, int64_t low, int64_t high,
                const std::string& help);
  void AddDouble(std::string key, double* target, double low, double high, const std::string& help);
  // The value is a whole number of milliseconds; the key ends in "_ms".
  void AddMilliseconds(std::string key, absl::Duration* target, int64_t low, int64_t high,
                       const std::string& help);
  // In YAML a map of texts, elsewhere "name=value,name=value".
  void AddMap(std::string key, std::map<std::string, std::string>* target, std::string help);

  absl::Status LoadFile(const std::string& path);
  // `origin` stands before the line in errors.
  absl::Status LoadYaml(const std::string& text, const std::string& origin);
  // `lookup` is getenv or a test's own.
  absl::Status LoadEnvironment(const std::function<const char*(const char*)>& lookup);
  // `key` with dashes or underscores.
  absl::Status SetFlag(absl::string_view key, absl::string_view value);

  // "retrieval.search_threads" -> "PALATE_RETRIEVAL_SEARCH_THREADS".
  static std::string EnvironmentName(absl::string_view key);

  // One paragraph for each key: flag, meaning, range, value now.
  std::string Help() const;
  // "key=value key=value …", for the log.
  std::string Summary() const;
  std::vector<std::string> Keys() const;
  bool Has(absl::string_view key) const;

 private:
  struct Entry {
    std::string help;
    bool is_map = false;
    std::function<absl::Status(absl::string_view)>
        set;  // an error says what is wrong with the value
    std::function<std::string()> get;
  };

  void Add(std::string key, Entry entry);
  absl::Status Set(const Entry& entry, absl::string_view value, absl::string_view where) const;

  friend class ConfigYamlReader;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace palate::services
