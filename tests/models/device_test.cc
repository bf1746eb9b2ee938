#include "models/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/dtype.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

TEST(OpenDeviceTest, OpensTheProcessorAndNamesWhatIsNoDevice) {
  EXPECT_EQ(OpenDevice("cpu")->type(), c10::DeviceType::CPU);
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1000"}) {
    const absl::Status status = OpenDevice(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST(OpenDeviceTest, SaysWhyThereIsNoGpuAndTakesTheProcessorInstead) {
  const auto gpu = OpenDevice("cuda");
  if (gpu.ok()) GTEST_SKIP() << "this machine has a GPU";

  EXPECT_EQ(gpu.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(gpu.status().message()), HasSubstr("no GPU can be used"));
  EXPECT_EQ(OpenDevice("auto")->type(), c10::DeviceType::CPU);
}

TEST(ParseDtypeTest, ReadsNamesAndRefusesOthers) {
  const c10::Device cpu(c10::DeviceType::CPU);
  for (const char* name : {"fp32", "bf16", "fp16"})
    EXPECT_EQ(DtypeName(*ParseDtype(name, cpu)), name);
  EXPECT_EQ(ParseDtype("float", cpu).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ParseDtypeTest, TakesTheTypeThatTheProcessorAccelerates) {
  const CpuMatrixSupport support = DetectCpuMatrixSupport();

  const auto chosen = ParseDtype("auto", c10::Device(c10::DeviceType::CPU));
  EXPECT_EQ(*chosen, support.avx512_bf16 || support.amx_bf16 ? at::kBFloat16 : at::kFloat);
}

}  // namespace
}  // namespace palate::models
