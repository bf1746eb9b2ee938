// Precompiled header for tests of code that uses torch.h.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_TEST_TORCH_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_TEST_TORCH_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "third_party/precompiled/torch.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_TEST_TORCH_H_
