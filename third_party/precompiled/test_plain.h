// Precompiled header for tests of code that uses plain.h.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_TEST_PLAIN_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_TEST_PLAIN_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "third_party/precompiled/plain.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_TEST_PLAIN_H_
