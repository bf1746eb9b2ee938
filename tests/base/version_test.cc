#include "base/version.h"

#include <gtest/gtest.h>

namespace palate {
namespace {

TEST(VersionTest, IsTheProjectsVersion) { EXPECT_EQ(Version(), PALATE_PROJECT_VERSION); }

}  // namespace
}  // namespace palate
