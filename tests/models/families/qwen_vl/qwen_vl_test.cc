#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "models/families/qwen2_5_vl/qwen2_5_vl_config.h"
#include "models/families/qwen2_5_vl/vision.h"
#include "models/families/qwen3_vl/qwen3_vl_config.h"
#include "models/families/qwen3_vl/vision.h"
#include "models/families/qwen_vl/positions.h"
#include "models/families/qwen_vl/vision_layers.h"
#include "tests/models/golden_tensors.h"

namespace palate::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kImage = 9;

TEST(PositionsOfTest, CountsUpThroughText) {
  const MropePositions positions = PositionsOf(std::vector<int64_t>{4, 5, 6}, {}, kImage, 10);
  for (const auto& axis : positions.axes) EXPECT_THAT(axis, ElementsAre(10, 11, 12));
  EXPECT_EQ(positions.next, 13);
}

TEST(PositionsOfTest, SpreadsAnImageOverItsGridAndMovesOnByItsLongerSide) {
  const std::vector<int64_t> ids = {1, kImage, kImage, kImage, kImage, kImage, kImage, 2, 3};
  const MropePositions positions =
      PositionsOf(ids, std::vector<MergedGrid>{{.t = 1, .h = 2, .w = 3}}, kImage, 0);

  EXPECT_THAT(positions.axes[0], ElementsAre(0, 1, 1, 1, 1, 1, 1, 4, 5));
  EXPECT_THAT(positions.axes[1], ElementsAre(0, 1, 1, 1, 2, 2, 2, 4, 5));
  EXPECT_THAT(positions.axes[2], ElementsAre(0, 1, 2, 3, 1, 2, 3, 4, 5));
  EXPECT_EQ(positions.next, 6);
}

TEST(PositionsOfTest, TakesSeveralImagesInOrder) {
  const std::vector<int64_t> ids = {kImage, kImage, 1, kImage, 2};
  const MropePositions positions = PositionsOf(
      ids, std::vector<MergedGrid>{{.t = 1, .h = 2, .w = 1}, {.t = 1, .h = 1, .w = 1}}, kImage, 7);

  EXPECT_THAT(positions.axes[0], ElementsAre(7, 7, 9, 10, 11));
  EXPECT_THAT(positions.axes[1], ElementsAre(7, 8, 9, 10, 11));
  EXPECT_THAT(positions.axes[2], ElementsAre(7, 7, 9, 10, 11));
}

TEST(PositionsOfTest, TakesPlaceholdersWithoutAnImageAsText) {
  const MropePositions positions = PositionsOf(std::vector<int64_t>{kImage, 1}, {}, kImage, 3);
  EXPECT_THAT(positions.axes[1], ElementsAre(3, 4));
}

ImagePatches Grid(int64_t t, int64_t h, int64_t w) {
  return {.pixel_values = {}, .grid_t = t, .grid_h = h, .grid_w = w};
}

TEST(WindowsOfTest, CutsWholeAndRaggedWindows) {
  // 3 x 5 merge blocks in windows of 2 x 2.
  const WindowOrder order = WindowsOf(std::vector<ImagePatches>{Grid(1, 6, 10)}, 2, 2);
  EXPECT_THAT(order.lengths, ElementsAre(16, 16, 8, 8, 8, 4));
  EXPECT_THAT(order.blocks, ElementsAre(0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14));
}

TEST(WindowsOfTest, KeepsFramesAndImagesApart) {
  const WindowOrder order =
      WindowsOf(std::vector<ImagePatches>{Grid(2, 2, 2), Grid(1, 4, 2)}, 2, 4);

  EXPECT_THAT(order.lengths, ElementsAre(4, 4, 8));
  EXPECT_THAT(order.blocks, ElementsAre(0, 1, 2, 3));
}

TEST(GridOfTest, FollowsTheMergeBlocksOfEveryFrame) {
  const PatchGrid grid = GridOf(std::vector<ImagePatches>{Grid(2, 2, 4)}, 2);
  EXPECT_THAT(Ids(grid.rows), ElementsAre(0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1));
  EXPECT_THAT(Ids(grid.columns), ElementsAre(0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3));
}

TEST(AttendSegmentsTest, EqualsAttentionUnderABlockMask) {
  const int64_t heads = 2, dim = 8;
  const std::vector<int64_t> lengths = {4, 4, 3, 6, 6, 1};
  const int64_t patches = 24;

  const at::Tensor qkv = at::randn({patches, 3 * heads * dim}, at::kFloat);
  const PatchRotation rotate =
      RotationOf(GridOf(std::vector<ImagePatches>{Grid(1, 4, 6)}, 2), dim, 10000.0, at::kCPU);
  const at::Tensor segmented = AttendSegments(qkv, rotate, heads, lengths);

  at::Tensor allowed = at::zeros({patches, patches}, at::kBool);
  int64_t start = 0;
  for (const int64_t length : lengths) {
    allowed.narrow(0, start, length).narrow(1, start, length).fill_(true);
    start += length;
  }

  const at::Tensor parts = qkv.view({patches, 3, heads, dim});
  const auto by_head = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  const at::Tensor masked = at::scaled_dot_product_attention(by_head(rotate(parts.select(1, 0))),
                                                             by_head(rotate(parts.select(1, 1))),
                                                             by_head(parts.select(1, 2)), allowed);

  ExpectClose(segmented, masked.squeeze(0).transpose(0, 1).reshape({patches, heads * dim}), 1e-5,
              "segments");
}

