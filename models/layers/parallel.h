// at::parallel_for, which without OpenMP would be a plain loop, silently. Internal to
// models/layers.
#pragma once

#include <ATen/Parallel.h>

// The fuzzers' compiler has another OpenMP runtime than LibTorch.
#if !defined(_OPENMP) && !defined(PALATE_FUZZ)
#error "compile this with OpenMP: targets with TORCH are"
#endif
