// Selects the device that a model computes on.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// Opens "cpu", "cuda" (the first GPU), "cuda:1", or "auto" (a GPU if there is one, otherwise the
// CPU).
//
// Binaries link only LibTorch's CPU part. The first request for a GPU loads the CUDA part, which
// stays loaded, from LibTorch's folder or the loader's search path. InvalidArgument for another
// name; FailedPrecondition naming what is missing (the CUDA part, a driver, or a device of that
// number). Thread-safe.
absl::StatusOr<c10::Device> OpenDevice(absl::string_view name);

// The major number of a GPU's compute capability; 0 for the CPU or when it cannot be queried.
int ComputeCapabilityMajor(const c10::Device& device);

}  // namespace palate::models
