// The type that a model computes in.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const c10::Device device, OpenDevice("auto"));
//   PALATE_ASSIGN_OR_RETURN(const at::ScalarType dtype, ParseDtype("auto", device));
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// Parses "fp32", "bf16", "fp16" or "auto". "auto" is the guess by the device's instructions: bf16
// where it has some for it (a GPU of compute capability 8 or higher, or a processor with AMX or
// AVX512_BF16 that the operating system enables), fp16 on older GPUs, and fp32 otherwise. Models
// measure where a guess may be wrong (dtype_race.h). InvalidArgument for another name.
absl::StatusOr<at::ScalarType> ParseDtype(absl::string_view name, const c10::Device& device);

// "fp32", "bf16", "fp16"; "" for any other type.
absl::string_view DtypeName(at::ScalarType type);

// The matrix instructions of this processor that "auto" depends on.
struct CpuMatrixSupport {
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
  bool amx_fp16 = false;
};
CpuMatrixSupport DetectCpuMatrixSupport();

}  // namespace palate::models
