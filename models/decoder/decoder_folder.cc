// Loads, initializes and saves a decoder's parameters in checkpoint folders.
#include <ATen/ATen.h>
#include <malloc.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/adapter.h"
#include "models/decoder/decoder.h"
#include "models/families.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// Listed names start with this prefix, as causal language models store them.
constexpr char kModelPrefix[] = "model.";
constexpr char kOutputName[] = "lm_head.weight";

// The end tokens of generation_config.json. A chat model that was trained from a base model lists
// more there than in config.json.
std::vector<int64_t> StopIds(const nlohmann::json& generation) {
  const auto it = generation.find("eos_token_id");
  if (it == generation.end()) return {};

  std::vector<int64_t> ids;
  for (const nlohmann::json& id : it->is_array() ? *it : nlohmann::json::array({*it})) {
    if (id.is_number_integer()) ids.push_back(id.get<int64_t>());
  }
  return ids;
}

absl::Status ReadStopIds(const Checkpoint& checkpoint, DecoderConfig& config) {
  const std::string path = absl::StrCat(checkpoint.folder(), "/generation_config.json");
  if (!FileExists(path)) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const JsonConfig generation, JsonConfig::Load(path));

  if (std::vector<int64_t> ids = StopIds(generation.json()); !ids.empty())
    config.eos_token_ids = std::move(ids);
  return absl::OkStatus();
}

// Whether the folder was stored as an encoder: without the output matrix and, unless that is
// optional, with names that lack the prefix of causal language models.
bool IsStoredAsEncoder(const Checkpoint& checkpoint, const DecoderLoadOptions& options) {
  if (checkpoint.tensors().count(kOutputName) > 0) return false;
  if (options.output_is_optional) return true;
  for (const std::string& prefix : options.prefixes) {
    if (!absl::StartsWith(prefix, kModelPrefix) &&
        checkpoint.tensors().count(prefix + "embed_tokens.weight") > 0)
      return true;
  }
  return false;
}

// With one matrix for input and output, the adapter does not specify which of them it means.
absl::Status CheckTied(const Adapter& adapter) {
  const auto check = [&](const auto& modules) -> absl::Status {
    for (const auto& [module, value] : modules) {
      if (absl::EndsWith(module, "embed_tokens") || module == "lm_head") {
        return absl::UnimplementedError(
            absl::StrCat(adapter.folder(), ": adapting ", module,
                         " is not supported where input and output share their embeddings"));
      }
    }
    return absl::OkStatus();
  };

  PALATE_RETURN_IF_ERROR(check(adapter.updates()));
  return check(adapter.replacements());
}

absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return absl::DataLossError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  return absl::OkStatus();
}

std::string Pretty(const nlohmann::json& json) { return json.dump(2) + "\n"; }

}  // namespace

DecoderModel::DecoderModel(DecoderConfig config)
    : config_(std::move(config)), layers_(static_cast<size_t>(config_.num_layers)) {}

