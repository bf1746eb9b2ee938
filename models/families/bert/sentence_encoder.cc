#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/families/bert/bert.h"
#include "models/text/reference_tokenizer.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// Sequences concatenated from the longest to the shortest.
struct SortedBatch {
  std::vector<size_t> order;  // order[i] is the caller's index of the i-th sequence in the batch
  std::vector<int64_t> lengths;
  std::vector<int64_t> starts;
  std::vector<int64_t> ids;
};

SortedBatch SortByLength(absl::Span<const std::vector<int64_t>> sequences) {
  SortedBatch batch;
  batch.order.resize(sequences.size());
  std::iota(batch.order.begin(), batch.order.end(), size_t{0});
  std::stable_sort(batch.order.begin(), batch.order.end(),
                   [&](size_t a, size_t b) { return sequences[a].size() > sequences[b].size(); });

  for (size_t index : batch.order) {
    const std::vector<int64_t>& sequence = sequences[index];
    batch.starts.push_back(static_cast<int64_t>(batch.ids.size()));
    batch.lengths.push_back(static_cast<int64_t>(sequence.size()));
    batch.ids.insert(batch.ids.end(), sequence.begin(), sequence.end());
  }
  return batch;
}

// Pools `states`, [tokens, hidden] of any floating type, to float32 [sequences, hidden].
at::Tensor Pool(const at::Tensor& states, const SortedBatch& batch, TextPooling pooling) {
  std::vector<at::Tensor> rows;
  rows.reserve(batch.lengths.size());

  for (size_t i = 0; i < batch.lengths.size(); ++i) {
    const at::Tensor tokens = states.narrow(0, batch.starts[i], batch.lengths[i]);
    switch (pooling) {
      case TextPooling::kMean:
        rows.push_back(tokens.mean(0, /*keepdim=*/false, at::kFloat));
        break;
      case TextPooling::kCls:
        rows.push_back(tokens[0].to(at::kFloat));
        break;
      case TextPooling::kMax:
        rows.push_back(tokens.amax(0).to(at::kFloat));
        break;
      case TextPooling::kMeanSqrtLen:
        rows.push_back(tokens.sum(0, /*keepdim=*/false, at::kFloat) /
                       std::sqrt(static_cast<double>(batch.lengths[i])));
        break;
      case TextPooling::kLastToken:
        rows.push_back(tokens[-1].to(at::kFloat));
        break;
    }
  }

  return at::stack(rows);
}

at::Tensor ActivateDense(const at::Tensor& x, DenseActivation activation) {
  switch (activation) {
    case DenseActivation::kIdentity:
      return x;
    case DenseActivation::kTanh:
      return at::tanh(x);
    case DenseActivation::kRelu:
      return at::relu(x);
    case DenseActivation::kGelu:
      return at::gelu(x);
    case DenseActivation::kSigmoid:
      return at::sigmoid(x);
  }
  return x;
}

at::Tensor InCallersOrder(const at::Tensor& pooled, const std::vector<size_t>& order) {
  std::vector<int64_t> row_of(order.size());
  for (size_t i = 0; i < order.size(); ++i) row_of[order[i]] = static_cast<int64_t>(i);
  return pooled.index_select(0, at::tensor(row_of, at::kLong));
}

// The limit in tokenizer_config.json, or 0. Files without a limit store a huge floating-point
// number.
absl::StatusOr<int64_t> TokenizerLimit(const std::string& folder) {
  constexpr double kHuge = 1e9;
  const std::string path = folder + "/tokenizer_config.json";
  if (!FileExists(path)) return 0;

  PALATE_ASSIGN_OR_RETURN(const JsonConfig json, JsonConfig::Load(path));
  PALATE_ASSIGN_OR_RETURN(const double limit, json.DoubleOr("model_max_length", 0));
  return limit >= 1 && limit < kHuge ? static_cast<int64_t>(limit) : 0;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const SentenceEncoder>> SentenceEncoder::Load(
    const std::string& folder, const LoadOptions& options) {
  auto encoder = std::shared_ptr<SentenceEncoder>(new SentenceEncoder);
  PALATE_ASSIGN_OR_RETURN(encoder->layout_, ReadSentenceLayout(folder));
  const std::string& own = encoder->layout_.transformer;
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(own));
  PALATE_ASSIGN_OR_RETURN(encoder->model_, BertModel::Load(checkpoint, options));
  PALATE_ASSIGN_OR_RETURN(encoder->tokenizer_,
                          LoadReferenceTokenizer(own, {.lower_case = encoder->layout_.lower_case,
                                                       .default_class = "BertTokenizer"}));

  const BertConfig& config = encoder->model_->config();
  if (encoder->tokenizer_->vocab_size() > config.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": the tokenizer has ",
                                                   encoder->tokenizer_->vocab_size(),
                                                   " entries, the model only ", config.vocab_size));
  }

  PALATE_RETURN_IF_ERROR(encoder->LoadDense(options));
  PALATE_RETURN_IF_ERROR(encoder->ChooseMaxTokens(own));
  PALATE_RETURN_IF_ERROR(encoder->ComputeDigest(checkpoint));
  return encoder;
}

