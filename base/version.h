// The version of this build. It is written once, in project() of the top CMakeLists.txt.
#pragma once

#include "absl/strings/string_view.h"

namespace palate {

// Such as "0.1.0".
absl::string_view Version();

}  // namespace palate
