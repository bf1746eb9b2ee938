#include "models/qwen3/qwen3.h"

#include <ATen/ATen.h>

#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// Rotary embedding for some positions: cos and sin [tokens, 1, head_dim], to broadcast over heads.
struct Rotation {
  at::Tensor cos;
  at::Tensor sin;

  // x: [tokens, heads, head_dim].
  at::Tensor operator()(const at::Tensor& x) const {
    const int64_t half = x.size(-1) / 2;
    const at::Tensor turned = at::cat({-x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
    return x * cos + turned * sin;
  }
};

Rotation RotationAt(const at::Tensor& positions, const at::Tensor& inverse_frequencies, double scale) {
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * inverse_frequencies;  // [tokens, head_dim / 2]
  const at::Tensor both = at::cat({angles, angles}, -1).unsqueeze(1);
  return {.cos = both.cos() * scale, .sin = both.sin() * scale};
}

at::Tensor Positions(const std::vector<int64_t>& lengths, const std::vector<int64_t>* starts) {
  std::vector<int64_t> positions;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int64_t start = starts == nullptr ? 0 : (*starts)[i];
    for (int64_t j = 0; j < lengths[i]; ++j) positions.push_back(start + j);
  }
  return at::tensor(positions, at::kLong);
}

// [batch * tokens, heads, dim] to [batch, heads, tokens, dim].
at::Tensor ByHead(const at::Tensor& x, int64_t batch, int64_t tokens) {
  return x.reshape({batch, tokens, x.size(1), x.size(2)}).transpose(1, 2);
}

// [batch, heads, tokens, dim] to [batch * tokens, heads * dim].
at::Tensor Flat(const at::Tensor& x) { return x.transpose(1, 2).reshape({x.size(0) * x.size(2), x.size(1) * x.size(3)}); }

// Keys and values repeated so that every query head has its own: [batch, kv_heads, tokens, dim] to [batch, heads,
// tokens, dim].
at::Tensor RepeatHeads(const at::Tensor& x, int64_t heads) {
  const int64_t groups = heads / x.size(1);
  if (groups == 1) return x;
  return x.unsqueeze(2).expand({x.size(0), x.size(1), groups, x.size(2), x.size(3)}).reshape({x.size(0), heads, x.size(2), x.size(3)});
}

// A run of neighbours i in [begin, end) whose `key` is equal; lengths are few, so comparing keys by call is cheap.
template <typename SameAsFirst>
size_t EndOfRun(size_t begin, size_t size, const SameAsFirst& same) {
  size_t end = begin + 1;
  while (end < size && same(end)) ++end;
  return end;
}

std::vector<int64_t> StopIds(const nlohmann::json& generation) {
  const auto it = generation.find("eos_token_id");
  if (it == generation.end()) return {};
  std::vector<int64_t> ids;
  for (const nlohmann::json& id : it->is_array() ? *it : nlohmann::json::array({*it})) {
    if (id.is_number_integer()) ids.push_back(id.get<int64_t>());
  }
  return ids;
}

absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::DataLossError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  return absl::OkStatus();
}

std::string Pretty(const nlohmann::json& json) { return json.dump(2) + "\n"; }

}  // namespace

PackedTokens PackTokens(absl::Span<const std::vector<int64_t>> sequences) {
  std::vector<int64_t> ids;
  PackedTokens packed;
  for (const std::vector<int64_t>& sequence : sequences) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    packed.lengths.push_back(static_cast<int64_t>(sequence.size()));
  }
  packed.ids = at::tensor(ids, at::kLong);
  return packed;
}

KvCache KvCache::Select(absl::Span<const int64_t> sequences) const {
  const at::Tensor rows = at::tensor(at::ArrayRef<int64_t>(sequences.data(), sequences.size()), at::kLong);
  KvCache result;
  result.capacity_ = capacity_;
  for (int64_t i : sequences) result.lengths_.push_back(length(i));
  for (const at::Tensor& keys : keys_) result.keys_.push_back(keys.index_select(0, rows));
  for (const at::Tensor& values : values_) result.values_.push_back(values.index_select(0, rows));
  return result;
}

Qwen3Model::Qwen3Model(Qwen3Config config) : config_(std::move(config)), layers_(static_cast<size_t>(config_.num_layers)) {}

void Qwen3Model::CreateInverseFrequencies() {
  inverse_frequencies_ = at::tensor(RopeInverseFrequencies(config_.rope, config_.head_dim), at::kFloat);
}