absl::Status SentenceEncoder::LoadDense(const LoadOptions& options) {
  dimensions_ = model_->config().hidden_size;
  for (const DenseModule& module : layout_.dense) {
    if (module.in_features != dimensions_) {
      return absl::InvalidArgumentError(
          absl::StrCat(module.folder, ": in_features is ", module.in_features,
                       ", but the previous module has ", dimensions_, " dimensions"));
    }

    PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(module.folder));
    at::Tensor weight, bias;
    ParameterList list = {
        {"linear.weight", {module.out_features, module.in_features}, {}, &weight}};
    if (module.bias) list.push_back({"linear.bias", {module.out_features}, {}, &bias});
    PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list, {.device = options.device}));

    PALATE_RETURN_IF_ERROR(CatchTorch([&] {
      dense_.push_back({.linear = Linear(weight, bias), .activation = module.activation});
    }));
    dimensions_ = module.out_features;
  }

  return absl::OkStatus();
}

absl::Status SentenceEncoder::ChooseMaxTokens(const std::string& folder) {
  max_tokens_ = model_->config().max_positions;
  int64_t limit = layout_.max_tokens;
  if (limit == 0) {
    PALATE_ASSIGN_OR_RETURN(limit, TokenizerLimit(folder));
  }
  if (limit > 0) max_tokens_ = std::min(max_tokens_, limit);

  if (max_tokens_ <= static_cast<int64_t>(tokenizer_->special_tokens_per_text())) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": max_seq_length ", max_tokens_, " leaves no room for text"));
  }
  return absl::OkStatus();
}

absl::Status SentenceEncoder::ComputeDigest(const Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const std::string weights, checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(const std::string vocabulary,
                          FileDigest(checkpoint.folder() + "/tokenizer.json"));

  std::string content =
      absl::StrCat("bert\n", weights, "\n", vocabulary, "\n", checkpoint.config().json().dump(),
                   "\npooling ", static_cast<int>(layout_.pooling), "\nmax_tokens ", max_tokens_);

  for (const DenseModule& module : layout_.dense) {
    PALATE_ASSIGN_OR_RETURN(const std::string dense,
                            FileDigest(module.folder + "/model.safetensors"));
    absl::StrAppend(&content, "\ndense ", dense, " ", static_cast<int>(module.activation));
  }

  if (!layout_.normalize) absl::StrAppend(&content, "\nnot normalized");
  if (layout_.lower_case) absl::StrAppend(&content, "\nlower case");
  if (const std::string path = checkpoint.folder() + "/tokenizer_config.json"; FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(const std::string tokenizer_config, FileDigest(path));
    absl::StrAppend(&content, "\n", tokenizer_config);
  }

  digest_ = absl::BytesToHexString(Sha256(content));
  return absl::OkStatus();
}

absl::StatusOr<EncodedText> SentenceEncoder::Tokenize(absl::string_view text) const {
  return tokenizer_->Encode(text, {.max_tokens = static_cast<size_t>(max_tokens_)});
}

absl::StatusOr<at::Tensor> SentenceEncoder::Encode(
    absl::Span<const std::vector<int64_t>> sequences) const {
  return CatchTorch([&] {
    const c10::InferenceMode inference;
    if (sequences.empty()) return at::empty({0, dimensions()}, at::kFloat);

    const SortedBatch batch = SortByLength(sequences);
    const at::Tensor states = model_->Forward(at::tensor(batch.ids, at::kLong), batch.lengths);
    at::Tensor vectors = Pool(states, batch, layout_.pooling);
    for (const Dense& dense : dense_)
      vectors = ActivateDense(dense.linear(vectors), dense.activation);

    // With the epsilon of the reference's normalize.
    if (layout_.normalize)
      vectors = vectors / at::clamp_min(vectors.norm(2, {1}, /*keepdim=*/true), 1e-12);

    return InCallersOrder(vectors.cpu(), batch.order);
  });
}

}  // namespace palate::models
