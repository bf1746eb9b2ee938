#include "models/families/bert/bert.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"
#include "models/layers/attention.h"
#include "models/layers/norm.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxBertExtent = 1 << 24;

absl::Status CheckPlainEncoder(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string positions,
                          config.StringOr("position_embedding_type", "absolute"));
  if (positions != "absolute") {
    return absl::UnimplementedError(absl::StrCat(config.source(), ": position_embedding_type ",
                                                 QuoteForMessage(positions),
                                                 " is not supported, only absolute"));
  }

  for (const char* key : {"is_decoder", "add_cross_attention", "is_causal"}) {
    PALATE_ASSIGN_OR_RETURN(const bool decoder, config.BoolOr(key, false));
    if (decoder)
      return absl::UnimplementedError(
          absl::StrCat(config.source(), ": ", key, " is not supported"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BertConfig> BertConfig::FromJson(const JsonConfig& config) {
  PALATE_RETURN_IF_ERROR(RefuseUnsupportedKeys(config));

  BertConfig result;
  PALATE_ASSIGN_OR_RETURN(result.vocab_size, config.IntIn("vocab_size", 1, kMaxBertExtent));
  PALATE_ASSIGN_OR_RETURN(result.hidden_size, config.IntIn("hidden_size", 1, kMaxBertExtent));
  PALATE_ASSIGN_OR_RETURN(result.intermediate_size,
                          config.IntIn("intermediate_size", 1, kMaxBertExtent));
  PALATE_ASSIGN_OR_RETURN(result.num_layers, config.IntIn("num_hidden_layers", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.num_heads, config.IntIn("num_attention_heads", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.max_positions,
                          config.IntIn("max_position_embeddings", 1, kMaxBertExtent));
  PALATE_ASSIGN_OR_RETURN(result.type_vocab_size,
                          config.IntIn("type_vocab_size", 1, kMaxBertExtent));
  PALATE_ASSIGN_OR_RETURN(result.layer_norm_eps, config.Double("layer_norm_eps"));

  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.String("hidden_act"));
  const auto known = ActivationFromName(activation);
  if (!known.ok()) return Annotate(known.status(), config.source());
  result.activation = *known;

  PALATE_RETURN_IF_ERROR(CheckPlainEncoder(config));
  if (result.hidden_size % result.num_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": hidden_size is not a multiple of num_attention_heads"));
  }

  return result;
}

struct BertModel::StoredLayer {
  at::Tensor q_weight, q_bias, k_weight, k_bias, v_weight, v_bias, out_weight, out_bias, up_weight,
      up_bias, down_weight, down_bias;
};

ParameterList BertModel::Parameters(std::vector<StoredLayer>& stored) {
  const int64_t hidden = config_.hidden_size;
  ParameterList list = {
      {"embeddings.word_embeddings.weight", {config_.vocab_size, hidden}, {}, &words_},
      {"embeddings.position_embeddings.weight", {config_.max_positions, hidden}, {}, &positions_},
      {"embeddings.token_type_embeddings.weight", {config_.type_vocab_size, hidden}, {}, &types_},
      {"embeddings.LayerNorm.weight", {hidden}, {}, &norm_weight_},
      {"embeddings.LayerNorm.bias", {hidden}, {}, &norm_bias_}};

  for (size_t i = 0; i < stored.size(); ++i) {
    const std::string prefix = absl::StrCat("encoder.layer.", i, ".");
    const auto linear = [&](const std::string& name, int64_t out, int64_t in, at::Tensor& weight,
                            at::Tensor& bias) {
      AddLinear(list, absl::StrCat(prefix, name, "."), out, in, weight, bias);
    };
    const auto norm = [&](const std::string& name, at::Tensor& weight, at::Tensor& bias) {
      AddNorm(list, absl::StrCat(prefix, name, "."), hidden, weight, bias);
    };

    StoredLayer& from = stored[i];
    Layer& to = layers_[i];
    linear("attention.self.query", hidden, hidden, from.q_weight, from.q_bias);
    linear("attention.self.key", hidden, hidden, from.k_weight, from.k_bias);
    linear("attention.self.value", hidden, hidden, from.v_weight, from.v_bias);
    linear("attention.output.dense", hidden, hidden, from.out_weight, from.out_bias);
    linear("intermediate.dense", config_.intermediate_size, hidden, from.up_weight, from.up_bias);
    linear("output.dense", hidden, config_.intermediate_size, from.down_weight, from.down_bias);
    norm("attention.output.LayerNorm", to.attention_norm_weight, to.attention_norm_bias);
    norm("output.LayerNorm", to.output_norm_weight, to.output_norm_bias);
  }
  return list;
}

void BertModel::Prepack(const Checkpoint& checkpoint, const std::vector<StoredLayer>& stored) {
  for (size_t i = 0; i < stored.size(); ++i) {
    const StoredLayer& from = stored[i];
    Layer& to = layers_[i];
    to.qkv = Linear(at::cat({from.q_weight, from.k_weight, from.v_weight}),
                    at::cat({from.q_bias, from.k_bias, from.v_bias}));
    to.attention_out = Linear(from.out_weight, from.out_bias);
    to.up = Linear(from.up_weight, from.up_bias, config_.activation);
    to.down = Linear(from.down_weight, from.down_bias);
    checkpoint.ReleasePages();
  }
}

absl::StatusOr<std::shared_ptr<const BertModel>> BertModel::Load(const Checkpoint& checkpoint,
                                                                 const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const BertConfig config, BertConfig::FromJson(checkpoint.config()));
  auto model = std::shared_ptr<BertModel>(new BertModel(config));
  std::vector<StoredLayer> stored(static_cast<size_t>(config.num_layers));
  model->layers_.resize(stored.size());

  const LoadOptions own = {
      .prefixes = {"", "bert."},
      .ignored_prefixes = {"pooler.", "bert.pooler.", "cls.", "embeddings.position_ids",
                           "bert.embeddings.position_ids"},
      .dtype = options.dtype,
      .device = options.device};

  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, model->Parameters(stored), own));
  PALATE_RETURN_IF_ERROR(CatchTorch([&] { model->Prepack(checkpoint, stored); }));
  return model;
}

// Word, position and first token type embeddings, summed and normed: [tokens, hidden].
at::Tensor BertModel::Embed(const at::Tensor& ids, absl::Span<const int64_t> lengths) const {
  std::vector<int64_t> positions;
  positions.reserve(static_cast<size_t>(ids.size(0)));
  for (int64_t length : lengths) {
    for (int64_t j = 0; j < length; ++j) positions.push_back(j);
  }

  at::Tensor x = at::embedding(words_, ids.to(device()));
  x += at::embedding(positions_, at::tensor(positions, at::kLong).to(device()));
  x += types_[0];
  return LayerNormInPlace(x, norm_weight_, norm_bias_, config_.layer_norm_eps);
}

at::Tensor BertModel::Forward(const at::Tensor& ids, absl::Span<const int64_t> lengths) const {
  const double eps = config_.layer_norm_eps;
  at::Tensor x = Embed(ids, lengths);
  for (const Layer& layer : layers_) {
    const at::Tensor mixed = PackedAttention(layer.qkv(x), lengths, config_.num_heads);
    x = LayerNormInPlace(layer.attention_out.Plus(mixed, x), layer.attention_norm_weight,
                         layer.attention_norm_bias, eps);
    x = LayerNormInPlace(layer.down.Plus(layer.up(x), x), layer.output_norm_weight,
                         layer.output_norm_bias, eps);
  }
  return x;
}

}  // namespace palate::models
