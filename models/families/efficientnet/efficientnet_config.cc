#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/efficientnet/efficientnet.h"
#include "models/layers/encoder_config.h"

namespace palate::models {
namespace {

struct Variant {
  absl::string_view name;
  double width;
  double depth;
};
constexpr Variant kVariants[] = {{"lite0", 1.0, 1.0},
                                 {"lite1", 1.0, 1.1},
                                 {"lite2", 1.1, 1.2},
                                 {"lite3", 1.2, 1.4},
                                 {"lite4", 1.4, 1.8}};

// The stages of lite0. Their channels grow with the width, their repeats with the depth; those of
// the first and the last stage stay.
struct Stage {
  int64_t repeats;
  int64_t kernel_size;
  int64_t stride;  // of the first block
  int64_t expansion;
  int64_t channels;
};
constexpr std::array<Stage, 7> kStages = {{{1, 3, 1, 1, 16},
                                           {2, 3, 2, 6, 24},
                                           {2, 5, 2, 6, 40},
                                           {3, 3, 2, 6, 80},
                                           {3, 5, 1, 6, 112},
                                           {4, 5, 2, 6, 192},
                                           {1, 3, 1, 6, 320}}};
constexpr int64_t kStemChannels = 32;
constexpr double kMaxCoefficient = 8;
constexpr int64_t kMaxLabels = 100'000;

// The nearest multiple of 8 that loses at most a tenth of the channels.
int64_t ScaledChannels(int64_t channels, double width) {
  const double exact = static_cast<double>(channels) * width;
  const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(exact + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * exact ? rounded + 8 : rounded;
}

absl::Status ReadCoefficients(const JsonConfig& config, EfficientNetLiteConfig& result) {
  if (!config.Has("variant")) {
    PALATE_ASSIGN_OR_RETURN(result.width_coefficient, config.Double("width_coefficient"));
    PALATE_ASSIGN_OR_RETURN(result.depth_coefficient, config.Double("depth_coefficient"));
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(const std::string name, config.String("variant"));
  const auto* const variant = std::find_if(std::begin(kVariants), std::end(kVariants),
                                           [&](const Variant& row) { return row.name == name; });
  if (variant == std::end(kVariants)) {
    return absl::UnimplementedError(
        absl::StrCat(config.source(), ": variant ", QuoteForMessage(name),
                     " is not supported; supported are lite0, lite1, lite2, lite3 and lite4"));
  }

  PALATE_ASSIGN_OR_RETURN(result.width_coefficient,
                          config.DoubleOr("width_coefficient", variant->width));
  PALATE_ASSIGN_OR_RETURN(result.depth_coefficient,
                          config.DoubleOr("depth_coefficient", variant->depth));
  if (result.width_coefficient != variant->width || result.depth_coefficient != variant->depth) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.source(), ": variant ", name, " has the width_coefficient ", variant->width,
        " and the depth_coefficient ", variant->depth, ", but the file says ",
        result.width_coefficient, " and ", result.depth_coefficient));
  }
  return absl::OkStatus();
}

// The names of the classes: "id2label" maps "0", "1", … to them.
absl::StatusOr<std::vector<std::string>> ReadLabels(const JsonConfig& config, int64_t count) {
  std::vector<std::string> labels;
  if (!config.Has("id2label")) return labels;

  PALATE_ASSIGN_OR_RETURN(const JsonConfig names, config.Object("id2label"));
  if (static_cast<int64_t>(names.json().size()) != count) {
    return absl::InvalidArgumentError(absl::StrCat(config.source(), ": id2label names ",
                                                   names.json().size(),
                                                   " classes, but num_labels is ", count));
  }
  for (int64_t i = 0; i < count; ++i) {
    PALATE_ASSIGN_OR_RETURN(labels.emplace_back(), names.String(absl::StrCat(i)));
  }
  return labels;
}

}  // namespace

