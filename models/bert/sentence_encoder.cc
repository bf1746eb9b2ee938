#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/bert/bert.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// What the sentence-transformers files of a folder say.
struct SentenceLayout {
  TextPooling pooling = TextPooling::kMean;
  int64_t max_tokens = 0;  // 0 when no file says
  std::string query_prompt;
};

absl::StatusOr<TextPooling> ReadPooling(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(folder + "/config.json"));
  int modes = 0;
  TextPooling pooling = TextPooling::kMean;
  for (const auto& [key, value] : json.json().items()) {
    if (!absl::StartsWith(key, "pooling_mode_") || value != true) continue;
    ++modes;
    if (key == "pooling_mode_cls_token") {
      pooling = TextPooling::kCls;
    } else if (key != "pooling_mode_mean_tokens") {
      return absl::UnimplementedError(absl::StrCat(json.source(), ": ", key, " is not supported; supported are mean and cls"));
    }
  }
  if (modes != 1) return absl::InvalidArgumentError(absl::StrCat(json.source(), " asks for ", modes, " kinds of pooling instead of one"));
  return pooling;
}

// One step of modules.json.
absl::Status ReadModule(const std::string& folder, const nlohmann::json& module, SentenceLayout& layout) {
  const std::string source = folder + "/modules.json";
  if (!module.is_object() || !module.contains("type") || !module["type"].is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(source, " holds an entry without a type"));
  }
  const std::string type = module["type"].get<std::string>();
  const std::string path = module.contains("path") && module["path"].is_string() ? module["path"].get<std::string>() : "";
  if (absl::EndsWith(type, ".Transformer")) {
    if (!path.empty())
      return absl::UnimplementedError(absl::StrCat(source, ": a transformer outside of the folder itself is not supported"));
    return absl::OkStatus();
  }
  if (absl::EndsWith(type, ".Pooling")) {
    PALATE_ASSIGN_OR_RETURN(layout.pooling, ReadPooling(absl::StrCat(folder, "/", path)));
    return absl::OkStatus();
  }
  if (absl::EndsWith(type, ".Normalize")) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(source, ": module ", QuoteForMessage(type), " is not supported"));
}

absl::Status ReadModules(const std::string& folder, SentenceLayout& layout) {
  const std::string path = folder + "/modules.json";
  if (!FileExists(path)) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFileToString(path));
  const nlohmann::json modules = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!modules.is_array()) return absl::InvalidArgumentError(absl::StrCat(path, " is not a JSON list"));
  for (const nlohmann::json& module : modules) PALATE_RETURN_IF_ERROR(ReadModule(folder, module, layout));
  return absl::OkStatus();
}

absl::StatusOr<SentenceLayout> ReadLayout(const std::string& folder) {
  SentenceLayout layout;
  PALATE_RETURN_IF_ERROR(ReadModules(folder, layout));
  if (const std::string path = folder + "/sentence_bert_config.json"; FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(path));
    PALATE_ASSIGN_OR_RETURN(layout.max_tokens, json.IntOr("max_seq_length", 0));
  }
  if (const std::string path = folder + "/config_sentence_transformers.json"; FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(path));
    if (json.Has("prompts")) {
      PALATE_ASSIGN_OR_RETURN(const JsonConfig prompts, json.Object("prompts"));
      PALATE_ASSIGN_OR_RETURN(layout.query_prompt, prompts.StringOr("query", ""));
    }
  }
  return layout;
}

// Sequences laid end to end from the longest to the shortest.
struct SortedBatch {
  std::vector<size_t> order;  // order[i] is the caller's index of the batch's i-th sequence
  std::vector<int64_t> lengths;
  std::vector<int64_t> starts;
  std::vector<int64_t> ids;
};

