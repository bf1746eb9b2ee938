// The precompiled header of every target that links LibTorch: parsing ATen takes most of a file's compile time.

#ifndef PALATE_THIRD_PARTY_TORCH_PCH_H_
#define PALATE_THIRD_PARTY_TORCH_PCH_H_

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#endif  // PALATE_THIRD_PARTY_TORCH_PCH_H_
