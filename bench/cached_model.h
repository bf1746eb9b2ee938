// Where the benchmarks find the models that set-up fetches.
#pragma once

#include <cstdlib>
#include <string>

namespace palate::bench {

inline std::string EnvironmentOr(const char* name, const std::string& absent) {
  const char* value = std::getenv(name);
  return value == nullptr ? absent : value;
}

// `given`, or if it is empty the folder `name` of the download cache.
inline std::string CachedModelFolder(const std::string& given, const std::string& name) {
  if (!given.empty()) return given;
  const std::string cache =
      EnvironmentOr("XDG_CACHE_HOME", EnvironmentOr("HOME", "") + "/.cache") + "/palate";
  return EnvironmentOr("PALATE_CACHE_DIR", cache) + "/" + name;
}

}  // namespace palate::bench