absl::StatusOr<std::unique_ptr<Qwen3Model>> Qwen3Model::LoadImpl(const Checkpoint& checkpoint, bool trainable) {
  PALATE_ASSIGN_OR_RETURN(Qwen3Config config, Qwen3Config::FromJson(checkpoint.config()));
  const std::string generation_file = absl::StrCat(checkpoint.folder(), "/generation_config.json");
  if (FileExists(generation_file)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig generation, JsonConfig::Load(generation_file));
    if (std::vector<int64_t> ids = StopIds(generation.json()); !ids.empty()) config.eos_token_ids = std::move(ids);
  }
  auto model = std::unique_ptr<Qwen3Model>(new Qwen3Model(std::move(config)));
  LoadOptions options{.trainable = trainable};
  // Some tied checkpoints store the shared matrix twice.
  if (model->config_.tie_word_embeddings) options.ignored_prefixes.push_back("lm_head.");
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, model->Parameters(), options));
  PALATE_RETURN_IF_ERROR(CatchTorch([&] { model->CreateInverseFrequencies(); }));
  return model;
}

absl::StatusOr<std::shared_ptr<const Qwen3Model>> Qwen3Model::Load(const Checkpoint& checkpoint) {
  return LoadImpl(checkpoint, /*trainable=*/false);
}

absl::StatusOr<std::unique_ptr<Qwen3Model>> Qwen3Model::LoadTrainable(const Checkpoint& checkpoint) {
  return LoadImpl(checkpoint, /*trainable=*/true);
}

absl::StatusOr<std::unique_ptr<Qwen3Model>> Qwen3Model::CreateRandom(const Qwen3Config& config, uint64_t seed) {
  PALATE_RETURN_IF_ERROR(config.Validate());
  auto model = std::unique_ptr<Qwen3Model>(new Qwen3Model(config));
  PALATE_RETURN_IF_ERROR(InitialiseParameters(model->Parameters(), seed, /*trainable=*/true));
  PALATE_RETURN_IF_ERROR(CatchTorch([&] { model->CreateInverseFrequencies(); }));
  return model;
}

ParameterList Qwen3Model::Parameters() {
  const int64_t hidden = config_.hidden_size;
  const int64_t q_size = config_.num_heads * config_.head_dim;
  const int64_t kv_size = config_.num_kv_heads * config_.head_dim;
  const Init normal = Init::Normal(config_.initializer_range);
  // What writes into the residual stream starts smaller, so that the stream's variance does not grow with depth.
  const Init residual = Init::Normal(config_.initializer_range / std::sqrt(2.0 * static_cast<double>(config_.num_layers)));
  ParameterList list;
  list.push_back({"model.embed_tokens.weight", {config_.vocab_size, hidden}, normal, &embedding_});
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const std::string prefix = absl::StrCat("model.layers.", i, ".");
    list.push_back({prefix + "input_layernorm.weight", {hidden}, Init::Ones(), &layer.input_norm});
    list.push_back({prefix + "self_attn.q_proj.weight", {q_size, hidden}, normal, &layer.q_proj});
    list.push_back({prefix + "self_attn.k_proj.weight", {kv_size, hidden}, normal, &layer.k_proj});
    list.push_back({prefix + "self_attn.v_proj.weight", {kv_size, hidden}, normal, &layer.v_proj});
    list.push_back({prefix + "self_attn.q_norm.weight", {config_.head_dim}, Init::Ones(), &layer.q_norm});
    list.push_back({prefix + "self_attn.k_norm.weight", {config_.head_dim}, Init::Ones(), &layer.k_norm});
    list.push_back({prefix + "self_attn.o_proj.weight", {hidden, q_size}, residual, &layer.o_proj});
    list.push_back({prefix + "post_attention_layernorm.weight", {hidden}, Init::Ones(), &layer.post_norm});
    list.push_back({prefix + "mlp.gate_proj.weight", {config_.intermediate_size, hidden}, normal, &layer.gate_proj});
    list.push_back({prefix + "mlp.up_proj.weight", {config_.intermediate_size, hidden}, normal, &layer.up_proj});
    list.push_back({prefix + "mlp.down_proj.weight", {hidden, config_.intermediate_size}, residual, &layer.down_proj});
  }
  list.push_back({"model.norm.weight", {hidden}, Init::Ones(), &norm_});
  if (!config_.tie_word_embeddings) list.push_back({"lm_head.weight", {config_.vocab_size, hidden}, normal, &lm_head_});
  return list;
}

