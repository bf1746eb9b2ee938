// at::parallel_for, which would silently become a plain loop without OpenMP. Internal to
// models/layers.
#pragma once

#include <ATen/Parallel.h>

// Clang, which builds the fuzzers and checks the sources, has a different OpenMP runtime than
// LibTorch.
#if !defined(_OPENMP) && !defined(__clang__)
#error "compile this with OpenMP, as targets with TORCH do"
#endif