SortedBatch SortByLength(absl::Span<const std::vector<int64_t>> sequences) {
  SortedBatch batch;
  batch.order.resize(sequences.size());
  std::iota(batch.order.begin(), batch.order.end(), size_t{0});
  std::stable_sort(batch.order.begin(), batch.order.end(), [&](size_t a, size_t b) { return sequences[a].size() > sequences[b].size(); });
  for (size_t index : batch.order) {
    const std::vector<int64_t>& sequence = sequences[index];
    batch.starts.push_back(static_cast<int64_t>(batch.ids.size()));
    batch.lengths.push_back(static_cast<int64_t>(sequence.size()));
    batch.ids.insert(batch.ids.end(), sequence.begin(), sequence.end());
  }
  return batch;
}

at::Tensor PoolMean(const at::Tensor& states, const SortedBatch& batch) {
  std::vector<at::Tensor> rows;
  rows.reserve(batch.lengths.size());
  for (size_t i = 0; i < batch.lengths.size(); ++i) rows.push_back(states.narrow(0, batch.starts[i], batch.lengths[i]).mean(0));
  return at::stack(rows);
}

at::Tensor InCallersOrder(const at::Tensor& pooled, const std::vector<size_t>& order) {
  std::vector<int64_t> row_of(order.size());
  for (size_t i = 0; i < order.size(); ++i) row_of[order[i]] = static_cast<int64_t>(i);
  return pooled.index_select(0, at::tensor(row_of, at::kLong));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const SentenceEncoder>> SentenceEncoder::Load(const std::string& folder) {
  auto encoder = std::shared_ptr<SentenceEncoder>(new SentenceEncoder);
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(encoder->model_, BertModel::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(encoder->tokenizer_, Tokenizer::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const SentenceLayout layout, ReadLayout(folder));
  const BertConfig& config = encoder->model_->config();
  if (encoder->tokenizer_->vocab_size() > config.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the tokenizer has ", encoder->tokenizer_->vocab_size(), " entries, the model only ", config.vocab_size));
  }
  encoder->pooling_ = layout.pooling;
  encoder->query_prompt_ = layout.query_prompt;
  encoder->max_tokens_ = layout.max_tokens > 0 ? std::min(layout.max_tokens, config.max_positions) : config.max_positions;
  if (encoder->max_tokens_ <= static_cast<int64_t>(encoder->tokenizer_->special_tokens_per_text())) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": max_seq_length ", encoder->max_tokens_, " leaves no room for text"));
  }
  PALATE_ASSIGN_OR_RETURN(const std::string weights, checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(const std::string vocabulary, FileDigest(folder + "/tokenizer.json"));
  encoder->digest_ =
      absl::BytesToHexString(Sha256(absl::StrCat("bert\n", weights, "\n", vocabulary, "\n", checkpoint.config().json().dump(), "\npooling ",
                                                 static_cast<int>(encoder->pooling_), "\nmax_tokens ", encoder->max_tokens_)));
  return encoder;
}

absl::StatusOr<EncodedText> SentenceEncoder::Tokenize(absl::string_view text) const {
  return tokenizer_->Encode(text, {.max_tokens = static_cast<size_t>(max_tokens_)});
}

absl::StatusOr<at::Tensor> SentenceEncoder::Encode(absl::Span<const std::vector<int64_t>> sequences) const {
  return CatchTorch([&] {
    const c10::InferenceMode inference;
    if (sequences.empty()) return at::empty({0, dimensions()}, at::kFloat);
    const SortedBatch batch = SortByLength(sequences);
    const at::Tensor states = model_->Forward(at::tensor(batch.ids, at::kLong), batch.lengths);
    const at::Tensor pooled =
        pooling_ == TextPooling::kCls ? states.index_select(0, at::tensor(batch.starts, at::kLong)) : PoolMean(states, batch);
    // The epsilon of the reference's normalize.
    const at::Tensor unit = pooled / at::clamp_min(pooled.norm(2, {1}, /*keepdim=*/true), 1e-12);
    return InCallersOrder(unit, batch.order);
  });
}

}  // namespace palate::models
