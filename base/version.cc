#include "base/version.h"

namespace palate {

absl::string_view Version() { return PALATE_VERSION; }

}  // namespace palate
