// The precompiled header of tests of what uses grpc.h.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_TEST_GRPC_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_TEST_GRPC_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "third_party/precompiled/grpc.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_TEST_GRPC_H_