at::Tensor Qwen3Model::Run(const at::Tensor& ids, const at::Tensor& positions, const Attend& attend) const {
  const Rotation rotate = RotationAt(positions, inverse_frequencies_, config_.rope.attention_factor);
  const double eps = config_.rms_norm_eps;
  const auto heads = [&](const at::Tensor& x, const at::Tensor& weight) {
    return at::linear(x, weight).view({x.size(0), -1, config_.head_dim});
  };
  at::Tensor x = at::embedding(embedding_, ids);  // [tokens, hidden]
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const at::Tensor normed = at::rms_norm(x, {config_.hidden_size}, layer.input_norm, eps);
    const at::Tensor q = rotate(at::rms_norm(heads(normed, layer.q_proj), {config_.head_dim}, layer.q_norm, eps));
    const at::Tensor k = rotate(at::rms_norm(heads(normed, layer.k_proj), {config_.head_dim}, layer.k_norm, eps));
    x = x + at::linear(attend(i, q, k, heads(normed, layer.v_proj)), layer.o_proj);
    x = x + Mlp(layer, at::rms_norm(x, {config_.hidden_size}, layer.post_norm, eps));
  }
  return at::rms_norm(x, {config_.hidden_size}, norm_, eps);
}

at::Tensor Qwen3Model::Mlp(const Layer& layer, const at::Tensor& x) const {
  return at::linear(at::silu(at::linear(x, layer.gate_proj)) * at::linear(x, layer.up_proj), layer.down_proj);
}

