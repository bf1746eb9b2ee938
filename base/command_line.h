// The command line of every program: typed flags and positional arguments.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(Flags flags, Flags::Parse(arguments, {"resume", "help"}));
//   const std::string out = flags.Text("out");
//   PALATE_ASSIGN_OR_RETURN(const int threads, flags.Int("threads", 1, 1, 64));
//   PALATE_RETURN_IF_ERROR(flags.CheckAllUsed());
//
// A flag is --name=value, --name value, or --name for a switch. In names a dash and an underscore
// are the same: --data-dir is --data_dir. Help texts print dashes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace palate {

struct CommandLine {
  // In order. Names have dashes; switches have the value "true".
  std::vector<std::pair<std::string, std::string>> flags;
  std::vector<std::string> positional;
};

// `name` with a dash for each underscore: how flags are named in CommandLine and in help texts.
std::string FlagName(absl::string_view name);

// `switches` are the flags that take no value unless it follows "=". InvalidArgument for a flag
// without its value. "--" ends the flags.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments,
                                             const std::set<std::string>& switches);

// A parsed command line. The getters mark flags as used; CheckAllUsed() refuses the others. Flag
// names have dashes here. Not thread-safe.
class Flags {
 public:
  // `switches` are the flags without a value.
  static absl::StatusOr<Flags> Parse(const std::vector<std::string>& arguments,
                                     const std::set<std::string>& switches);

  // The last value of the flag, or `fallback`.
  std::string Text(const std::string& name, std::string fallback = "");
  // Every value of a flag that may be repeated.
  std::vector<std::string> Texts(const std::string& name);
  bool Switch(const std::string& name);
  // InvalidArgument naming the flag, its value and the bounds, which are inclusive.
  absl::StatusOr<int> Int(const std::string& name, int fallback, int low, int high);
  absl::StatusOr<int64_t> Int64(const std::string& name, int64_t fallback, int64_t low,
                                int64_t high);
  absl::StatusOr<double> Number(const std::string& name, double fallback, double low, double high);
  // A whole number of milliseconds.
  absl::StatusOr<absl::Duration> Milliseconds(const std::string& name, absl::Duration fallback);
  // RFC 3339; `fallback` when absent.
  absl::StatusOr<absl::Time> Time(const std::string& name, absl::Time fallback);

  const std::vector<std::string>& positional() const { return line_.positional; }
  // InvalidArgument naming the first flag that no getter read.
  absl::Status CheckAllUsed() const;

 private:
  CommandLine line_;
  std::set<std::string> used_;
};

}  // namespace palate
