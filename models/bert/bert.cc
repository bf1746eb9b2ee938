#include "models/bert/bert.h"

#include <ATen/ATen.h>

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxExtent = 1 << 24;

// A layer's tensors as the checkpoint stores them, before query, key and value are joined.
struct StoredLayer {
  at::Tensor q_weight, q_bias, k_weight, k_bias, v_weight, v_bias, out_weight, out_bias, up_weight, up_bias, down_weight, down_bias;
};

}  // namespace

absl::StatusOr<BertConfig> BertConfig::FromJson(const JsonConfig& config) {
  BertConfig result;
  PALATE_ASSIGN_OR_RETURN(result.vocab_size, config.IntIn("vocab_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.hidden_size, config.IntIn("hidden_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.intermediate_size, config.IntIn("intermediate_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.num_layers, config.IntIn("num_hidden_layers", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.num_heads, config.IntIn("num_attention_heads", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.max_positions, config.IntIn("max_position_embeddings", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.type_vocab_size, config.IntIn("type_vocab_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.layer_norm_eps, config.Double("layer_norm_eps"));
  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.String("hidden_act"));
  if (activation != "gelu") {
    return absl::UnimplementedError(absl::StrCat(config.source(), ": activation \"", activation, "\" is not supported, only gelu"));
  }
  PALATE_ASSIGN_OR_RETURN(const std::string positions, config.StringOr("position_embedding_type", "absolute"));
  if (positions != "absolute") {
    return absl::UnimplementedError(
        absl::StrCat(config.source(), ": position_embedding_type \"", positions, "\" is not supported, only absolute"));
  }
  if (result.hidden_size % result.num_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(config.source(), ": hidden_size is no multiple of num_attention_heads"));
  }
  return result;
}

absl::StatusOr<std::shared_ptr<const BertModel>> BertModel::Load(const Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const BertConfig config, BertConfig::FromJson(checkpoint.config()));
  auto model = std::shared_ptr<BertModel>(new BertModel(config));
  const int64_t hidden = config.hidden_size;
  ParameterList list = {{"embeddings.word_embeddings.weight", {config.vocab_size, hidden}, {}, &model->words_},
                        {"embeddings.position_embeddings.weight", {config.max_positions, hidden}, {}, &model->positions_},
                        {"embeddings.token_type_embeddings.weight", {config.type_vocab_size, hidden}, {}, &model->types_},
                        {"embeddings.LayerNorm.weight", {hidden}, {}, &model->norm_weight_},
                        {"embeddings.LayerNorm.bias", {hidden}, {}, &model->norm_bias_}};
  std::vector<StoredLayer> stored(static_cast<size_t>(config.num_layers));
  model->layers_.resize(stored.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    const std::string prefix = absl::StrCat("encoder.layer.", i, ".");
    const auto linear = [&](const std::string& name, int64_t out, int64_t in, at::Tensor& weight, at::Tensor& bias) {
      list.push_back({prefix + name + ".weight", {out, in}, {}, &weight});
      list.push_back({prefix + name + ".bias", {out}, {}, &bias});
    };
    const auto norm = [&](const std::string& name, at::Tensor& weight, at::Tensor& bias) {
      list.push_back({prefix + name + ".weight", {hidden}, {}, &weight});
      list.push_back({prefix + name + ".bias", {hidden}, {}, &bias});
    };
    StoredLayer& from = stored[i];
    Layer& to = model->layers_[i];
    linear("attention.self.query", hidden, hidden, from.q_weight, from.q_bias);
    linear("attention.self.key", hidden, hidden, from.k_weight, from.k_bias);
    linear("attention.self.value", hidden, hidden, from.v_weight, from.v_bias);
    linear("attention.output.dense", hidden, hidden, from.out_weight, from.out_bias);
    linear("intermediate.dense", config.intermediate_size, hidden, from.up_weight, from.up_bias);
    linear("output.dense", hidden, config.intermediate_size, from.down_weight, from.down_bias);
    norm("attention.output.LayerNorm", to.attention_norm_weight, to.attention_norm_bias);
    norm("output.LayerNorm", to.output_norm_weight, to.output_norm_bias);
  }
  const LoadOptions options = {
      .prefixes = {"", "bert."},
      .ignored_prefixes = {"pooler.", "bert.pooler.", "cls.", "embeddings.position_ids", "bert.embeddings.position_ids"}};
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list, options));
  PALATE_RETURN_IF_ERROR(CatchTorch([&] {
    for (size_t i = 0; i < stored.size(); ++i) {
      const StoredLayer& from = stored[i];
      Layer& to = model->layers_[i];
      to.qkv = Linear(at::cat({from.q_weight, from.k_weight, from.v_weight}), at::cat({from.q_bias, from.k_bias, from.v_bias}));
      to.attention_out = Linear(from.out_weight, from.out_bias);
      to.up = Linear(from.up_weight, from.up_bias, LinearActivation::kGelu);
      to.down = Linear(from.down_weight, from.down_bias);
    }
  }));
  return model;
}

// qkv: [tokens, 3 * hidden]. Runs of equal length are computed as one batch.
at::Tensor BertModel::Attention(const at::Tensor& qkv, absl::Span<const int64_t> lengths) const {
  const int64_t head_dim = config_.hidden_size / config_.num_heads;
  at::Tensor out = at::empty({qkv.size(0), config_.hidden_size}, qkv.options());
  int64_t start = 0;
  for (size_t i = 0; i < lengths.size();) {
    size_t end = i + 1;
    while (end < lengths.size() && lengths[end] == lengths[i]) ++end;
    const auto batch = static_cast<int64_t>(end - i);
    const int64_t rows = batch * lengths[i];
    // [3, batch, heads, tokens, head_dim]
    const at::Tensor split = qkv.narrow(0, start, rows).view({batch, lengths[i], 3, config_.num_heads, head_dim}).permute({2, 0, 3, 1, 4});
    const at::Tensor mixed = at::scaled_dot_product_attention(split[0], split[1], split[2]);
    out.narrow(0, start, rows).view({batch, lengths[i], config_.num_heads, head_dim}).copy_(mixed.transpose(1, 2));
    start += rows;
    i = end;
  }
  return out;
}

at::Tensor BertModel::Forward(const at::Tensor& ids, absl::Span<const int64_t> lengths) const {
  const std::vector<int64_t> size = {config_.hidden_size};
  const double eps = config_.layer_norm_eps;
  std::vector<int64_t> positions;
  positions.reserve(static_cast<size_t>(ids.size(0)));
  for (int64_t length : lengths) {
    for (int64_t j = 0; j < length; ++j) positions.push_back(j);
  }
  at::Tensor x = at::embedding(words_, ids) + at::embedding(positions_, at::tensor(positions, at::kLong)) + types_[0];
  x = at::layer_norm(x, size, norm_weight_, norm_bias_, eps);
  for (const Layer& layer : layers_) {
    x = at::layer_norm(x + layer.attention_out(Attention(layer.qkv(x), lengths)), size, layer.attention_norm_weight,
                       layer.attention_norm_bias, eps);
    x = at::layer_norm(x + layer.down(layer.up(x)), size, layer.output_norm_weight, layer.output_norm_bias, eps);
  }
  return x;
}

}  // namespace palate::models
