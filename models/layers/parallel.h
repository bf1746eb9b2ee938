// at::parallel_for, which would silently become a plain loop without OpenMP. Internal to
// models/layers.
#pragma once

#include <ATen/Parallel.h>

// The fuzzers' compiler has a different OpenMP runtime than LibTorch.
#if !defined(_OPENMP) && !defined(PALATE_FUZZ)
#error "compile this with OpenMP, as targets with TORCH do"
#endif
