#include "models/vit/vit.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// What the two layouts call the parts of a block.
struct BlockNames {
  const char* block;
  const char* norm1;
  const char* query;
  const char* key;
  const char* value;
  const char* out;
  const char* norm2;
  const char* fc1;
  const char* fc2;
};
// The class of the published checkpoints misspells "pre_layernorm".
constexpr const char* kClipPreNorm = "vision_model.pre_layrnorm.";
constexpr BlockNames kClipNames = {
    "vision_model.encoder.layers.", "layer_norm1.", "self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj.",
    "self_attn.out_proj.",          "layer_norm2.", "mlp.fc1.",          "mlp.fc2."};
constexpr BlockNames kVitNames = {"encoder.layer.",           "layernorm_before.",          "attention.attention.query.",
                                  "attention.attention.key.", "attention.attention.value.", "attention.output.dense.",
                                  "layernorm_after.",         "intermediate.dense.",        "output.dense."};

void AddNorm(const std::string& name, int64_t size, at::Tensor& weight, at::Tensor& bias, ParameterList& list) {
  list.push_back({name + "weight", {size}, Init::Ones(), &weight});
  list.push_back({name + "bias", {size}, Init::Zeros(), &bias});
}

at::Tensor Activate(const at::Tensor& x, VitConfig::Activation activation) {
  constexpr double kQuickGeluSlope = 1.702;
  return activation == VitConfig::Activation::kGelu ? at::gelu(x) : x * at::sigmoid(x * kQuickGeluSlope);
}

}  // namespace

VitModel::VitModel(VitConfig config) : config_(config), layers_(static_cast<size_t>(config.num_layers)) {}

ParameterList VitModel::Parameters() {
  const bool clip = config_.layout == VitConfig::Layout::kClipVision;
  const int64_t hidden = config_.hidden_size;
  const int64_t tokens = 1 + config_.num_patches();
  const Init normal = Init::Normal(config_.initializer_range);
  ParameterList list;
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, at::Tensor& weight, at::Tensor& bias) {
    list.push_back({name + "weight", {out, in}, normal, &weight});
    list.push_back({name + "bias", {out}, Init::Zeros(), &bias});
  };
  const std::vector<int64_t> patch = {hidden, config_.num_channels, config_.patch_size, config_.patch_size};
  if (clip) {
    list.push_back({"vision_model.embeddings.class_embedding", {hidden}, normal, &class_token_});
    list.push_back({"vision_model.embeddings.patch_embedding.weight", patch, normal, &patch_weight_});
    list.push_back({"vision_model.embeddings.position_embedding.weight", {tokens, hidden}, normal, &positions_});
    AddNorm(kClipPreNorm, hidden, pre_norm_weight_, pre_norm_bias_, list);
  } else {
    list.push_back({"embeddings.cls_token", {1, 1, hidden}, normal, &class_token_});
    list.push_back({"embeddings.position_embeddings", {1, tokens, hidden}, normal, &positions_});
    list.push_back({"embeddings.patch_embeddings.projection.weight", patch, normal, &patch_weight_});
    list.push_back({"embeddings.patch_embeddings.projection.bias", {hidden}, Init::Zeros(), &patch_bias_});
  }
  const BlockNames& names = clip ? kClipNames : kVitNames;
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const std::string block = absl::StrCat(names.block, i, ".");
    AddNorm(block + names.norm1, hidden, layer.norm1_weight, layer.norm1_bias, list);
    linear(block + names.query, hidden, hidden, layer.q_weight, layer.q_bias);
    linear(block + names.key, hidden, hidden, layer.k_weight, layer.k_bias);
    linear(block + names.value, hidden, hidden, layer.v_weight, layer.v_bias);
    linear(block + names.out, hidden, hidden, layer.out_weight, layer.out_bias);
    AddNorm(block + names.norm2, hidden, layer.norm2_weight, layer.norm2_bias, list);
    linear(block + names.fc1, config_.intermediate_size, hidden, layer.fc1_weight, layer.fc1_bias);
    linear(block + names.fc2, hidden, config_.intermediate_size, layer.fc2_weight, layer.fc2_bias);
  }
  AddNorm(clip ? "vision_model.post_layernorm." : "layernorm.", hidden, post_norm_weight_, post_norm_bias_, list);
  if (config_.projection_dim > 0) list.push_back({"visual_projection.weight", {config_.projection_dim, hidden}, normal, &projection_});
  return list;
}

absl::StatusOr<std::unique_ptr<VitModel>> VitModel::LoadImpl(const Checkpoint& checkpoint, const VitConfig& config,
                                                             const std::vector<std::string>& ignored_prefixes, bool trainable) {
  PALATE_RETURN_IF_ERROR(config.Validate());
  auto model = std::unique_ptr<VitModel>(new VitModel(config));
  LoadOptions options{.ignored_prefixes = ignored_prefixes, .trainable = trainable};
  if (config.layout == VitConfig::Layout::kClipVision) {
    options.ignored_prefixes.push_back("vision_model.embeddings.position_ids");
  } else {
    options.prefixes = {"", "vit."};
    for (const char* head : {"pooler.", "vit.pooler.", "classifier."}) options.ignored_prefixes.push_back(head);
  }
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, model->Parameters(), options));
  return model;
}

