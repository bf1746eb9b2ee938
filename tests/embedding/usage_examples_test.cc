// The usage examples in the headers of embedding/, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/status.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "models/image/image.h"
#include "tests/embedding/dual_encoder_folder.h"

namespace palate::embedding {
namespace {

constexpr char kThisFile[] = "tests/embedding/usage_examples_test.cc";

absl::Status UseEmbeddingModel(const std::string& folder) {
  EmbeddingModelOptions options;
  options.dtype = "auto";
  PALATE_ASSIGN_OR_RETURN(const auto model, EmbeddingModel::Load(folder, options));
  const SpaceInfo* const image = model->info().FindSpace("image");
  const bool embeds_images = image != nullptr && image->available;

  EXPECT_TRUE(embeds_images);
  return absl::OkStatus();
}

absl::Status UseEmbedder(const std::string& folder, const std::string& png) {
  std::vector<SpaceVector> vectors;

  PALATE_ASSIGN_OR_RETURN(const auto model, EmbeddingModel::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const auto embedder, Embedder::Create(model));
  const EmbedInput lamp = {.fields = {"Walnut lamp", "Warm and bright."}, .images = {png}};
  PALATE_ASSIGN_OR_RETURN(const std::vector<EmbedResult> results, embedder->Embed({lamp}));
  if (results[0].status.ok()) vectors = results[0].vectors;

  EXPECT_EQ(vectors.size(), 3u);
  return absl::OkStatus();
}

class UsageExampleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!folder_.exists()) GTEST_SKIP() << "the goldens are absent";
    folder_.WriteVision();
  }

  DualEncoderFolder folder_;
};

TEST_F(UsageExampleTest, EmbeddingModel) {
  ExpectTestHasExampleOf("embedding/embedding_model.h", kThisFile);

  const absl::Status status = UseEmbeddingModel(folder_.path());
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(UsageExampleTest, Embedder) {
  ExpectTestHasExampleOf("embedding/embedder.h", kThisFile);

  models::Image image{.width = 8, .height = 8};
  image.rgb.assign(3 * 8 * 8, 128);
  const absl::Status status = UseEmbedder(folder_.path(), *models::EncodePng(image));
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace palate::embedding
