// Paths of the files that are installed with the binaries.
#pragma once

#include <string>

namespace palate::services {

// "<prefix>/share/<name>" beside the folder of the running executable ("<prefix>/bin").
std::string SharedFile(const std::string& name);

}  // namespace palate::services
