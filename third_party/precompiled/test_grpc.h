// Precompiled header for tests of code that uses grpc.h.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_TEST_GRPC_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_TEST_GRPC_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "third_party/precompiled/grpc.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_TEST_GRPC_H_