at::Tensor Qwen3Model::AttendPacked(const std::vector<int64_t>& lengths, const at::Tensor& q, const at::Tensor& k,
                                    const at::Tensor& v) const {
  std::vector<at::Tensor> parts;
  int64_t start = 0;
  for (size_t i = 0; i < lengths.size();) {
    const size_t end = EndOfRun(i, lengths.size(), [&](size_t j) { return lengths[j] == lengths[i]; });
    const auto batch = static_cast<int64_t>(end - i);
    const int64_t tokens = lengths[i];
    const auto part = [&](const at::Tensor& x) { return ByHead(x.narrow(0, start, batch * tokens), batch, tokens); };
    parts.push_back(Flat(at::scaled_dot_product_attention(part(q), RepeatHeads(part(k), config_.num_heads),
                                                          RepeatHeads(part(v), config_.num_heads), /*attn_mask=*/{},
                                                          /*dropout_p=*/0.0, /*is_causal=*/true)));
    start += batch * tokens;
    i = end;
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

at::Tensor Qwen3Model::AttendCached(const std::vector<int64_t>& lengths, size_t layer, KvCache& cache, const at::Tensor& q,
                                    const at::Tensor& k, const at::Tensor& v) const {
  std::vector<at::Tensor> parts;
  int64_t start = 0;
  for (size_t i = 0; i < lengths.size();) {
    const size_t end =
        EndOfRun(i, lengths.size(), [&](size_t j) { return lengths[j] == lengths[i] && cache.lengths_[j] == cache.lengths_[i]; });
    const auto batch = static_cast<int64_t>(end - i);
    const int64_t tokens = lengths[i];
    const int64_t seen = cache.lengths_[i];
    const auto part = [&](const at::Tensor& x) { return ByHead(x.narrow(0, start, batch * tokens), batch, tokens); };
    const auto extend = [&](const at::Tensor& stored, const at::Tensor& x) {
      const at::Tensor rows = stored.narrow(0, static_cast<int64_t>(i), batch);
      rows.narrow(2, seen, tokens).copy_(part(x));
      return rows.narrow(2, 0, seen + tokens);  // [batch, kv_heads, seen + tokens, head_dim]
    };
    const at::Tensor keys = extend(cache.keys_[layer], k);
    const at::Tensor values = extend(cache.values_[layer], v);
    at::Tensor out;
    if (tokens == 1) {
      // One query sees everything, so the query heads of a group can stand where positions would: nothing is repeated.
      const at::Tensor grouped = part(q).reshape({batch, config_.num_kv_heads, -1, config_.head_dim});
      out = at::scaled_dot_product_attention(grouped, keys, values).reshape({batch, -1});
    } else {
      const at::Tensor allowed = at::ones({tokens, seen + tokens}, at::kBool).tril(seen);
      out = Flat(
          at::scaled_dot_product_attention(part(q), RepeatHeads(keys, config_.num_heads), RepeatHeads(values, config_.num_heads), allowed));
    }
    parts.push_back(out);
    start += batch * tokens;
    i = end;
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

at::Tensor Qwen3Model::Forward(const PackedTokens& tokens) const {
  return Run(tokens.ids, Positions(tokens.lengths, nullptr),
             [&](size_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) { return AttendPacked(tokens.lengths, q, k, v); });
}

at::Tensor Qwen3Model::Forward(const MaskedTokens& tokens) const {
  const int64_t batch = tokens.ids.size(0);
  const int64_t length = tokens.ids.size(1);
  const at::Tensor allowed = tokens.allowed.unsqueeze(1);  // one mask for all heads
  return Run(
      tokens.ids.reshape({-1}), tokens.positions.reshape({-1}), [&](size_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        return Flat(at::scaled_dot_product_attention(ByHead(q, batch, length), RepeatHeads(ByHead(k, batch, length), config_.num_heads),
                                                     RepeatHeads(ByHead(v, batch, length), config_.num_heads), allowed));
      });
}

at::Tensor Qwen3Model::Forward(const PackedTokens& tokens, KvCache& cache) const {
  at::Tensor hidden = Run(tokens.ids, Positions(tokens.lengths, &cache.lengths_),
                          [&](size_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
                            return AttendCached(tokens.lengths, layer, cache, q, k, v);
                          });
  for (size_t i = 0; i < tokens.lengths.size(); ++i) cache.lengths_[i] += tokens.lengths[i];
  return hidden;
}

KvCache Qwen3Model::NewCache(int64_t batch, int64_t capacity) const {
  KvCache cache;
  cache.capacity_ = capacity;
  cache.lengths_.assign(static_cast<size_t>(batch), 0);
  for (size_t i = 0; i < layers_.size(); ++i) {
    cache.keys_.push_back(at::empty({batch, config_.num_kv_heads, capacity, config_.head_dim}, at::kFloat));
    cache.values_.push_back(at::empty({batch, config_.num_kv_heads, capacity, config_.head_dim}, at::kFloat));
  }
  return cache;
}

at::Tensor Qwen3Model::Logits(const at::Tensor& hidden) const {
  return at::linear(hidden, config_.tie_word_embeddings ? embedding_ : lm_head_);
}

at::Tensor Qwen3Model::LabelLogits(const at::Tensor& hidden, absl::Span<const int64_t> token_ids) const {
  const at::Tensor ids = at::tensor(at::ArrayRef<int64_t>(token_ids.data(), token_ids.size()), at::kLong);
  return at::linear(hidden, (config_.tie_word_embeddings ? embedding_ : lm_head_).index_select(0, ids));
}

absl::Status Qwen3Model::Save(const std::string& folder) {
  PALATE_RETURN_IF_ERROR(MakeFolder(folder));
  const nlohmann::json config = config_.ToJson();
  nlohmann::json generation = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config.contains(key)) generation[key] = config[key];
  }
  PALATE_RETURN_IF_ERROR(WriteFileAtomically(folder + "/config.json", Pretty(config)));
  PALATE_RETURN_IF_ERROR(WriteFileAtomically(folder + "/generation_config.json", Pretty(generation)));
  return SaveParameters(Parameters(), folder + "/model.safetensors");
}

absl::Status SaveTokenizerConfig(const TokenizerConfig& config, const std::string& folder) {
  nlohmann::json json = {{"tokenizer_class", "Qwen2Tokenizer"},   {"add_bos_token", false}, {"add_prefix_space", false},
                         {"clean_up_tokenization_spaces", false}, {"errors", "replace"},    {"model_max_length", config.model_max_length},
                         {"split_special_tokens", false},         {"unk_token", nullptr}};
  json["bos_token"] = config.bos_token.empty() ? nlohmann::json() : nlohmann::json(config.bos_token);
  json["eos_token"] = config.eos_token.empty() ? nlohmann::json() : nlohmann::json(config.eos_token);
  json["pad_token"] = config.pad_token.empty() ? nlohmann::json() : nlohmann::json(config.pad_token);
  if (!config.chat_template.empty()) json["chat_template"] = config.chat_template;
  PALATE_RETURN_IF_ERROR(MakeFolder(folder));
  return WriteFileAtomically(folder + "/tokenizer_config.json", Pretty(json));
}

}  // namespace palate::models
