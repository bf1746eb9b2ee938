// The subcommands of `palate`. Each receives the arguments after its name. InvalidArgument without
// field violations means a wrong command line (exit code 2).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace palate::services {

using Arguments = std::vector<std::string>;

absl::Status RunServe(const Arguments& arguments);
absl::Status RunRecommend(const Arguments& arguments);
absl::Status RunSearch(const Arguments& arguments);
absl::Status RunSimilar(const Arguments& arguments);
absl::Status RunEvents(const Arguments& arguments);
absl::Status RunStatus(const Arguments& arguments);
absl::Status RunImport(const Arguments& arguments);
absl::Status RunEmbed(const Arguments& arguments);
absl::Status RunDemoCommand(const Arguments& arguments);

}  // namespace palate::services
