// A vision-language decoder used as an encoder. Each pass is one conversation (chat_prompt.h) with
// text, images or both. Internal to embedding/.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "embedding/encoder.h"
#include "embedding/encoders/chat_prompt.h"
#include "models/causal_lm/causal_lm.h"
#include "models/families/bert/sentence_layout.h"

namespace palate::embedding {

// Immutable; thread-safe.
class VlEncoder final : public Encoder {
 public:
  // The templates and the default instruction in `info` are those of `prompt`. REQUIRES:
  // lm->has_vision().
  VlEncoder(std::shared_ptr<const models::CausalLm> lm, ChatPrompt prompt,
            models::TextPooling pooling, ModelInfo info);

  bool sees_images() const override { return true; }
  bool is_joint() const override { return true; }
  int64_t EstimateImage(int64_t width, int64_t height) const override;
  absl::StatusOr<EncoderImage> PrepareImage(const models::Image& image) const override;
  absl::StatusOr<PreparedPass> Prepare(const PassContent& content) const override;
  absl::StatusOr<at::Tensor> Encode(absl::Span<const PreparedPass* const> passes) const override;

 private:
  models::PixelBudget budget() const { return {info_.min_pixels, info_.max_pixels}; }

  const std::shared_ptr<const models::CausalLm> lm_;
  const ChatPrompt prompt_;
  const models::TextPooling pooling_;
};

}  // namespace palate::embedding
