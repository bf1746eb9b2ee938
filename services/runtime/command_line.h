// Splits a command line into flags and the rest. Flags are --name=value, --name value, or --name
// for switches.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace palate::services {

struct CommandLine {
  std::vector<std::pair<std::string, std::string>>
      flags;  // in order; switches have the value "true"
  std::vector<std::string> positional;
};

// `switches` are the flags that take no value unless it follows "=". InvalidArgument for a flag
// without its value. "--" ends the flags.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments,
                                             const std::set<std::string>& switches);

}  // namespace palate::services
