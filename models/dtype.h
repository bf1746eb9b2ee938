// The type that a model computes in.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// "fp32", "bf16", "fp16", or "auto": bf16 where the device multiplies it faster than fp32 (a GPU
// from compute capability 8; a processor with AMX or AVX512_BF16 that the operating system lets
// programs use), fp16 on older GPUs, else fp32. InvalidArgument naming another text.
absl::StatusOr<at::ScalarType> ParseDtype(absl::string_view name, const c10::Device& device);

// "fp32", "bf16", "fp16"; "" for another type.
absl::string_view DtypeName(at::ScalarType type);

// What "auto" asks of this processor.
struct CpuMatrixSupport {
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
  bool amx_fp16 = false;
};
CpuMatrixSupport DetectCpuMatrixSupport();

}  // namespace palate::models
