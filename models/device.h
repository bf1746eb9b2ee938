// Where a model computes.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// "cpu", "cuda" (the first one), "cuda:1", or "auto": a GPU where there is one, else the CPU.
//
// Binaries link LibTorch's CPU part only; its CUDA part is opened here at the first wish for a GPU,
// from LibTorch's own folder, and stays open. InvalidArgument naming another text;
// FailedPrecondition saying what is missing (the CUDA part, a driver, that many GPUs). Thread-safe.
absl::StatusOr<c10::Device> OpenDevice(absl::string_view name);

// The first number of a GPU's compute capability; 0 for the CPU or when it cannot be asked.
int ComputeCapabilityMajor(const c10::Device& device);

}  // namespace palate::models
