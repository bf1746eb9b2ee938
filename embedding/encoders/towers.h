// Encoders built from a text tower and, optionally, an image tower. Internal to embedding/.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "embedding/encoder.h"
#include "models/image/image.h"
#include "models/text/tokenizer.h"

namespace palate::embedding {

// Immutable; thread-safe. Encode throws as ATen does; callers hold an InferenceMode.
class TextTower {
 public:
  virtual ~TextTower() = default;

  // Truncates at the model's limit. InvalidArgument when the text cannot be tokenized.
  virtual absl::StatusOr<models::EncodedText> Tokenize(absl::string_view text) const = 0;
  // Float32 [sequences, dimensions] on the CPU, not normalized, in the given order.
  virtual absl::StatusOr<at::Tensor> Encode(
      absl::Span<const std::vector<int64_t>> sequences) const = 0;
};

// Immutable; thread-safe. Encode throws as ATen does; callers hold an InferenceMode.
class ImageTower {
 public:
  virtual ~ImageTower() = default;

  // The cost of one image, in tokens.
  virtual int64_t cost() const = 0;
  // Pixels are float32 [3, height, width], of the same size for every image.
  virtual absl::StatusOr<EncoderImage> Prepare(const models::Image& image) const = 0;
  // Float32 [images, dimensions] on the CPU, not normalized. REQUIRES: at least one image.
  virtual at::Tensor Encode(absl::Span<const EncoderImage> images) const = 0;
};

// float32 [images, 3, height, width].
at::Tensor StackPixels(absl::Span<const EncoderImage> images);

// Texts that a model expects around its input.
struct TextPrompts {
  std::string item;  // before every item
  // Around a query's instruction; unused when there is no instruction.
  std::string before_instruction;
  std::string after_instruction;
  std::string default_instruction;  // used when a request has none

  std::string Compose(absl::string_view text, EmbedRole role, absl::string_view instruction) const;
  // With "{instruction}" and "{text}" in place of the values, for ModelInfo.
  std::string QueryTemplate() const;
  std::string ItemTemplate() const;
};

class TowerEncoder final : public Encoder {
 public:
  struct Parts {
    std::unique_ptr<const TextTower> text;
    std::unique_ptr<const ImageTower> image;  // null: the model reads texts only
    TextPrompts prompts;
    FusionWeights fusion;
    ModelInfo info;  // templates and default instruction are filled in from `prompts`
  };
  explicit TowerEncoder(Parts parts);

  bool sees_images() const override { return image_ != nullptr; }
  bool is_joint() const override { return false; }
  int64_t EstimateImage(int64_t width, int64_t height) const override;
  absl::StatusOr<EncoderImage> PrepareImage(const models::Image& image) const override;
  absl::StatusOr<PreparedPass> Prepare(const PassContent& content) const override;
  absl::StatusOr<at::Tensor> Encode(absl::Span<const PreparedPass* const> passes) const override;

 private:
  const std::unique_ptr<const TextTower> text_;
  const std::unique_ptr<const ImageTower> image_;
  const TextPrompts prompts_;
};

// The rows of `vectors` ([n, dimensions]) at unit length. The epsilon is that of the reference's
// normalize.
at::Tensor NormalizeRows(const at::Tensor& vectors);

}  // namespace palate::embedding
