#include "services/runtime/command_line.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace palate::services {

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments,
                                             const std::set<std::string>& switches) {
  CommandLine line;
  bool only_positional = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (only_positional || !absl::StartsWith(argument, "--")) {
      line.positional.push_back(argument);
      continue;
    }
    if (argument == "--") {
      only_positional = true;
      continue;
    }
    const size_t equals = argument.find('=');
    if (equals != std::string::npos) {
      line.flags.emplace_back(argument.substr(2, equals - 2), argument.substr(equals + 1));
      continue;
    }
    const std::string name = argument.substr(2);
    if (switches.contains(name)) {
      line.flags.emplace_back(name, "true");
    } else if (i + 1 < arguments.size()) {
      line.flags.emplace_back(name, arguments[++i]);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
    }
  }
  return line;
}

}  // namespace palate::services
