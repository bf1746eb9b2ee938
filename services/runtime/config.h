// Configuration: every key has a default and can be set in a YAML file, by an environment variable,
// and by a flag.
//
// Usage:
//   struct CacheConfig {
//     std::string dir;
//     int max_entries = 1000;
//
//     void Bind(Config& config) {
//       config.AddString("cache.dir", &dir, "Folder of the cache.");
//       config.AddInt("cache.max_entries", &max_entries, 1, 1'000'000, "Entries kept.");
//     }
//   };
//
//   CacheConfig cache;
//   Config config;
//   cache.Bind(config);
//   PALATE_RETURN_IF_ERROR(config.LoadFile(path));
//   PALATE_RETURN_IF_ERROR(config.SetFlag("cache.max_entries", "10"));
//
// A struct registers its fields under dotted keys. Then the file, the environment and the flags are
// applied in this order; later sources win:
//   retrieval:
//     search_threads: 2            PALATE_RETRIEVAL_SEARCH_THREADS=2 --retrieval.search-threads=2
// Unknown keys, values of the wrong type and values out of range are errors that name the file, the
// line and the key.
//
// Not thread-safe: used by main before other threads start. Borrows the registered fields.
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
  // In YAML a map of strings, elsewhere "name=value,name=value".
  void AddMap(std::string key, std::map<std::string, std::string>* target, std::string help);

  absl::Status LoadFile(const std::string& path);
  // `origin` precedes the line number in errors.
  absl::Status LoadYaml(const std::string& text, const std::string& origin);
  // `lookup` is getenv, or a test's replacement.
  absl::Status LoadEnvironment(const std::function<const char*(const char*)>& lookup);
  // `key` with dashes or underscores.
  absl::Status SetFlag(absl::string_view key, absl::string_view value);

  // "retrieval.search_threads" -> "PALATE_RETRIEVAL_SEARCH_THREADS".
  static std::string EnvironmentName(absl::string_view key);

  // One paragraph per key: flag with its current value, meaning and range.
  std::string Help() const;
  // "key=value key=value …", for the log.
  std::string Summary() const;
  std::vector<std::string> Keys() const;
  bool Has(absl::string_view key) const;

 private:
  struct Entry {
    std::string help;
    bool is_map = false;
    // Returns an error that describes what is wrong with the value.
    std::function<absl::Status(absl::string_view)> set;
    std::function<std::string()> get;
  };

  void Add(std::string key, Entry entry);
  absl::Status Set(const Entry& entry, absl::string_view value, absl::string_view where) const;

  friend class ConfigYamlReader;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace palate::services
