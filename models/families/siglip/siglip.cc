#include "models/families/siglip/siglip.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/layers/norm.h"
#include "models/layers/patches.h"
#include "models/torch_status.h"

namespace palate::models {
SiglipModel::SiglipModel(const SiglipConfig& config)
    : config_(config),
      text_(config.text.encoder, EncoderNames::Clip("text_model.")),
      vision_(config.vision.encoder, EncoderNames::Clip("vision_model.")) {}

ParameterList SiglipModel::Parameters(at::Tensor& logit_scale, at::Tensor& logit_bias) {
  const int64_t width = config_.text.encoder.hidden_size;
  ParameterList list = {{"text_model.embeddings.token_embedding.weight",
                         {config_.text.vocab_size, width},
                         {},
                         &words_},
                        {"text_model.embeddings.position_embedding.weight",
                         {config_.text.max_positions, width},
                         {},
                         &text_positions_},
                        {"logit_scale", {1}, {}, &logit_scale},
                        {"logit_bias", {1}, {}, &logit_bias}};
  text_.AddParameters(list);
  AddNorm(list, "text_model.final_layer_norm.", width, text_norm_weight_, text_norm_bias_);
  AddLinear(list, "text_model.head.", config_.text.projection_size, width, head_weight_,
            head_bias_);

  const SiglipVisionConfig& vision = config_.vision;
  const int64_t hidden = vision.encoder.hidden_size;
  const int64_t patches = vision.patches_per_side() * vision.patches_per_side();
  const std::string embeddings = "vision_model.embeddings.";
  const std::vector<int64_t> patch = {hidden, vision.num_channels, vision.patch_size,
                                      vision.patch_size};
  list.push_back({embeddings + "patch_embedding.weight", patch, {}, &patch_weight_});
  list.push_back({embeddings + "patch_embedding.bias", {hidden}, {}, &patch_bias_});
  list.push_back(
      {embeddings + "position_embedding.weight", {patches, hidden}, {}, &patch_positions_});
  vision_.AddParameters(list);
  AddNorm(list, "vision_model.post_layernorm.", hidden, vision_norm_weight_, vision_norm_bias_);

  const std::string head = "vision_model.head.";
  list.push_back({head + "probe", {1, 1, hidden}, {}, &pooling_.probe});
  list.push_back(
      {head + "attention.in_proj_weight", {3 * hidden, hidden}, {}, &pooling_.in_weight});
  list.push_back({head + "attention.in_proj_bias", {3 * hidden}, {}, &pooling_.in_bias});
  AddLinear(list, head + "attention.out_proj.", hidden, hidden, pooling_.out_weight,
            pooling_.out_bias);
  AddNorm(list, head + "layernorm.", hidden, pooling_.norm_weight, pooling_.norm_bias);
  AddLinear(list, head + "mlp.fc1.", vision.encoder.intermediate_size, hidden, pooling_.fc1_weight,
            pooling_.fc1_bias);
  AddLinear(list, head + "mlp.fc2.", hidden, vision.encoder.intermediate_size, pooling_.fc2_weight,
            pooling_.fc2_bias);
  return list;
}

absl::StatusOr<std::shared_ptr<const SiglipModel>> SiglipModel::Load(const Checkpoint& checkpoint,
                                                                     const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const SiglipConfig config, SiglipConfig::FromJson(checkpoint.config()));
  auto model = std::shared_ptr<SiglipModel>(new SiglipModel(config));
  at::Tensor logit_scale, logit_bias;
  const LoadOptions own = {.ignored_prefixes = {"text_model.embeddings.position_ids",
                                                "vision_model.embeddings.position_ids"},
                           .dtype = options.dtype,
                           .device = options.device};

  PALATE_RETURN_IF_ERROR(
      LoadParameters(checkpoint, model->Parameters(logit_scale, logit_bias), own));

  PALATE_RETURN_IF_ERROR(CatchTorch([&] {
    model->text_.Prepack(checkpoint);
    model->vision_.Prepack(checkpoint);
    model->logit_scale_ = std::exp(logit_scale.item<double>());
    model->logit_bias_ = logit_bias.item<double>();
  }));
  return model;
}

at::Tensor SiglipModel::TextStates(const at::Tensor& ids) const {
  const EncoderConfig& encoder = config_.text.encoder;
  const at::Tensor x =
      at::embedding(words_, ids.to(words_.device())) + text_positions_.narrow(0, 0, ids.size(1));
  return at::layer_norm(text_(x), {encoder.hidden_size}, text_norm_weight_, text_norm_bias_,
                        encoder.layer_norm_eps);
}

at::Tensor SiglipModel::TextFeatures(const at::Tensor& ids) const {
  return at::linear(TextStates(ids).select(1, -1), head_weight_, head_bias_).to(at::kFloat);
}

at::Tensor SiglipModel::ImageStates(const at::Tensor& pixels) const {
  const EncoderConfig& encoder = config_.vision.encoder;
  const at::Tensor x =
      EmbedPatches(pixels.to(patch_weight_.options()), patch_weight_, patch_bias_) +
      patch_positions_;
  return at::layer_norm(vision_(x), {encoder.hidden_size}, vision_norm_weight_, vision_norm_bias_,
                        encoder.layer_norm_eps);
}

// Pools [images, patches, hidden] to [images, hidden].
at::Tensor SiglipModel::Pool(const at::Tensor& states) const {
  const EncoderConfig& encoder = config_.vision.encoder;
  const int64_t hidden = encoder.hidden_size;
  const int64_t images = states.size(0);

  const auto part = [&](int64_t index, const at::Tensor& x) {
    const at::Tensor projected = at::linear(x, pooling_.in_weight.narrow(0, index * hidden, hidden),
                                            pooling_.in_bias.narrow(0, index * hidden, hidden));
    return projected.view({x.size(0), x.size(1), encoder.num_heads, -1}).transpose(1, 2);
  };

  const at::Tensor query = part(0, pooling_.probe).expand({images, -1, -1, -1});
  const at::Tensor mixed =
      at::scaled_dot_product_attention(query, part(1, states), part(2, states));
  const at::Tensor attended =
      at::linear(mixed.reshape({images, hidden}), pooling_.out_weight, pooling_.out_bias);

  const at::Tensor normed = at::layer_norm(attended, {hidden}, pooling_.norm_weight,
                                           pooling_.norm_bias, encoder.layer_norm_eps);
  const at::Tensor wide =
      Activate(at::linear(normed, pooling_.fc1_weight, pooling_.fc1_bias), encoder.activation);
  return attended + at::linear(wide, pooling_.fc2_weight, pooling_.fc2_bias);
}

at::Tensor SiglipModel::ImageFeatures(const at::Tensor& pixels) const {
  return Pool(ImageStates(pixels)).to(at::kFloat);
}

at::Tensor SiglipModel::LogitsPerText(const at::Tensor& text_features,
                                      const at::Tensor& image_features) const {
  return at::matmul(UnitRows(text_features), UnitRows(image_features).t()) * logit_scale_ +
         logit_bias_;
}

}  // namespace palate::models
