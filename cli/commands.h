// The subcommands of `palate`. Each receives the arguments after its name. InvalidArgument without
// field violations means a wrong command line.
//
// Exit codes: 0 everything was done; 1 the command failed; 2 the command line is wrong; 3 lines of
// the input, or parts of them, were not taken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace palate::services {

using Arguments = std::vector<std::string>;

// The exit code of a command that ended with `status`.
int ExitCode(const absl::Status& status);

// OK when `failures` is 0, else the error of exit code 3 that says how many lines or parts of them
// were malformed or refused.
absl::Status CheckAllTaken(int64_t failures);
// The same error with exit code 3.
absl::Status NotTaken(absl::Status error);

absl::Status RunServe(const Arguments& arguments);
absl::Status RunRecommend(const Arguments& arguments);
absl::Status RunSearch(const Arguments& arguments);
absl::Status RunSimilar(const Arguments& arguments);
absl::Status RunEvents(const Arguments& arguments);
absl::Status RunStatus(const Arguments& arguments);
absl::Status RunImport(const Arguments& arguments);
absl::Status RunCatalog(const Arguments& arguments);
absl::Status RunEmbed(const Arguments& arguments);
absl::Status RunDemoCommand(const Arguments& arguments);

}  // namespace palate::services
