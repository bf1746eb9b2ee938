// Precompiled header for code that uses LibTorch: parsing ATen takes most of a file's compile time.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_TORCH_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_TORCH_H_

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "third_party/precompiled/plain.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_TORCH_H_
