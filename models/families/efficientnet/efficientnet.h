// EfficientNet-Lite (https://arxiv.org/abs/1905.11946; the Lite variants have no squeeze-and-excite
// blocks, and ReLU6 in place of swish): a convolutional vision tower whose pooled features describe
// a photograph, with an optional classifier.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto model, EfficientNetLite::Load(checkpoint));
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor features, CatchTorch([&] {
//     const c10::InferenceMode inference;
//     return model->Features(pixels);
//   }));
//
// The folder holds config.json with "model_type": "efficientnet_lite", preprocessor_config.json for
// ImageProcessor, and model.safetensors with the names of the PyTorch package
// efficientnet_lite_pytorch. Serves only: batch normalization is folded into the convolutions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"

namespace palate::models {

struct EfficientNetLiteConfig {
  // One inverted bottleneck: expand, convolve each channel by itself, project.
  struct Block {
    int64_t in_channels = 0;
    int64_t expanded_channels = 0;  // the same as in_channels: no expansion
    int64_t out_channels = 0;
    int64_t kernel_size = 0;
    int64_t stride = 1;
    bool adds_input = false;  // all but the first block of a stage

    bool expands() const { return expanded_channels != in_channels; }
  };

  // Factors of the channels and of the number of blocks: 1.0 and 1.0 (lite0), 1.0 and 1.1, 1.1 and
  // 1.2, 1.2 and 1.4, 1.4 and 1.8 (lite4).
  double width_coefficient = 0;
  double depth_coefficient = 0;
  int64_t image_size = 0;  // pixels on each side that the model was trained with
  double batch_norm_eps = 0;
  int64_t num_labels = 0;           // classes; 0 means no classifier
  std::vector<std::string> labels;  // the names of all classes, or empty

  static constexpr int64_t kFeatures = 1280;

  std::vector<Block> Blocks() const;
  // All tensors of a folder by name, but for the counters ("num_batches_tracked").
  std::map<std::string, std::vector<int64_t>> TensorShapes() const;

  // Reads config.json. The coefficients are given by "variant" ("lite0" to "lite4"), by both
  // themselves, or by all three if they agree. InvalidArgument for missing or wrong keys,
  // Unimplemented for another model_type or activation, and for squeeze-and-excite.
  static absl::StatusOr<EfficientNetLiteConfig> FromJson(const JsonConfig& config);
  absl::Status Validate() const;
};

// Immutable and thread-safe. The methods that return tensors throw as ATen does.
class EfficientNetLite {
 public:
  // Uses only dtype and device of `options`. InvalidArgument listing tensors that are missing, of
  // another shape or not of this model, or naming a layer whose folded weights are not finite.
  static absl::StatusOr<std::shared_ptr<const EfficientNetLite>> Load(
      const Checkpoint& checkpoint, const LoadOptions& options = {});

  const EfficientNetLiteConfig& config() const { return config_; }

  // `pixels` is [batch, 3, height, width], converted to the model's device and type. Returns the
  // features before pooling: [batch, 1280, ceil(height / 32), ceil(width / 32)], channels last in
  // memory.
  at::Tensor FeatureMap(const at::Tensor& pixels) const;
  // The mean of the feature map over all positions, not normalized: float32 [batch, 1280], all at
  // least 0.
  at::Tensor Features(const at::Tensor& pixels) const;
  // The classifier's logits of such features: float32 [batch, num_labels]. REQUIRES: the model has
  // a classifier.
  at::Tensor Logits(const at::Tensor& features) const;

  // float32, on the model's device: [num_labels, 1280] and [num_labels]; undefined without
  // classifier.
  const at::Tensor& classifier_weight() const { return classifier_weight_; }
  const at::Tensor& classifier_bias() const { return classifier_bias_; }

 private:
  // A convolution with the batch normalization behind it, and "same" padding as in TensorFlow.
  struct Convolution {
    at::Tensor weight = {};  // [out, in / groups, kernel, kernel]
    at::Tensor bias = {};    // [out]
    int64_t stride = 1;
    int64_t groups = 1;
    bool relu6 = true;

    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Block {
    Convolution expand = {};  // weight undefined: no expansion
    Convolution depthwise = {};
    Convolution project = {};
    bool adds_input = false;

    at::Tensor operator()(const at::Tensor& x) const;
  };
  class Loader;

  explicit EfficientNetLite(EfficientNetLiteConfig config) : config_(std::move(config)) {}
  std::vector<at::Tensor> FeatureMaps(const at::Tensor& pixels, bool pooled) const;

  const EfficientNetLiteConfig config_;
  Convolution stem_;
  std::vector<Block> blocks_;
  Convolution head_;
  at::Tensor classifier_weight_;
  at::Tensor classifier_bias_;
};

}  // namespace palate::models
