#include "models/families/vit/vit.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/layers/patches.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// The class that the published checkpoints were saved from misspells "pre_layernorm".
constexpr const char* kClipPreNorm = "vision_model.pre_layrnorm.";

// The names of ViTModel's blocks since transformers 5.
EncoderNames NewVitNames() {
  return {.prefix = "layers.",
          .norm1 = "layernorm_before.",
          .query = "attention.q_proj.",
          .key = "attention.k_proj.",
          .value = "attention.v_proj.",
          .out = "attention.o_proj.",
          .norm2 = "layernorm_after.",
          .fc1 = "mlp.fc1.",
          .fc2 = "mlp.fc2."};
}

EncoderNames NamesOf(VitConfig::Layout layout) {
  return layout == VitConfig::Layout::kClipVision ? EncoderNames::Clip("vision_model.")
                                                  : EncoderNames::Vit();
}

// The names that the checkpoint uses.
EncoderNames NamesIn(const Checkpoint& checkpoint, VitConfig::Layout layout) {
  const std::string newer = "layers.0.attention.q_proj.weight";
  const bool is_newer =
      checkpoint.tensors().count(newer) > 0 || checkpoint.tensors().count("vit." + newer) > 0;
  return layout == VitConfig::Layout::kVit && is_newer ? NewVitNames() : NamesOf(layout);
}

}  // namespace

VitModel::VitModel(const VitConfig& config, EncoderNames names)
    : config_(config), blocks_(config.encoder(), std::move(names)) {}

ParameterList VitModel::Parameters() {
  const bool clip = config_.layout == VitConfig::Layout::kClipVision;
  const int64_t hidden = config_.hidden_size;
  const int64_t tokens = 1 + config_.num_patches();
  const Init normal = Init::Normal(config_.initializer_range);

  ParameterList list;
  const std::vector<int64_t> patch = {hidden, config_.num_channels, config_.patch_size,
                                      config_.patch_size};

  if (clip) {
    list.push_back({"vision_model.embeddings.class_embedding", {hidden}, normal, &class_token_});
    list.push_back(
        {"vision_model.embeddings.patch_embedding.weight", patch, normal, &patch_weight_});
    list.push_back({"vision_model.embeddings.position_embedding.weight",
                    {tokens, hidden},
                    normal,
                    &positions_});
    AddNorm(list, kClipPreNorm, hidden, pre_norm_weight_, pre_norm_bias_);
  } else {
    list.push_back({"embeddings.cls_token", {1, 1, hidden}, normal, &class_token_});
    list.push_back({"embeddings.position_embeddings", {1, tokens, hidden}, normal, &positions_});
    list.push_back(
        {"embeddings.patch_embeddings.projection.weight", patch, normal, &patch_weight_});
    list.push_back(
        {"embeddings.patch_embeddings.projection.bias", {hidden}, Init::Zeros(), &patch_bias_});
  }

  blocks_.AddParameters(list);
  AddNorm(list, clip ? "vision_model.post_layernorm." : "layernorm.", hidden, post_norm_weight_,
          post_norm_bias_);
  if (config_.projection_dim > 0)
    list.push_back(
        {"visual_projection.weight", {config_.projection_dim, hidden}, normal, &projection_});

  return list;
}

absl::StatusOr<std::unique_ptr<VitModel>> VitModel::LoadImpl(
    const Checkpoint& checkpoint, const VitConfig& config,
    const std::vector<std::string>& ignored_prefixes, LoadOptions options) {
  PALATE_RETURN_IF_ERROR(config.Validate());
  auto model = std::unique_ptr<VitModel>(new VitModel(config, NamesIn(checkpoint, config.layout)));

  options.ignored_prefixes = ignored_prefixes;
  if (config.layout == VitConfig::Layout::kClipVision) {
    options.ignored_prefixes.push_back("vision_model.embeddings.position_ids");
  } else {
    options.prefixes = {"", "vit."};
    for (const char* head : {"pooler.", "vit.pooler.", "classifier."})
      options.ignored_prefixes.push_back(head);
  }

  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, model->Parameters(), options));
  if (!options.trainable)
    PALATE_RETURN_IF_ERROR(CatchTorch([&] { model->blocks_.Prepack(checkpoint); }));
  return model;
}

absl::StatusOr<std::shared_ptr<const VitModel>> VitModel::Load(const Checkpoint& checkpoint,
                                                               const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const VitConfig config, VitConfig::FromJson(checkpoint.config()));
  return LoadTower(checkpoint, config, {}, options);
}

absl::StatusOr<std::shared_ptr<const VitModel>> VitModel::LoadTower(
    const Checkpoint& checkpoint, const VitConfig& config,
    const std::vector<std::string>& ignored_prefixes, const LoadOptions& options) {
  return LoadImpl(checkpoint, config, ignored_prefixes,
                  {.dtype = options.dtype, .device = options.device});
}

absl::StatusOr<std::unique_ptr<VitModel>> VitModel::CreateRandom(const VitConfig& config,
                                                                 uint64_t seed) {
  PALATE_RETURN_IF_ERROR(config.Validate());
  auto model = std::unique_ptr<VitModel>(new VitModel(config, NamesOf(config.layout)));
  PALATE_RETURN_IF_ERROR(InitializeParameters(model->Parameters(), seed, /*trainable=*/true));
  return model;
}

at::Tensor VitModel::Forward(const at::Tensor& pixels) const {
  const int64_t hidden = config_.hidden_size;
  const at::Tensor class_tokens =
      class_token_.reshape({1, 1, hidden}).expand({pixels.size(0), 1, hidden});
  const at::Tensor patches =
      EmbedPatches(pixels.to(patch_weight_.options()), patch_weight_, patch_bias_);

  at::Tensor x = at::cat({class_tokens, patches}, 1) + positions_;
  if (pre_norm_weight_.defined())
    x = at::layer_norm(x, {hidden}, pre_norm_weight_, pre_norm_bias_, config_.layer_norm_eps);
  x = blocks_(x);

  if (config_.layout == VitConfig::Layout::kClipVision) return x;
  return at::layer_norm(x, {hidden}, post_norm_weight_, post_norm_bias_, config_.layer_norm_eps);
}

at::Tensor VitModel::Embed(const at::Tensor& pixels, VitPooling pooling) const {
  const at::Tensor states = Forward(pixels);
  at::Tensor pooled = pooling == VitPooling::kCls ? states.select(1, 0)
                                                  : states.narrow(1, 1, states.size(1) - 1).mean(1);

  if (config_.layout == VitConfig::Layout::kClipVision) {
    pooled = at::layer_norm(pooled, {config_.hidden_size}, post_norm_weight_, post_norm_bias_,
                            config_.layer_norm_eps);
  }

  return (projection_.defined() ? at::linear(pooled, projection_) : pooled).to(at::kFloat);
}

absl::Status VitModel::Save(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return absl::DataLossError(absl::StrCat("cannot create ", folder, ": ", error.message()));

  PALATE_RETURN_IF_ERROR(
      WriteFileAtomically(folder + "/config.json", config_.ToJson().dump(2) + "\n"));
  return SaveParameters(Parameters(), folder + "/model.safetensors");
}

}  // namespace palate::models
