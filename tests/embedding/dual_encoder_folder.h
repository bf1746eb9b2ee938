// A small dual encoder for tests: the text tower of a golden, and an image tower or a ConSE head
// with random weights.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "embedding/embedding_model.h"
#include "models/checkpoint/parameters.h"
#include "models/families/conse/conse_head.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::embedding {

class DualEncoderFolder {
 public:
  static constexpr int kDimensions = 64;
  static constexpr int kClasses = 5;  // of the golden's EfficientNet-Lite

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

    WriteProcessor("vision", 32);
  }

  // An EfficientNet-Lite and its head in place of the vision transformer.
  void WriteConse(int dimensions = kDimensions, int classes = kClasses, uint64_t seed = 1) {
    std::filesystem::remove_all(file("vision"));
    models::CopyFolder(
        std::string(PALATE_SOURCE_DIR) + "/tests/goldens/efficientnet_lite-tiny/checkpoint",
        file("vision"));
    const nlohmann::json config = {{"model_type", "conse_head"},
                                   {"format", 1},
                                   {"dimensions", dimensions},
                                   {"num_classes", classes},
                                   {"temperature", 2},
                                   {"class_share", 0.3},
                                   {"detail_components", 3},
                                   {"color_softness", 8},
                                   {"kinds", {"mug", "lamp"}},
                                   {"colors",
                                    {{{"word", "black"}, {"prototypes", {{0, 0, 0}}}},
                                     {{"word", "white"}, {"prototypes", {{255, 255, 255}}}}}},
                                   {"patterns", {"striped"}}};
    std::filesystem::create_directories(file("head"));
    models::WriteAll(file("head/config.json"), config.dump());
    WriteProcessor("head", 96);
    WriteHead(dimensions, classes, seed);
    WriteDualEncoderJson({{"vision", {{"pooling", nullptr}, {"head", "head"}}}});
  }

  void WriteProcessor(const std::string& folder, int size) {
    models::ImageProcessorConfig input;
    input.resize_height = input.resize_width = size;
    input.mean = input.std = {0.5, 0.5, 0.5};
    models::WriteAll(file(folder + "/preprocessor_config.json"), input.ToJson().dump());
  }

 private:
  void WriteHead(int dimensions, int classes, uint64_t seed) {
    constexpr int64_t kFeatures = models::EfficientNetLiteConfig::kFeatures;
    std::map<std::string, at::Tensor> tensors;
    models::ParameterList list;
    const auto add = [&](const char* name, std::vector<int64_t> shape) {
      list.push_back({.name = name,
                      .shape = std::move(shape),
                      .init = models::Init::Normal(0.1),
                      .tensor = &tensors[name]});
    };
    add("class_vectors", {classes, dimensions});
    add("class_familiarity", {classes});
    add("kind_weight", {2, 6 * kFeatures});
    add("kind_bias", {2});
    add("kind_vectors", {2, dimensions});
    add("color_vectors", {2, dimensions});
    add("pattern_weight", {1, kFeatures});
    add("pattern_bias", {1});
    add("pattern_vectors", {1, dimensions});
    add("drawing_weight", {dimensions, kFeatures + 2});
    add("drawing_bias", {dimensions});
    add("drawing_gate_weight", {kFeatures});
    add("drawing_gate_bias", {1});
    add("detail_weight", {3, kFeatures});
    add("detail_bias", {3});
    add("detail_directions", {dimensions, 3});
    ASSERT_TRUE(models::InitializeParameters(list, seed, /*trainable=*/false).ok());
    ASSERT_TRUE(models::SaveParameters(list, file("head/model.safetensors")).ok());
  }

  models::Golden golden_;
  TempFolder folder_;
};

}  // namespace palate::embedding