int64_t PeakResidentBytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{1024} * usage.ru_maxrss;
}

TEST(AttendSegmentsTest, NeedsNoMemoryForTheSquareOfThePatches) {
  const c10::InferenceMode inference;
  constexpr int64_t kPatches = 16384;
  const at::Tensor qkv = at::randn({kPatches, 3 * 8}, at::kFloat);
  const PatchRotation rotate =
      RotationOf(GridOf(std::vector<ImagePatches>{Grid(1, 128, 128)}, 2), 8, 10000.0, at::kCPU);

  const int64_t before = PeakResidentBytes();
  const at::Tensor attended = AttendSegments(qkv, rotate, /*num_heads=*/1, {kPatches});

  EXPECT_EQ(attended.sizes(), (std::vector<int64_t>{kPatches, 8}));
  EXPECT_LT(PeakResidentBytes() - before, 64 << 20);  // the square alone is 1 GiB
}

nlohmann::json ConfigOf(const char* name) {
  const Golden golden(name);
  return golden.exists() ? nlohmann::json::parse(ReadAll(golden.checkpoint() + "/config.json"))
                         : nlohmann::json();
}

TEST(ReadQwen3VlConfigTest, CompletesTheNestedPartsWithTheReferencesDefaults) {
  nlohmann::json config = ConfigOf("qwen3_vl-deepstack");
  if (config.is_null()) GTEST_SKIP() << "the goldens are absent";
  for (const char* key : {"patch_size", "spatial_merge_size", "temporal_patch_size", "hidden_act",
                          "num_position_embeddings"}) {
    config["vision_config"].erase(key);
  }

  config["text_config"].erase("rms_norm_eps");
  config["text_config"]["rope_scaling"].erase("mrope_section");

  const auto read = ReadQwen3VlConfig(JsonConfig(config, "config.json"));
  ASSERT_TRUE(read.ok()) << read.status();

  EXPECT_EQ(*read->vision.Int("num_position_embeddings"), 2304);
  EXPECT_DOUBLE_EQ(read->decoder.rms_norm_eps, 1e-6);
  EXPECT_THAT(read->decoder.rope.mrope_section, ElementsAre(24, 20, 20));
  EXPECT_TRUE(read->decoder.rope.mrope_interleaved);
  EXPECT_TRUE(read->decoder.qk_norm);
}

TEST(ReadQwen3VlConfigTest, LetsTheTopDecideOnTiedEmbeddings) {
  nlohmann::json config = ConfigOf("qwen3_vl-deepstack");
  if (config.is_null()) GTEST_SKIP() << "the goldens are absent";

  const auto tied = [](const nlohmann::json& json) {
    return ReadQwen3VlConfig(JsonConfig(json, "config.json"))->decoder.tie_word_embeddings;
  };

  EXPECT_TRUE(tied(config));
  config["tie_word_embeddings"] = false;
  EXPECT_FALSE(tied(config));
  config.erase("tie_word_embeddings");
  EXPECT_TRUE(tied(config));
}

TEST(Qwen3VisionConfigTest, RefusesDeepstackLayersThatDoNotExist) {
  nlohmann::json config = ConfigOf("qwen3_vl-deepstack");
  if (config.is_null()) GTEST_SKIP() << "the goldens are absent";
  for (const nlohmann::json& layers :
       {nlohmann::json{4}, nlohmann::json{-1}, nlohmann::json{1, 1}, nlohmann::json{0.5}}) {
    config["vision_config"]["deepstack_visual_indexes"] = layers;
    const auto status =
        Qwen3VisionConfig::FromJson(ReadQwen3VlConfig(JsonConfig(config, "config.json"))->vision)
            .status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("deepstack_visual_indexes")) << layers;
  }
}

TEST(Qwen25VisionConfigTest, ReadsWhichLayersSeeTheWholeImage) {
  nlohmann::json config = ConfigOf("qwen2_5_vl-window");
  if (config.is_null()) GTEST_SKIP() << "the goldens are absent";

  const auto read = [&] {
    return Qwen25VisionConfig::FromJson(
        ReadQwen25VlConfig(JsonConfig(config, "config.json"))->vision);
  };

  EXPECT_THAT(read()->sees_whole_image, ElementsAre(false, true, false, true));
  EXPECT_EQ(read()->window_blocks(), 2);

  config["vision_config"]["window_size"] = 27;
  EXPECT_THAT(std::string(read().status().message()), HasSubstr("window_size"));

  config["vision_config"]["window_size"] = 28;
  config["vision_config"]["fullatt_block_indexes"] = {-1};
  EXPECT_THAT(std::string(read().status().message()), HasSubstr("fullatt_block_indexes"));
  config["vision_config"]["fullatt_block_indexes"] = nlohmann::json::array();
  EXPECT_THAT(read()->sees_whole_image, ElementsAre(false, false, false, false));
}

}  // namespace
}  // namespace palate::models
