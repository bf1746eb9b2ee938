#include "embedding/encoders/vl_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <utility>
#include <vector>

#include "base/status.h"
#include "embedding/encoders/lm_pooling.h"
#include "embedding/encoders/towers.h"
#include "models/torch_status.h"

namespace palate::embedding {
namespace {

models::ImagePatches ToPatches(const EncoderImage& image) {
  return {.pixel_values = image.pixels,
          .grid_t = image.grid_t,
          .grid_h = image.grid_h,
          .grid_w = image.grid_w};
}

std::vector<models::ImagePatches> ToPatches(const std::vector<EncoderImage>& images) {
  std::vector<models::ImagePatches> patches;
  patches.reserve(images.size());
  for (const EncoderImage& image : images) patches.push_back(ToPatches(image));
  return patches;
}

}  // namespace

VlEncoder::VlEncoder(std::shared_ptr<const models::CausalLm> lm, ChatPrompt prompt,
                     models::TextPooling pooling, ModelInfo info)
    : lm_(std::move(lm)), prompt_(std::move(prompt)), pooling_(pooling) {
  info_ = std::move(info);
}

int64_t VlEncoder::EstimateImage(int64_t width, int64_t height) const {
  const auto tokens =
      lm_->image_processor()->TokensFor({.height = height, .width = width}, budget());
  const int64_t merge = lm_->vision()->merge_size();
  return tokens.ok() ? *tokens * (1 + merge * merge) : 0;
}

absl::StatusOr<EncoderImage> VlEncoder::PrepareImage(const models::Image& image) const {
  PALATE_ASSIGN_OR_RETURN(models::ImagePatches patches,
                          lm_->image_processor()->Process(image, budget()));
  return EncoderImage{.pixels = std::move(patches.pixel_values),
                      .grid_t = patches.grid_t,
                      .grid_h = patches.grid_h,
                      .grid_w = patches.grid_w};
}

absl::StatusOr<PreparedPass> VlEncoder::Prepare(const PassContent& content) const {
  // Items use the default instruction; a request's instruction applies to queries only.
  const absl::string_view instruction = content.role == EmbedRole::kQuery
                                            ? absl::string_view(content.instruction)
                                            : absl::string_view();

  models::LmSequence sequence;
  sequence.images = ToPatches(content.images);
  PALATE_ASSIGN_OR_RETURN(
      ChatPrompt::Encoded encoded,
      prompt_.Encode(content.text, instruction, sequence.images, info_.max_text_tokens));
  sequence.ids = std::move(encoded.ids);
  PALATE_RETURN_IF_ERROR(lm_->Check(sequence));

  PreparedPass pass;
  pass.tokens = static_cast<int64_t>(sequence.ids.size());
  pass.cost = pass.tokens;
  for (const models::ImagePatches& image : sequence.images) {
    pass.tokens -= lm_->vision()->MergedPatches(image);
    pass.cost += image.patches();
  }

  pass.truncated_tokens = encoded.truncated_tokens;
  pass.ids = std::move(sequence.ids);
  pass.images = content.images;
  return pass;
}

absl::StatusOr<at::Tensor> VlEncoder::Encode(absl::Span<const PreparedPass* const> passes) const {
  std::vector<models::LmSequence> sequences;
  sequences.reserve(passes.size());
  for (const PreparedPass* pass : passes)
    sequences.push_back({.ids = pass->ids, .images = ToPatches(pass->images)});

  return models::CatchTorch([&] {
    const c10::InferenceMode inference;
    return NormalizeRows(PoolStates(*lm_, sequences, pooling_));
  });
}

}  // namespace palate::embedding
