// Where the files that come with the binaries are.
#pragma once

#include <string>

namespace palate::services {

// "<prefix>/share/<name>" beside the folder of the running executable ("<prefix>/bin").
std::string SharedFile(const std::string& name);

}  // namespace palate::services