ParameterList DecoderModel::Parameters() {
  const DecoderConfig& c = config_;
  const int64_t q_size = c.num_heads * c.head_dim;
  const int64_t kv_size = c.num_kv_heads * c.head_dim;

  const Init normal = Init::Normal(c.initializer_range);
  // Projections into the residual stream start smaller, so that its variance does not grow with
  // depth.
  const Init residual =
      Init::Normal(c.initializer_range / std::sqrt(2.0 * static_cast<double>(c.num_layers)));

  ParameterList list;
  const auto norm = [&](const std::string& name, int64_t size, at::Tensor& weight) {
    list.push_back({name + ".weight", {size}, Init::Ones(), &weight});
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, const Init& init,
                          at::Tensor& weight, bool has_bias, at::Tensor& bias) {
    list.push_back({name + ".weight", {out, in}, init, &weight});
    if (has_bias) list.push_back({name + ".bias", {out}, Init::Zeros(), &bias});
  };

  list.push_back({"model.embed_tokens.weight", {c.vocab_size, c.hidden_size}, normal, &embedding_});

  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const std::string prefix = absl::StrCat("model.layers.", i, ".");
    norm(prefix + "input_layernorm", c.hidden_size, layer.input_norm);
    linear(prefix + "self_attn.q_proj", q_size, c.hidden_size, normal, layer.q_proj, c.qkv_bias,
           layer.q_bias);
    linear(prefix + "self_attn.k_proj", kv_size, c.hidden_size, normal, layer.k_proj, c.qkv_bias,
           layer.k_bias);
    linear(prefix + "self_attn.v_proj", kv_size, c.hidden_size, normal, layer.v_proj, c.qkv_bias,
           layer.v_bias);
    if (c.qk_norm) norm(prefix + "self_attn.q_norm", c.head_dim, layer.q_norm);
    if (c.qk_norm) norm(prefix + "self_attn.k_norm", c.head_dim, layer.k_norm);
    linear(prefix + "self_attn.o_proj", c.hidden_size, q_size, residual, layer.o_proj, c.o_bias,
           layer.o_bias);
    norm(prefix + "post_attention_layernorm", c.hidden_size, layer.post_norm);
    linear(prefix + "mlp.gate_proj", c.intermediate_size, c.hidden_size, normal, layer.gate_proj,
           c.mlp_bias, layer.gate_bias);
    linear(prefix + "mlp.up_proj", c.intermediate_size, c.hidden_size, normal, layer.up_proj,
           c.mlp_bias, layer.up_bias);
    linear(prefix + "mlp.down_proj", c.hidden_size, c.intermediate_size, residual, layer.down_proj,
           c.mlp_bias, layer.down_bias);
  }

  norm("model.norm", c.hidden_size, norm_);
  if (!c.tie_word_embeddings)
    list.push_back({kOutputName, {c.vocab_size, c.hidden_size}, normal, &lm_head_});
  return list;
}

absl::Status DecoderModel::CreateRope() {
  return CatchTorch([&] {
    inverse_frequencies_ =
        at::tensor(RopeInverseFrequencies(config_.rope, config_.head_dim), at::kFloat).to(device());
    rope_axes_ = at::tensor(config_.rope.AxisOfPair(config_.head_dim), at::kLong).to(device());
  });
}

void DecoderModel::Pack(const Checkpoint& checkpoint) {
  // One weight at a time, so that at most one is in memory twice.
  const auto pack = [&](at::Tensor& weight, const at::Tensor& bias,
                        std::optional<Activation> activation = std::nullopt) {
    Linear packed(weight, bias, activation);
    weight.reset();
    // If the weight was a view of the mapping, its pages are no longer needed.
    checkpoint.ReleasePages();
    // glibc would keep freed weights of less than 32 MiB, so that the peak would grow by a layer.
    ::malloc_trim(0);
    return packed;
  };

  norm_ = norm_.to(at::kFloat);
  for (Layer& layer : layers_) {
    for (at::Tensor* norm : {&layer.input_norm, &layer.post_norm, &layer.q_norm, &layer.k_norm}) {
      if (norm->defined()) *norm = norm->to(at::kFloat);
    }

    at::Tensor qkv = at::cat({layer.q_proj, layer.k_proj, layer.v_proj});
    for (at::Tensor* joined : {&layer.q_proj, &layer.k_proj, &layer.v_proj}) joined->reset();
    const at::Tensor qkv_bias =
        config_.qkv_bias ? at::cat({layer.q_bias, layer.k_bias, layer.v_bias}) : at::Tensor();

    packed_.push_back({.qkv = pack(qkv, qkv_bias),
                       .o = pack(layer.o_proj, layer.o_bias),
                       .gate = pack(layer.gate_proj, layer.gate_bias, Activation::kSilu),
                       .up = pack(layer.up_proj, layer.up_bias),
                       .down = pack(layer.down_proj, layer.down_bias)});
  }
}

