#include "base/command_line.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace palate {
namespace {

absl::Status WrongFlag(const std::string& name, const std::string& value, absl::string_view limit) {
  return absl::InvalidArgumentError(absl::StrCat("--", name, " is ", value, "; must be ", limit));
}

}  // namespace

std::string FlagName(absl::string_view name) { return absl::StrReplaceAll(name, {{"_", "-"}}); }

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
      line.flags.emplace_back(FlagName(argument.substr(2, equals - 2)),
                              argument.substr(equals + 1));
      continue;
    }
    const std::string name = FlagName(argument.substr(2));
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

absl::StatusOr<Flags> Flags::Parse(const std::vector<std::string>& arguments,
                                   const std::set<std::string>& switches) {
  Flags flags;
  PALATE_ASSIGN_OR_RETURN(flags.line_, ParseCommandLine(arguments, switches));
  return flags;
}

std::string Flags::Text(const std::string& name, std::string fallback) {
  used_.insert(name);
  for (const auto& [flag, value] : line_.flags) {
    if (flag == name) fallback = value;
  }
  return fallback;
}

std::vector<std::string> Flags::Texts(const std::string& name) {
  used_.insert(name);
  std::vector<std::string> values;
  for (const auto& [flag, value] : line_.flags) {
    if (flag == name) values.push_back(value);
  }
  return values;
}

bool Flags::Switch(const std::string& name) { return Text(name) == "true"; }

absl::StatusOr<int> Flags::Int(const std::string& name, int fallback, int low, int high) {
  PALATE_ASSIGN_OR_RETURN(const int64_t value, Int64(name, fallback, low, high));
  return static_cast<int>(value);
}

absl::StatusOr<int64_t> Flags::Int64(const std::string& name, int64_t fallback, int64_t low,
                                     int64_t high) {
  const std::string text = Text(name);
  if (text.empty()) return fallback;
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < low || value > high) {
    return WrongFlag(name, text, absl::StrCat("a whole number from ", low, " to ", high));
  }
  return value;
}

absl::StatusOr<double> Flags::Number(const std::string& name, double fallback, double low,
                                     double high) {
  const std::string text = Text(name);
  if (text.empty()) return fallback;
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !(value >= low && value <= high)) {
    return WrongFlag(name, text, absl::StrCat("a number from ", low, " to ", high));
  }
  return value;
}

absl::StatusOr<absl::Duration> Flags::Milliseconds(const std::string& name,
                                                   absl::Duration fallback) {
  PALATE_ASSIGN_OR_RETURN(
      const int value,
      Int(name, static_cast<int>(absl::ToInt64Milliseconds(fallback)), 1, 86'400'000));
  return absl::Milliseconds(value);
}

absl::StatusOr<absl::Time> Flags::Time(const std::string& name, absl::Time fallback) {
  const std::string text = Text(name);
  if (text.empty()) return fallback;
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error))
    return WrongFlag(name, text, "an RFC 3339 time");
  return time;
}

absl::Status Flags::CheckAllUsed() const {
  for (const auto& [flag, value] : line_.flags) {
    if (used_.count(flag) == 0)
      return absl::InvalidArgumentError(absl::StrCat("unknown flag --", flag));
  }
  return absl::OkStatus();
}

}  // namespace palate
