// A small dual encoder for tests: the text tower of a golden and an image tower with random
// weights.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "embedding/embedding_model.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::embedding {

class DualEncoderFolder {
 public:
  static constexpr int kDimensions = 64;

  DualEncoderFolder() : golden_("bert-mean") {
    if (!golden_.exists()) return;
    models::CopyFolder(golden_.checkpoint(), file("text"));
    WriteDualEncoderJson(nlohmann::json::object());
  }

  bool exists() const { return golden_.exists(); }
  const std::string& path() const { return folder_.path(); }
  std::string file(const std::string& name) const { return folder_.file(name); }

  // dual_encoder.json with `changes` merged into it.
  void WriteDualEncoderJson(const nlohmann::json& changes) {
    nlohmann::json json = {{"format", 1},
                           {"name", "small"},
                           {"dimensions", kDimensions},
                           {"text", {{"folder", "text"}}},
                           {"vision", {{"folder", "vision"}, {"pooling", "cls"}}},
                           {"fusion", {{"text", 0.75}, {"image", 0.25}}},
                           {"calibration",
                            {{"text", {{"mean", 0.1}, {"deviation", 0.2}}},
                             {"image", {{"mean", 0.3}, {"deviation", 0.4}}}}}};
    json.merge_patch(changes);
    models::WriteAll(file("dual_encoder.json"), json.dump());
  }

  void WriteVision(int dimensions = kDimensions, uint64_t seed = 1) {
    models::VitConfig config;
    config.image_size = 32;
    config.patch_size = 8;
    config.hidden_size = 24;
    config.intermediate_size = 48;
    config.num_layers = 2;
    config.num_heads = 2;
    config.projection_dim = dimensions;
    config.initializer_range = 0.2;

    auto model = models::VitModel::CreateRandom(config, seed);
    ASSERT_TRUE(model.ok()) << model.status();
    ASSERT_TRUE((*model)->Save(file("vision")).ok());

    models::ImageProcessorConfig input;
    input.resize_height = input.resize_width = 32;
    input.mean = input.std = {0.5, 0.5, 0.5};
    models::WriteAll(file("vision/preprocessor_config.json"), input.ToJson().dump());
  }

 private:
  models::Golden golden_;
  TempFolder folder_;
};

}  // namespace palate::embedding
