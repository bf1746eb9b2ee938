// Chooses the type that a model computes in by measuring it: "auto".
//
// Which type is faster cannot be read off the processor's instructions: with AVX512_BF16 and
// without AMX, bf16 may take twice as long as fp32. So the same work runs in both types in turn,
// and bf16 wins only if its fastest run is clearly the faster one, since fp32 is exact. The outcome
// is remembered, so that a restart does not decide differently and vectors keep their last digits.
//
// Thread-safe.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace palate::models {

struct DtypeRace {
  double fp32_seconds = 0;  // of the fastest run
  double bf16_seconds = 0;

  at::ScalarType winner() const;
  // "measured: bf16 takes 1.86 times as long as fp32".
  std::string Reason() const;
};

// Whether "auto" needs a race here: on a processor with instructions for bf16.
bool DtypeNeedsRace(absl::string_view dtype, const c10::Device& device);

// Runs both in turn: once to warm up, then up to twenty times within `budget`, but five times if
// four budgets are enough for that, and once in any case. The first error.
using RaceRun = std::function<absl::Status()>;
absl::StatusOr<DtypeRace> RaceDtypes(const RaceRun& fp32, const RaceRun& bf16,
                                     absl::Duration budget = absl::Seconds(1));

// Identifies what the speed of a folder's model depends on: the configuration and the size of the
// weights in `folders`, and the processor. 16 hex digits.
std::string RaceKey(const std::vector<std::string>& folders);
// Bytes of the weights in the folders.
int64_t WeightBytes(const std::vector<std::string>& folders);

// The outcome of an earlier race with this key, in this process or, unless `file` is empty, in one
// that wrote the file.
std::optional<DtypeRace> RememberedRace(const std::string& key, const std::string& file);
// Remembers the outcome in this process and adds it to the file. An error names the file; this
// process remembers it all the same.
absl::Status RememberRace(const std::string& key, const DtypeRace& race, const std::string& file);

}  // namespace palate::models