absl::StatusOr<std::unique_ptr<DecoderModel>> DecoderModel::LoadImpl(
    const Checkpoint& checkpoint, DecoderConfig config, const DecoderLoadOptions& options,
    bool trainable) {
  PALATE_RETURN_IF_ERROR(ReadStopIds(checkpoint, config));
  auto model = std::unique_ptr<DecoderModel>(new DecoderModel(std::move(config)));

  LoadOptions load{.prefixes = options.prefixes,
                   .replaced_prefix = kModelPrefix,
                   .ignored_prefixes = options.ignored_prefixes,
                   // Early Llama checkpoints store this table, which the config determines.
                   .ignored_suffixes = {".rotary_emb.inv_freq"},
                   .dtype = options.dtype,
                   .device = options.device,
                   .trainable = trainable};

  std::optional<Adapter> adapter;
  if (!options.adapter.empty()) {
    PALATE_ASSIGN_OR_RETURN(adapter, Adapter::Open(options.adapter));
    if (model->config_.tie_word_embeddings) PALATE_RETURN_IF_ERROR(CheckTied(*adapter));
    load.adapter = &*adapter;
  }

  // Some tied checkpoints store the shared matrix twice.
  if (model->config_.tie_word_embeddings) load.ignored_prefixes.push_back(kOutputName);

  ParameterList parameters = model->Parameters();
  if (!model->config_.tie_word_embeddings && IsStoredAsEncoder(checkpoint, options))
    parameters.pop_back();

  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, parameters, load));
  PALATE_RETURN_IF_ERROR(model->CreateRope());
  if (!trainable) PALATE_RETURN_IF_ERROR(CatchTorch([&] { model->Pack(checkpoint); }));
  return model;
}

absl::StatusOr<std::shared_ptr<const DecoderModel>> DecoderModel::Load(
    const Checkpoint& checkpoint, const DecoderLoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const DecoderConfig config, ReadDecoderConfig(checkpoint.config()));
  return LoadImpl(checkpoint, config, options, /*trainable=*/false);
}

absl::StatusOr<std::shared_ptr<const DecoderModel>> DecoderModel::Load(
    const Checkpoint& checkpoint, const DecoderConfig& config, const DecoderLoadOptions& options) {
  return LoadImpl(checkpoint, config, options, /*trainable=*/false);
}

absl::StatusOr<std::unique_ptr<DecoderModel>> DecoderModel::LoadTrainable(
    const Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const DecoderConfig config, ReadDecoderConfig(checkpoint.config()));
  return LoadImpl(checkpoint, config, {}, /*trainable=*/true);
}

absl::StatusOr<std::unique_ptr<DecoderModel>> DecoderModel::CreateRandom(
    const DecoderConfig& config, uint64_t seed) {
  PALATE_RETURN_IF_ERROR(config.Validate());
  auto model = std::unique_ptr<DecoderModel>(new DecoderModel(config));
  PALATE_RETURN_IF_ERROR(InitializeParameters(model->Parameters(), seed, /*trainable=*/true));
  PALATE_RETURN_IF_ERROR(model->CreateRope());
  return model;
}

absl::Status DecoderModel::Save(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json config, config_.ToJson());
  PALATE_RETURN_IF_ERROR(MakeFolder(folder));

  nlohmann::json generation = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config.contains(key)) generation[key] = config[key];
  }

  PALATE_RETURN_IF_ERROR(WriteFileAtomically(folder + "/config.json", Pretty(config)));
  PALATE_RETURN_IF_ERROR(
      WriteFileAtomically(folder + "/generation_config.json", Pretty(generation)));
  return SaveParameters(Parameters(), folder + "/model.safetensors");
}

absl::Status SaveTokenizerConfig(const TokenizerConfig& config, const std::string& folder) {
  nlohmann::json json = {{"tokenizer_class", "Qwen2Tokenizer"},
                         {"add_bos_token", false},
                         {"add_prefix_space", false},
                         {"clean_up_tokenization_spaces", false},
                         {"errors", "replace"},
                         {"model_max_length", config.model_max_length},
                         {"split_special_tokens", false},
                         {"unk_token", nullptr}};

  json["bos_token"] =
      config.bos_token.empty() ? nlohmann::json() : nlohmann::json(config.bos_token);
  json["eos_token"] =
      config.eos_token.empty() ? nlohmann::json() : nlohmann::json(config.eos_token);
  json["pad_token"] =
      config.pad_token.empty() ? nlohmann::json() : nlohmann::json(config.pad_token);
  if (!config.chat_template.empty()) json["chat_template"] = config.chat_template;

  PALATE_RETURN_IF_ERROR(MakeFolder(folder));
  return WriteFileAtomically(folder + "/tokenizer_config.json", Pretty(json));
}

}  // namespace palate::models