absl::StatusOr<EfficientNetLiteConfig> EfficientNetLiteConfig::FromJson(const JsonConfig& config) {
  PALATE_RETURN_IF_ERROR(RefuseUnsupportedKeys(config));
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("model_type"));
  if (type != "efficientnet_lite") {
    return absl::UnimplementedError(absl::StrCat(
        config.source(), ": model_type ", QuoteForMessage(type), " is not efficientnet_lite"));
  }
  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.StringOr("hidden_act", "relu6"));
  if (activation != "relu6") {
    return absl::UnimplementedError(absl::StrCat(config.source(), ": hidden_act ",
                                                 QuoteForMessage(activation),
                                                 " is not supported; supported is relu6"));
  }

  EfficientNetLiteConfig result;
  PALATE_RETURN_IF_ERROR(ReadCoefficients(config, result));
  PALATE_ASSIGN_OR_RETURN(result.image_size, config.IntIn("image_size", 1, kMaxTowerExtent));
  PALATE_RETURN_IF_ERROR(config.IntIn("num_channels", 3, 3).status());
  PALATE_ASSIGN_OR_RETURN(result.batch_norm_eps, config.Double("batch_norm_eps"));
  if (config.Has("num_labels")) {
    PALATE_ASSIGN_OR_RETURN(result.num_labels, config.IntIn("num_labels", 0, kMaxLabels));
  }
  PALATE_ASSIGN_OR_RETURN(result.labels, ReadLabels(config, result.num_labels));

  PALATE_RETURN_IF_ERROR(Annotate(result.Validate(), config.source()));
  return result;
}

absl::Status EfficientNetLiteConfig::Validate() const {
  for (const auto& [name, value] : {std::pair("width_coefficient", width_coefficient),
                                    std::pair("depth_coefficient", depth_coefficient)}) {
    if (!(value > 0) || value > kMaxCoefficient) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " (", value, ") is not above 0 and at most ", kMaxCoefficient));
    }
  }
  if (image_size < 1) return absl::InvalidArgumentError("image_size is below 1");
  if (!(batch_norm_eps > 0) || !std::isfinite(batch_norm_eps))
    return absl::InvalidArgumentError("batch_norm_eps is not above 0");
  if (num_labels < 0) return absl::InvalidArgumentError("num_labels is below 0");
  return absl::OkStatus();
}

std::vector<EfficientNetLiteConfig::Block> EfficientNetLiteConfig::Blocks() const {
  std::vector<Block> blocks;
  int64_t channels = kStemChannels;

  for (size_t i = 0; i < kStages.size(); ++i) {
    const Stage& stage = kStages[i];
    const bool fixed = i == 0 || i + 1 == kStages.size();
    const int64_t repeats = fixed ? stage.repeats
                                  : static_cast<int64_t>(std::ceil(
                                        depth_coefficient * static_cast<double>(stage.repeats)));

    for (int64_t repeat = 0; repeat < repeats; ++repeat) {
      blocks.push_back({.in_channels = channels,
                        .expanded_channels = channels * stage.expansion,
                        .out_channels = ScaledChannels(stage.channels, width_coefficient),
                        .kernel_size = stage.kernel_size,
                        .stride = repeat == 0 ? stage.stride : 1,
                        .adds_input = repeat > 0});
      channels = blocks.back().out_channels;
    }
  }

  return blocks;
}

std::map<std::string, std::vector<int64_t>> EfficientNetLiteConfig::TensorShapes() const {
  std::map<std::string, std::vector<int64_t>> shapes;
  const auto add = [&](const std::string& convolution, const std::string& norm, int64_t out,
                       int64_t in, int64_t kernel_size) {
    shapes[convolution + ".weight"] = {out, in, kernel_size, kernel_size};
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
      shapes[norm + part] = {out};
  };

  const std::vector<Block> blocks = Blocks();
  add("_conv_stem", "_bn0", kStemChannels, 3, 3);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    const std::string prefix = absl::StrCat("_blocks.", i, ".");
    if (block.expands())
      add(prefix + "_expand_conv", prefix + "_bn0", block.expanded_channels, block.in_channels, 1);
    add(prefix + "_depthwise_conv", prefix + "_bn1", block.expanded_channels, 1, block.kernel_size);
    add(prefix + "_project_conv", prefix + "_bn2", block.out_channels, block.expanded_channels, 1);
  }
  add("_conv_head", "_bn1", kFeatures, blocks.back().out_channels, 1);

  if (num_labels > 0) {
    shapes["_fc.weight"] = {num_labels, kFeatures};
    shapes["_fc.bias"] = {num_labels};
  }
  return shapes;
}

}  // namespace palate::models
