// Encoders made of towers: one that reads texts, and perhaps one that sees pictures. Internal to
// embedding/.
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

// Immutable; thread-safe. Encode throws as ATen does, and is called under InferenceMode.
class TextTower {
 public:
  virtual ~TextTower() = default;

  // Cut at the model's limit. InvalidArgument when the text cannot be read.
  virtual absl::StatusOr<models::EncodedText> Tokenize(absl::string_view text) const = 0;
  // Float32 [sequences, dimensions] on the CPU, of any length, in the given order.
  virtual absl::StatusOr<at::Tensor> Encode(
      absl::Span<const std::vector<int64_t>> sequences) const = 0;
};

// Likewise.
class ImageTower {
 public:
  virtual ~ImageTower() = default;

  // Tokens that one picture costs.
  virtual int64_t cost() const = 0;
  // float32 [3, height, width].
  virtual absl::StatusOr<at::Tensor> Prepare(const models::Image& image) const = 0;
  // `pixels` is [images, 3, height, width]. Float32 [images, dimensions] on the CPU, of any length.
  virtual at::Tensor Encode(const at::Tensor& pixels) const = 0;
};

// The words that a model wants before a text.
struct TextPrompts {
  std::string item;  // before every item
  // Before a query stand these with the instruction between them; nothing when there is no
  // instruction.
  std::string before_instruction;
  std::string after_instruction;
  std::string default_instruction;  // where a request gives none

  std::string Compose(absl::string_view text, EmbedRole role, absl::string_view instruction) const;
  // For ModelInfo.
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

// `vectors` is [n, dimensions]; rows at unit length, as the reference's normalize with its epsilon.
at::Tensor NormalizeRows(const at::Tensor& vectors);

}  // namespace palate::embedding
