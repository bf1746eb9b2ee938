#include "embedding/encoders/towers.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::embedding {

std::string TextPrompts::Compose(absl::string_view text, EmbedRole role,
                                 absl::string_view instruction) const {
  if (role == EmbedRole::kItem) return absl::StrCat(item, text);
  if (instruction.empty()) instruction = default_instruction;
  if (instruction.empty()) return std::string(text);
  return absl::StrCat(before_instruction, instruction, after_instruction, text);
}

std::string TextPrompts::QueryTemplate() const {
  return absl::StrCat(before_instruction, "{instruction}", after_instruction, "{text}");
}

std::string TextPrompts::ItemTemplate() const { return absl::StrCat(item, "{text}"); }

at::Tensor StackPixels(absl::Span<const EncoderImage> images) {
  std::vector<at::Tensor> pixels;
  pixels.reserve(images.size());
  for (const EncoderImage& image : images) pixels.push_back(image.pixels);
  return at::stack(pixels);
}

at::Tensor NormalizeRows(const at::Tensor& vectors) {
  return vectors / at::clamp_min(vectors.norm(2, {1}, /*keepdim=*/true), 1e-12);
}

TowerEncoder::TowerEncoder(Parts parts)
    : text_(std::move(parts.text)),
      image_(std::move(parts.image)),
      prompts_(std::move(parts.prompts)) {
  info_ = std::move(parts.info);
  info_.query_template = prompts_.QueryTemplate();
  info_.item_template = prompts_.ItemTemplate();
  info_.default_instruction = prompts_.default_instruction;
  fusion_ = parts.fusion;
}

int64_t TowerEncoder::EstimateImage(int64_t /*width*/, int64_t /*height*/) const {
  return image_->cost();
}

absl::StatusOr<EncoderImage> TowerEncoder::PrepareImage(const models::Image& image) const {
  return image_->Prepare(image);
}

absl::StatusOr<PreparedPass> TowerEncoder::Prepare(const PassContent& content) const {
  PreparedPass pass;
  if (!content.images.empty()) {
    pass.images = content.images;
    pass.cost = image_->cost();
    return pass;
  }

  PALATE_ASSIGN_OR_RETURN(
      models::EncodedText encoded,
      text_->Tokenize(prompts_.Compose(content.text, content.role, content.instruction)));

  pass.ids = std::move(encoded.ids);
  if (pass.ids.empty())
    return absl::InvalidArgumentError("contains nothing that the model's tokenizer knows");
  pass.cost = pass.tokens = static_cast<int64_t>(pass.ids.size());
  pass.truncated_tokens = static_cast<int64_t>(encoded.truncated_tokens);
  return pass;
}

absl::StatusOr<at::Tensor> TowerEncoder::Encode(
    absl::Span<const PreparedPass* const> passes) const {
  std::vector<std::vector<int64_t>> sequences;
  std::vector<EncoderImage> images;
  std::vector<int64_t> text_rows;
  std::vector<int64_t> image_rows;

  for (size_t i = 0; i < passes.size(); ++i) {
    if (passes[i]->images.empty()) {
      sequences.push_back(passes[i]->ids);
      text_rows.push_back(static_cast<int64_t>(i));
    } else {
      images.push_back(passes[i]->images.front());
      image_rows.push_back(static_cast<int64_t>(i));
    }
  }

  return models::CatchTorch([&]() -> absl::StatusOr<at::Tensor> {
    const c10::InferenceMode inference;
    at::Tensor vectors =
        at::empty({static_cast<int64_t>(passes.size()), info_.dimensions}, at::kFloat);
    if (!sequences.empty()) {
      PALATE_ASSIGN_OR_RETURN(const at::Tensor encoded, text_->Encode(sequences));
      vectors.index_copy_(0, at::tensor(text_rows, at::kLong), NormalizeRows(encoded));
    }

    if (!images.empty()) {
      vectors.index_copy_(0, at::tensor(image_rows, at::kLong),
                          NormalizeRows(image_->Encode(images)));
    }
    return vectors;
  });
}

}  // namespace palate::embedding