absl::StatusOr<std::shared_ptr<const VitModel>> VitModel::Load(const Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const VitConfig config, VitConfig::FromJson(checkpoint.config()));
  return LoadImpl(checkpoint, config, {}, /*trainable=*/false);
}

absl::StatusOr<std::unique_ptr<VitModel>> VitModel::LoadTrainable(const Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const VitConfig config, VitConfig::FromJson(checkpoint.config()));
  return LoadImpl(checkpoint, config, {}, /*trainable=*/true);
}

absl::StatusOr<std::shared_ptr<const VitModel>> VitModel::LoadTower(const Checkpoint& checkpoint, const VitConfig& config,
                                                                    const std::vector<std::string>& ignored_prefixes) {
  return LoadImpl(checkpoint, config, ignored_prefixes, /*trainable=*/false);
}

absl::StatusOr<std::unique_ptr<VitModel>> VitModel::CreateRandom(const VitConfig& config, uint64_t seed) {
  PALATE_RETURN_IF_ERROR(config.Validate());
  auto model = std::unique_ptr<VitModel>(new VitModel(config));
  PALATE_RETURN_IF_ERROR(InitialiseParameters(model->Parameters(), seed, /*trainable=*/true));
  return model;
}

// A convolution whose stride is its size is a matrix product over cut-out patches: [batch, patches, hidden].
at::Tensor VitModel::EmbedPatches(const at::Tensor& pixels) const {
  const int64_t batch = pixels.size(0);
  const int64_t side = config_.image_size / config_.patch_size;
  const at::Tensor patches = pixels.reshape({batch, config_.num_channels, side, config_.patch_size, side, config_.patch_size})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({batch, side * side, -1});
  return at::linear(patches, patch_weight_.reshape({config_.hidden_size, -1}), patch_bias_);
}

at::Tensor VitModel::Block(const Layer& layer, const at::Tensor& x) const {
  const int64_t hidden = config_.hidden_size;
  const double eps = config_.layer_norm_eps;
  const at::Tensor normed = at::layer_norm(x, {hidden}, layer.norm1_weight, layer.norm1_bias, eps);
  const auto heads = [&](const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(normed, weight, bias).view({x.size(0), x.size(1), config_.num_heads, -1}).transpose(1, 2);
  };
  const at::Tensor mixed = at::scaled_dot_product_attention(heads(layer.q_weight, layer.q_bias), heads(layer.k_weight, layer.k_bias),
                                                            heads(layer.v_weight, layer.v_bias));
  const at::Tensor attended = x + at::linear(mixed.transpose(1, 2).reshape(x.sizes()), layer.out_weight, layer.out_bias);
  const at::Tensor wide =
      at::linear(at::layer_norm(attended, {hidden}, layer.norm2_weight, layer.norm2_bias, eps), layer.fc1_weight, layer.fc1_bias);
  return attended + at::linear(Activate(wide, config_.activation), layer.fc2_weight, layer.fc2_bias);
}

at::Tensor VitModel::Forward(const at::Tensor& pixels) const {
  const int64_t hidden = config_.hidden_size;
  const at::Tensor class_tokens = class_token_.reshape({1, 1, hidden}).expand({pixels.size(0), 1, hidden});
  at::Tensor x = at::cat({class_tokens, EmbedPatches(pixels)}, 1) + positions_;
  if (pre_norm_weight_.defined()) x = at::layer_norm(x, {hidden}, pre_norm_weight_, pre_norm_bias_, config_.layer_norm_eps);
  for (const Layer& layer : layers_) x = Block(layer, x);
  if (config_.layout == VitConfig::Layout::kVit)
    x = at::layer_norm(x, {hidden}, post_norm_weight_, post_norm_bias_, config_.layer_norm_eps);
  return x;
}

at::Tensor VitModel::Embed(const at::Tensor& pixels, VitPooling pooling) const {
  const at::Tensor states = Forward(pixels);
  at::Tensor pooled = pooling == VitPooling::kCls ? states.select(1, 0) : states.narrow(1, 1, states.size(1) - 1).mean(1);
  if (config_.layout == VitConfig::Layout::kClipVision) {
    pooled = at::layer_norm(pooled, {config_.hidden_size}, post_norm_weight_, post_norm_bias_, config_.layer_norm_eps);
  }
  return projection_.defined() ? at::linear(pooled, projection_) : pooled;
}

absl::Status VitModel::Save(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::DataLossError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  PALATE_RETURN_IF_ERROR(WriteFileAtomically(folder + "/config.json", config_.ToJson().dump(2) + "\n"));
  return SaveParameters(Parameters(), folder + "/model.safetensors");
}

}  // namespace palate::models
