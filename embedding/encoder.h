// Interface that every embedding model family implements. Internal to embedding/ and its tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "embedding/embedder.h"
#include "embedding/model_info.h"
#include "models/image/image.h"

namespace palate::embedding {

// An image prepared for the model. Copies share the pixels.
struct EncoderImage {
  // float32: [3, height, width], or [patches, values] for models that keep the aspect ratio.
  at::Tensor pixels;
  int64_t grid_t = 0;  // patches in time, down and across; only for the latter
  int64_t grid_h = 0;
  int64_t grid_w = 0;
  // float32 [words]: the shares of models::ColorWords, for models that use them.
  at::Tensor color_shares = {};
};

// The content of one pass: one text, one image, or, for joint encoders, any number of images and a
// text.
struct PassContent {
  std::string text = {};  // UTF-8
  std::vector<EncoderImage> images = {};
  EmbedRole role = EmbedRole::kItem;
  std::string instruction = {};  // of the request; used for queries only; empty: the default
};

// A pass that is ready for the model.
struct PreparedPass {
  std::vector<int64_t> ids;
  std::vector<EncoderImage> images;
  int64_t cost = 1;  // in tokens, patches included
  int64_t tokens = 0;
  int64_t truncated_tokens = 0;
};

// Weights of the modalities in a fused vector that is not a joint pass: positive, any scale.
struct FusionWeights {
  double text = 0.5;
  double image = 0.5;
};

// Immutable; thread-safe. LibTorch errors are returned as statuses.
class Encoder {
 public:
  virtual ~Encoder() = default;

  const ModelInfo& info() const { return info_; }
  const FusionWeights& fusion() const { return fusion_; }
  // For ModelInfo::dtype_reason. Before the encoder is shared.
  void set_dtype_reason(std::string reason) { info_.dtype_reason = std::move(reason); }
  // Whether the model can embed images.
  virtual bool sees_images() const = 0;
  // Whether `fused` is one pass over images and text together.
  virtual bool is_joint() const = 0;

  // The cost, in tokens, of an image of this size and of a text of `bytes`, estimated before they
  // are prepared.
  virtual int64_t EstimateImage(int64_t width, int64_t height) const = 0;
  int64_t EstimateText(size_t bytes) const;

  // Called on several threads at once. InvalidArgument says what is wrong with the image, or with
  // the content as a whole.
  virtual absl::StatusOr<EncoderImage> PrepareImage(const models::Image& image) const = 0;
  virtual absl::StatusOr<PreparedPass> Prepare(const PassContent& content) const = 0;

  // Unit vectors, float32 [passes, dimensions] on the CPU, in the given order. Passes do not
  // influence each other. Fastest when passes of similar length are adjacent.
  virtual absl::StatusOr<at::Tensor> Encode(absl::Span<const PreparedPass* const> passes) const = 0;

 protected:
  ModelInfo info_;
  FusionWeights fusion_;
};

}  // namespace palate::embedding
