// Measures the memory that loading takes: the growth of the peak resident size, compared with the
// size of the weights in their compute type.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <fstream>
#include <string>

#include "models/decoder/decoder.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

// A field of this process's status, "VmRSS" or "VmHWM", in bytes.
int64_t StatusBytes(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(field + ":", 0) == 0) return std::stoll(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

// Resets the peak to the current size.
void ResetPeak() {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

// A decoder of 110 million parameters: 210 MiB in bf16, 420 MiB in float32.
DecoderConfig WideConfig() {
  DecoderConfig config;
  config.vocab_size = 44000;
  config.hidden_size = 1024;
  config.intermediate_size = 4096;
  config.num_layers = 4;
  config.num_heads = 16;
  config.num_kv_heads = 8;
  config.head_dim = 64;
  config.max_positions = 128;
  return config;
}

// Whether a sanitizer is in this build: its shadow memory and its delayed frees count as growth.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class LoadMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory counts as growth";
  }

  LoadMemoryTest() {
    const DecoderConfig config = WideConfig();
    WriteAll(folder_.file("config.json"), config.ToJson()->dump());

    std::map<std::string, at::Tensor> tensors;
    const auto model = *DecoderModel::CreateRandom(TinyConfig(), 1);

    // Names and ranks come from a tiny model of the same depth, sizes from the wide one. The values
    // do not matter.
    const auto wide = [&](int64_t extent) {
      return extent == kTinyVocabulary     ? config.vocab_size
             : extent == kTinyHidden       ? config.hidden_size
             : extent == kTinyIntermediate ? config.intermediate_size
             : extent == kTinyQuery        ? config.num_heads * config.head_dim
                                           : config.num_kv_heads * config.head_dim;
    };

    for (const Parameter& parameter : model->Parameters()) {
      std::vector<int64_t> shape;
      for (const int64_t extent : parameter.shape) shape.push_back(wide(extent));
      tensors[parameter.name] = at::full(shape, 0.01, at::kBFloat16);
      stored_bytes_ += static_cast<int64_t>(tensors[parameter.name].nbytes());
    }

    EXPECT_TRUE(SaveTensors(tensors, folder_.file("model.safetensors")).ok());
  }

  // Loads and computes, so that every weight is read. Returns the growth of the peak.
  int64_t PeakGrowth(at::ScalarType dtype) {
    // Exclude the memory that LibTorch allocates at its first multiplication.
    at::linear(at::ones({4, 256}, dtype), at::ones({256, 256}, dtype));

    ResetPeak();
    const int64_t before = StatusBytes("VmRSS");

    const auto checkpoint = Checkpoint::Open(folder_.path());
    const auto model = DecoderModel::Load(*checkpoint, {.dtype = dtype});
    EXPECT_TRUE(model.ok()) << model.status();
    EXPECT_TRUE(checkpoint->WeightsDigest().ok());

    const c10::InferenceMode inference;
    (*model)->Logits((*model)->Forward(PackTokens({{1, 2, 3}})));

    const int64_t growth = StatusBytes("VmHWM") - before;
    const auto width = static_cast<int64_t>(dtype == at::kFloat ? 2 : 1);
    RecordProperty("percent_of_weights", std::to_string(100 * growth / (width * stored_bytes_)));
    return growth;
  }

  static constexpr int64_t kTinyVocabulary = 3, kTinyHidden = 5, kTinyIntermediate = 7,
                           kTinyQuery = 8;
  static DecoderConfig TinyConfig() {
    DecoderConfig config = WideConfig();
    config.vocab_size = kTinyVocabulary;
    config.hidden_size = kTinyHidden;
    config.intermediate_size = kTinyIntermediate;
    config.num_heads = 4;
    config.num_kv_heads = 2;
    config.head_dim = 2;
    return config;
  }

  TempFolder folder_;
  int64_t stored_bytes_ = 0;
};

TEST_F(LoadMemoryTest, GrowsByLittleMoreThanTheWeightsKeptInBfloat16) {
  EXPECT_GE(stored_bytes_, int64_t{200} << 20);
  EXPECT_LE(PeakGrowth(at::kBFloat16), stored_bytes_ * 115 / 100);
}

TEST_F(LoadMemoryTest, GrowsByLittleMoreThanTheWeightsWidenedToFloat32) {
  EXPECT_LE(PeakGrowth(at::kFloat), 2 * stored_bytes_ * 115 / 100);
}

}  // namespace
}  // namespace palate::models
