#include "models/families/clip/clip.h"

#include <ATen/ATen.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/layers/norm.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// The wrong end token id of early configs.
constexpr int64_t kMistakenEos = 2;

}  // namespace

ClipModel::ClipModel(const ClipConfig& config)
    : config_(config), text_(config.text.encoder, EncoderNames::Clip("text_model.")) {}

absl::StatusOr<std::shared_ptr<const ClipModel>> ClipModel::Load(const Checkpoint& checkpoint,
                                                                 const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const ClipConfig config, ClipConfig::FromJson(checkpoint.config()));
  auto model = std::shared_ptr<ClipModel>(new ClipModel(config));

  const int64_t hidden = config.text.encoder.hidden_size;
  at::Tensor logit_scale;
  ParameterList list = {
      {"text_model.embeddings.token_embedding.weight",
       {config.text.vocab_size, hidden},
       {},
       &model->words_},
      {"text_model.embeddings.position_embedding.weight",
       {config.text.max_positions, hidden},
       {},
       &model->positions_},
      {"text_model.final_layer_norm.weight", {hidden}, {}, &model->final_norm_weight_},
      {"text_model.final_layer_norm.bias", {hidden}, {}, &model->final_norm_bias_},
      {"text_projection.weight", {config.projection_dim, hidden}, {}, &model->text_projection_},
      {"logit_scale", {}, {}, &logit_scale}};
  model->text_.AddParameters(list);

  const LoadOptions text_options = {.ignored_prefixes = {"vision_model.", "visual_projection.",
                                                         "text_model.embeddings.position_ids"},
                                    .dtype = options.dtype,
                                    .device = options.device};
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list, text_options));

  PALATE_ASSIGN_OR_RETURN(
      model->vision_,
      VitModel::LoadTower(checkpoint, config.vision,
                          {"text_model.", "text_projection.", "logit_scale"}, options));

  PALATE_RETURN_IF_ERROR(CatchTorch([&] {
    model->text_.Prepack(checkpoint);
    model->logit_scale_ = std::exp(logit_scale.item<double>());
  }));

  return model;
}

at::Tensor ClipModel::TextStates(const at::Tensor& ids, const at::Tensor& attention_mask) const {
  const at::Tensor tokens = ids.to(words_.device());
  const int64_t length = tokens.size(1);

  // [length, length]: a token sees itself and the tokens before it…
  at::Tensor allowed = at::ones({length, length}, tokens.options().dtype(at::kBool)).tril();
  // …[texts, 1, length, length]: but no padding.
  if (attention_mask.defined()) {
    allowed = allowed.logical_and(
        attention_mask.to(tokens.device(), at::kBool).view({tokens.size(0), 1, 1, length}));
  }

  const at::Tensor x = at::embedding(words_, tokens) + positions_.narrow(0, 0, length);
  const EncoderConfig& encoder = config_.text.encoder;
  return at::layer_norm(text_(x, allowed), {encoder.hidden_size}, final_norm_weight_,
                        final_norm_bias_, encoder.layer_norm_eps);
}

// The index of each text's pooled token: int64 [texts].
at::Tensor ClipModel::PooledPositions(const at::Tensor& ids) const {
  if (config_.text.eos_token_id == kMistakenEos) return ids.argmax(1);
  return ids.eq(config_.text.eos_token_id).to(at::kInt).argmax(1);
}

at::Tensor ClipModel::TextFeatures(const at::Tensor& ids, const at::Tensor& attention_mask) const {
  const at::Tensor states = TextStates(ids, attention_mask);
  const at::Tensor rows =
      PooledPositions(ids.to(states.device())).view({-1, 1, 1}).expand({-1, 1, states.size(2)});
  return at::linear(states.gather(1, rows).squeeze(1), text_projection_).to(at::kFloat);
}

at::Tensor ClipModel::ImageStates(const at::Tensor& pixels) const {
  return vision_->Forward(pixels);
}

at::Tensor ClipModel::ImageFeatures(const at::Tensor& pixels) const {
  return vision_->Embed(pixels);
}

at::Tensor ClipModel::LogitsPerText(const at::Tensor& text_features,
                                    const at::Tensor& image_features) const {
  return at::matmul(UnitRows(text_features), UnitRows(image_features).t()) * logit_scale_;
}

}  // namespace palate::models
