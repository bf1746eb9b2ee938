// Precompiled header for code that uses none of the large libraries.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_PLAIN_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_PLAIN_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_PLAIN_H_
