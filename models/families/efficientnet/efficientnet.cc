#include "models/families/efficientnet/efficientnet.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// Pictures that go through the layers together on a CPU. The feature maps of more do not fit into
// its caches, which makes each picture slower.
constexpr int64_t kPicturesAtOnce = 2;

// The padding before and after one side that keeps ceil(size / stride) positions.
std::pair<int64_t, int64_t> SamePadding(int64_t size, int64_t kernel_size, int64_t stride) {
  const int64_t positions = (size + stride - 1) / stride;
  const int64_t total = std::max<int64_t>(0, (positions - 1) * stride + kernel_size - size);
  return {total / 2, total - total / 2};
}

}  // namespace

// Reads all tensors of a folder and folds them to convolutions.
class EfficientNetLite::Loader {
 public:
  Loader(const Checkpoint& checkpoint, const EfficientNetLiteConfig& config,
         const LoadOptions& options)
      : checkpoint_(checkpoint), config_(config), options_(options) {}

  absl::Status Read() {
    ParameterList list;
    for (const auto& [name, shape] : config_.TensorShapes())
      list.push_back({.name = name, .shape = shape, .init = {}, .tensor = &tensors_[name]});
    return LoadParameters(checkpoint_, list, {.ignored_suffixes = {".num_batches_tracked"}});
  }

  absl::Status Fill(EfficientNetLite& model) {
    const std::vector<EfficientNetLiteConfig::Block> blocks = config_.Blocks();
    PALATE_ASSIGN_OR_RETURN(model.stem_, Fold("_conv_stem", "_bn0", {.stride = 2}));
    for (size_t i = 0; i < blocks.size(); ++i) {
      PALATE_ASSIGN_OR_RETURN(model.blocks_.emplace_back(), FoldBlock(i, blocks[i]));
    }
    PALATE_ASSIGN_OR_RETURN(model.head_, Fold("_conv_head", "_bn1", {}));

    if (config_.num_labels > 0) {
      model.classifier_weight_ = Own(tensors_.at("_fc.weight"));
      model.classifier_bias_ = Own(tensors_.at("_fc.bias"));
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Block> FoldBlock(size_t index, const EfficientNetLiteConfig::Block& block) {
    const std::string prefix = absl::StrCat("_blocks.", index, ".");
    Block result{.adds_input = block.adds_input};
    if (block.expands()) {
      PALATE_ASSIGN_OR_RETURN(result.expand, Fold(prefix + "_expand_conv", prefix + "_bn0", {}));
    }
    PALATE_ASSIGN_OR_RETURN(result.depthwise,
                            Fold(prefix + "_depthwise_conv", prefix + "_bn1",
                                 {.stride = block.stride, .groups = block.expanded_channels}));
    PALATE_ASSIGN_OR_RETURN(result.project,
                            Fold(prefix + "_project_conv", prefix + "_bn2", {.relu6 = false}));
    return result;
  }

  // `convolution` has what the tensors do not say.
  absl::StatusOr<Convolution> Fold(const std::string& name, const std::string& norm,
                                   Convolution convolution) {
    const auto tensor = [&](const std::string& key) { return tensors_.at(key).to(at::kDouble); };
    const at::Tensor scale =
        tensor(norm + ".weight") / (tensor(norm + ".running_var") + config_.batch_norm_eps).sqrt();
    const at::Tensor weight = tensor(name + ".weight") * scale.view({-1, 1, 1, 1});
    const at::Tensor bias = tensor(norm + ".bias") - tensor(norm + ".running_mean") * scale;

    if (!weight.isfinite().all().item<bool>() || !bias.isfinite().all().item<bool>()) {
      return absl::InvalidArgumentError(absl::StrCat(checkpoint_.folder(), ": ", name, " and ",
                                                     norm,
                                                     " give weights that are not finite numbers"));
    }

    const at::TensorOptions place =
        at::TensorOptions().dtype(options_.dtype).device(options_.device);
    convolution.weight = weight.to(place).contiguous(at::MemoryFormat::ChannelsLast);
    convolution.bias = bias.to(place);
    return convolution;
  }

  // In memory of its own, so that the pages of the file can be released.
  at::Tensor Own(const at::Tensor& mapped) const {
    return mapped.to(options_.device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  const Checkpoint& checkpoint_;
  const EfficientNetLiteConfig& config_;
  const LoadOptions& options_;
  std::map<std::string, at::Tensor> tensors_;
};

absl::StatusOr<std::shared_ptr<const EfficientNetLite>> EfficientNetLite::Load(
    const Checkpoint& checkpoint, const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const EfficientNetLiteConfig config,
                          EfficientNetLiteConfig::FromJson(checkpoint.config()));
  std::shared_ptr<EfficientNetLite> model(new EfficientNetLite(config));
  Loader loader(checkpoint, config, options);
  PALATE_RETURN_IF_ERROR(loader.Read());
  PALATE_RETURN_IF_ERROR(CatchTorch([&] { return loader.Fill(*model); }));
  checkpoint.ReleasePages();
  return model;
}

at::Tensor EfficientNetLite::Convolution::operator()(const at::Tensor& x) const {
  const auto [top, bottom] = SamePadding(x.size(2), weight.size(2), stride);
  const auto [left, right] = SamePadding(x.size(3), weight.size(3), stride);

  // ATen pads both ends alike; where they differ, the input is padded first.
  const bool even = top == bottom && left == right;
  const at::Tensor input = even ? x : at::constant_pad_nd(x, {left, right, top, bottom});
  const std::vector<int64_t> padding =
      even ? std::vector<int64_t>{top, left} : std::vector<int64_t>{0, 0};
  at::Tensor y = at::conv2d(input, weight, bias, {stride, stride}, padding, {1, 1}, groups);
  return relu6 ? at::hardtanh_(y, 0, 6) : y;
}

at::Tensor EfficientNetLite::Block::operator()(const at::Tensor& x) const {
  const at::Tensor expanded = expand.weight.defined() ? expand(x) : x;
  at::Tensor y = project(depthwise(expanded));
  return adds_input ? y.add_(x) : y;
}

// The maps of all pictures in order, a few pictures in each; or their means, in float32.
std::vector<at::Tensor> EfficientNetLite::FeatureMaps(const at::Tensor& pixels, bool pooled) const {
  const int64_t step =
      stem_.weight.is_cpu() ? kPicturesAtOnce : std::max<int64_t>(1, pixels.size(0));
  std::vector<at::Tensor> maps;
  for (const at::Tensor& part : pixels.split(step)) {
    at::Tensor x =
        stem_(part.to(stem_.weight.options()).contiguous(at::MemoryFormat::ChannelsLast));
    for (const Block& block : blocks_) x = block(x);
    x = head_(x);
    maps.push_back(pooled ? x.to(at::kFloat).mean({2, 3}) : x);
  }
  return maps;
}

at::Tensor EfficientNetLite::FeatureMap(const at::Tensor& pixels) const {
  return at::cat(FeatureMaps(pixels, /*pooled=*/false));
}

at::Tensor EfficientNetLite::Features(const at::Tensor& pixels) const {
  return at::cat(FeatureMaps(pixels, /*pooled=*/true));
}

at::Tensor EfficientNetLite::Logits(const at::Tensor& features) const {
  return at::linear(features.to(classifier_weight_.options()), classifier_weight_,
                    classifier_bias_);
}

}  // namespace palate::models
