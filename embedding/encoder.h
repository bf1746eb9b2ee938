// What the embedder asks of a model, whichever family it is of. Internal to embedding/ and its
// tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "embedding/embedder.h"
#include "embedding/model_info.h"
#include "models/image/image.h"

namespace palate::embedding {

// A picture as a model reads it. A value: copying shares the pixels.
struct EncoderImage {
  at::Tensor pixels;   // float32: [3, height, width], or [patches, values] of a model that lets
                       // pictures keep their shape
  int64_t grid_t = 0;  // of the latter: patches in time, down and across
  int64_t grid_h = 0;
  int64_t grid_w = 0;
};

// What one pass of the model sees: one text, or one picture, or (where the encoder is joint) any of
// both.
struct PassContent {
  std::string text = {};  // UTF-8
  std::vector<EncoderImage> images = {};
  EmbedRole role = EmbedRole::kItem;
  std::string instruction = {};  // of the request; read for queries only, empty: the model's own
};

// A pass that only waits for the model.
struct PreparedPass {
  std::vector<int64_t> ids;
  std::vector<EncoderImage> images;
  int64_t cost = 1;  // tokens to compute, patches included
  int64_t tokens = 0;
  int64_t truncated_tokens = 0;
};

// How much each modality counts in a fused vector that is no joint pass: positive, any scale.
struct FusionWeights {
  double text = 0.5;
  double image = 0.5;
};

// Immutable; every method is thread-safe. Errors of LibTorch come back as statuses.
class Encoder {
 public:
  virtual ~Encoder() = default;

  const ModelInfo& info() const { return info_; }
  const FusionWeights& fusion() const { return fusion_; }
  // Whether a picture has a vector at all.
  virtual bool sees_images() const = 0;
  // Whether `fused` is a pass of its own over pictures and text together.
  virtual bool is_joint() const = 0;

  // What a picture of this size will cost, and a text of so many bytes: estimates from what is
  // known before preparing.
  virtual int64_t EstimateImage(int64_t width, int64_t height) const = 0;
  int64_t EstimateText(size_t bytes) const;

  // On the callers' threads. InvalidArgument says what is wrong with the picture, or with the
  // content as a whole.
  virtual absl::StatusOr<EncoderImage> PrepareImage(const models::Image& image) const = 0;
  virtual absl::StatusOr<PreparedPass> Prepare(const PassContent& content) const = 0;

  // Unit vectors, float32 [passes, dimensions] on the CPU, in the given order. Passes do not
  // influence each other. Fastest when passes of like length are neighbors.
  virtual absl::StatusOr<at::Tensor> Encode(absl::Span<const PreparedPass* const> passes) const = 0;

 protected:
  ModelInfo info_;
  FusionWeights fusion_;
};

}  // namespace palate::embedding
