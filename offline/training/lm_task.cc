#include "offline/training/lm_task.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/text/tokenizer.h"
#include "nlohmann/json.hpp"
#include "offline/demo/shop.h"
#include "offline/evaluation/metrics.h"

namespace palate::training {
namespace {

constexpr int kValidationPrompts = 30;
constexpr int kValidationCandidates = 48;
constexpr int kValidationExplanations = 60;
// Temperature of the listwise target, in units of utility.
constexpr float kListTemperature = 0.5f;
constexpr int64_t kMaxPositions = 4096;

models::DecoderConfig ConfigOf(const LmTaskOptions& options,
                               const ranking::PromptEncoder& encoder) {
  models::DecoderConfig config;
  config.vocab_size = encoder.vocab_size();
  config.hidden_size = options.hidden_size;
  config.intermediate_size = options.intermediate_size;
  config.num_layers = options.num_layers;
  config.num_heads = options.num_heads;
  config.num_kv_heads = options.num_kv_heads;
  config.head_dim = options.head_dim;
  config.max_positions = kMaxPositions;
  config.initializer_range = 0.05;
  config.qk_norm = true;
  config.rope.theta = 10000.0;
  config.pad_token_id = encoder.Id(ranking::SpecialToken::kPad);
  config.eos_token_ids = {encoder.Id(ranking::SpecialToken::kEnd)};
  return config;
}

absl::StatusOr<std::unique_ptr<LmData>> MakeData(
    const std::shared_ptr<const models::Tokenizer>& tokenizer, const LmDataOptions& options) {
  PALATE_ASSIGN_OR_RETURN(auto encoder, ranking::PromptEncoder::Create(tokenizer));
  return std::make_unique<LmData>(std::move(encoder), options);
}

// Writes one example's row: its ids, its positions, and which tokens may attend to which.
class RowWriter {
 public:
  RowWriter(const RankExample& example, int64_t row, const models::MaskedTokens& out)
      : example_(example),
        width_(out.ids.size(1)),
        ids_(out.ids.data_ptr<int64_t>() + row * width_),
        positions_(out.positions.data_ptr<int64_t>() + row * width_),
        allowed_(out.allowed.data_ptr<bool>() + row * width_ * width_) {}

  void Write(std::vector<int64_t>& candidate_labels) {
    const int64_t prefix = static_cast<int64_t>(example_.prefix.size());

    Append(example_.prefix, 0, 0);
    for (const std::vector<int64_t>& candidate : example_.candidates) {
      Append(candidate, prefix, next_);
      candidate_labels.push_back(next_ - 1);
    }

    for (; next_ < width_; ++next_) allowed_[next_ * width_ + next_] = true;
  }

 private:
  // Appends tokens that attend to the first `visible` tokens of the row and, causally, to those
  // from `begin` on.
  void Append(const std::vector<int64_t>& tokens, int64_t visible, int64_t begin) {
    for (size_t i = 0; i < tokens.size(); ++i, ++next_) {
      ids_[next_] = tokens[i];
      positions_[next_] = visible + static_cast<int64_t>(i);
      bool* row = allowed_ + next_ * width_;
      std::fill(row, row + visible, true);
      std::fill(row + begin, row + next_ + 1, true);
    }
  }

  const RankExample& example_;
  const int64_t width_;
  int64_t* const ids_;
  int64_t* const positions_;
  bool* const allowed_;
  int64_t next_ = 0;
};

int64_t LengthOf(const RankExample& example) {
  return std::accumulate(example.candidates.begin(), example.candidates.end(),
                         static_cast<int64_t>(example.prefix.size()),
                         [](int64_t sum, const auto& candidate) {
                           return sum + static_cast<int64_t>(candidate.size());
                         });
}

// A copy, because the graph of a loss keeps its index and target tensors longer than `values`
// lives.
template <typename T>
at::Tensor OwnedTensor(std::vector<T>& values, at::ScalarType type) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, type).clone();
}

// The ids "0" … "n-1" by descending score.
std::vector<std::string> OrderBy(const std::vector<double>& scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });

  std::vector<std::string> ids;
  for (const size_t i : order) ids.push_back(absl::StrCat(i));
  return ids;
}

}  // namespace

RankBatch MakeRankBatch(const std::vector<RankExample>& examples, int64_t pad_id) {
  int64_t width = 1;
  for (const RankExample& example : examples) width = std::max(width, LengthOf(example));
  const int64_t rows = static_cast<int64_t>(examples.size());

  RankBatch batch;
  batch.tokens.ids = at::full({rows, width}, pad_id, at::kLong);
  batch.tokens.positions = at::zeros({rows, width}, at::kLong);
  batch.tokens.allowed = at::zeros({rows, width, width}, at::kBool);

  std::vector<int64_t> history_rows, candidate_rows;
  std::vector<float> history_targets, candidate_targets;

  for (int64_t row = 0; row < rows; ++row) {
    const RankExample& example = examples[static_cast<size_t>(row)];
    std::vector<int64_t> labels;
    RowWriter(example, row, batch.tokens).Write(labels);

    for (const int64_t label : labels) candidate_rows.push_back(row * width + label);
    candidate_targets.insert(candidate_targets.end(), example.targets.begin(),
                             example.targets.end());

    for (const auto& [position, target] : example.history_targets) {
      history_rows.push_back(row * width + static_cast<int64_t>(position));
      history_targets.push_back(target);
    }
    batch.list_sizes.push_back(static_cast<int64_t>(labels.size()));
  }

  batch.history_labels = static_cast<int64_t>(history_rows.size());
  history_rows.insert(history_rows.end(), candidate_rows.begin(), candidate_rows.end());
  history_targets.insert(history_targets.end(), candidate_targets.begin(), candidate_targets.end());
  batch.label_rows = OwnedTensor(history_rows, at::kLong);
  batch.targets = OwnedTensor(history_targets, at::kFloat);
  return batch;
}

at::Tensor LabelLogOdds(const models::DecoderModel& model, const at::Tensor& hidden, int64_t yes_id,
                        int64_t no_id) {
  const at::Tensor logits = model.LabelLogits(hidden, {yes_id, no_id});
  return logits.select(1, 0) - logits.select(1, 1);
}

absl::StatusOr<std::unique_ptr<LmTask>> LmTask::Create(const LmTaskOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, models::Tokenizer::Load(options.tokenizer));
  LmDataOptions data_options;
  data_options.seed = options.seed;
  data_options.candidates = options.candidates;

  PALATE_ASSIGN_OR_RETURN(auto data, MakeData(tokenizer, data_options));

  data_options.split = Split::kValidation;
  data_options.candidates = kValidationCandidates;
  data_options.shuffled_share = 0.25;
  data_options.vary_history = false;
  PALATE_ASSIGN_OR_RETURN(auto validation, MakeData(tokenizer, data_options));

  PALATE_ASSIGN_OR_RETURN(auto model, models::DecoderModel::CreateRandom(
                                          ConfigOf(options, data->encoder()), options.seed));
  return std::unique_ptr<LmTask>(
      new LmTask(options, std::move(model), std::move(data), std::move(validation)));
}

std::vector<TrainedTensor> LmTask::Tensors() {
  std::vector<TrainedTensor> tensors;
  for (const models::Parameter& parameter : model_->Parameters())
    tensors.push_back({parameter.name, *parameter.tensor});
  return tensors;
}

LmTask::RankLoss LmTask::RankLossOf(const RankBatch& batch) const {
  const ranking::PromptEncoder& encoder = data_->encoder();
  const at::Tensor hidden = model_->Forward(batch.tokens).index_select(0, batch.label_rows);
  const at::Tensor scores = LabelLogOdds(*model_, hidden, encoder.Id(ranking::SpecialToken::kYes),
                                         encoder.Id(ranking::SpecialToken::kNo));

  const int64_t history = batch.history_labels;
  const int64_t candidates = scores.size(0) - history;

  RankLoss loss;
  loss.candidates = at::binary_cross_entropy_with_logits(
      scores.narrow(0, history, candidates), batch.targets.narrow(0, history, candidates));
  loss.history = history > 0
                     ? at::binary_cross_entropy_with_logits(scores.narrow(0, 0, history),
                                                            batch.targets.narrow(0, 0, history))
                     : at::zeros({});
  loss.listwise = at::zeros({});

  int64_t begin = history;
  for (const int64_t size : batch.list_sizes) {
    // The target's logit is linear in the utility, so it can also serve as the list's target score.
    const at::Tensor wanted =
        at::logit(batch.targets.narrow(0, begin, size), 1e-6) / kListTemperature;
    const at::Tensor given = scores.narrow(0, begin, size) / kListTemperature;
    // The KL divergence rather than the cross-entropy, because its minimum is 0 for every list.
    const at::Tensor goal = at::softmax(wanted, 0);

    loss.listwise =
        loss.listwise + (goal * (at::log_softmax(wanted, 0) - at::log_softmax(given, 0))).sum();
    begin += size;
  }

  loss.listwise = loss.listwise / static_cast<double>(std::max<size_t>(1, batch.list_sizes.size()));
  return loss;
}

at::Tensor LmTask::ExplainLossOf(const std::vector<ExplainExample>& examples) const {
  size_t width = 0;
  for (const ExplainExample& example : examples) width = std::max(width, example.ids.size());
  const int64_t pad = data_->encoder().Id(ranking::SpecialToken::kPad);

  std::vector<std::vector<int64_t>> rows;
  std::vector<int64_t> positions, targets;

  for (const ExplainExample& example : examples) {
    const int64_t begin = static_cast<int64_t>(rows.size() * width);
    for (size_t i = example.prompt_size; i < example.ids.size(); ++i) {
      positions.push_back(begin + static_cast<int64_t>(i) - 1);
      targets.push_back(example.ids[i]);
    }
    rows.push_back(example.ids);
    rows.back().resize(width, pad);
  }

  const at::Tensor hidden = model_->Forward(models::PackTokens(rows));
  const at::Tensor logits =
      model_->Logits(hidden.index_select(0, OwnedTensor(positions, at::kLong)));
  return at::cross_entropy_loss(logits, OwnedTensor(targets, at::kLong));
}

absl::StatusOr<MicroBatch> LmTask::ComputeLoss(int64_t index) {
  std::vector<RankExample> ranks;
  for (int i = 0; i < options_.rank_examples; ++i) {
    PALATE_ASSIGN_OR_RETURN(RankExample example,
                            data_->Rank(static_cast<uint64_t>(index * options_.rank_examples + i)));
    ranks.push_back(std::move(example));
  }

  const RankBatch batch = MakeRankBatch(ranks, data_->encoder().Id(ranking::SpecialToken::kPad));
  const RankLoss rank = RankLossOf(batch);

  MicroBatch micro;
  micro.loss = rank.candidates + options_.history_weight * rank.history +
               options_.listwise_weight * rank.listwise;
  micro.tokens = batch.tokens.ids.numel();
  micro.metrics = {{"rank", rank.candidates.item<double>()},
                   {"history", rank.history.item<double>()},
                   {"list", rank.listwise.item<double>()}};

  if (options_.explain_examples > 0) {
    std::vector<ExplainExample> explains;
    // From the shops of the rank examples, which are cached.
    for (int i = 0; i < options_.explain_examples; ++i) {
      const int64_t number = index * options_.rank_examples + i % options_.rank_examples;
      PALATE_ASSIGN_OR_RETURN(ExplainExample example,
                              data_->Explain(static_cast<uint64_t>(number),
                                             static_cast<uint64_t>(i / options_.rank_examples)));
      micro.tokens += static_cast<int64_t>(example.ids.size());
      explains.push_back(std::move(example));
    }

    const at::Tensor explain = ExplainLossOf(explains);
    micro.loss = micro.loss + options_.explain_weight * explain;
    micro.metrics.emplace_back("explain", explain.item<double>());
  }
  return micro;
}

double LmTask::MarkScore(const std::vector<int64_t>& candidate) const {
  using enum ranking::SpecialToken;
  const ranking::PromptEncoder& encoder = data_->encoder();
  const auto tier = [&](ranking::SpecialToken first, ranking::SpecialToken last, int64_t id) {
    const bool within = id >= encoder.Id(first) && id <= encoder.Id(last);
    return within ? static_cast<double>(id - encoder.Id(first) + 1) : 0.0;
  };

  double score = 0;
  for (const int64_t id : candidate)
    score += tier(kLike1, kLike6, id) - tier(kDislike1, kDislike6, id) +
             (id == encoder.Id(kInside) ? 1 : 0);
  return score;
}

absl::StatusOr<Metrics> LmTask::Validate() {
  const at::NoGradGuard no_grad;
  double rank_loss = 0, ndcg = 0, marks = 0;
  for (int i = 0; i < kValidationPrompts; ++i) {
    // The step spreads the prompts over many shops.
    PALATE_ASSIGN_OR_RETURN(const RankExample example,
                            validation_->Rank(static_cast<uint64_t>(i) * 41));
    const RankBatch batch =
        MakeRankBatch({example}, data_->encoder().Id(ranking::SpecialToken::kPad));
    const ranking::PromptEncoder& encoder = data_->encoder();

    const at::Tensor hidden = model_->Forward(batch.tokens).index_select(0, batch.label_rows);
    const at::Tensor odds = LabelLogOdds(*model_, hidden, encoder.Id(ranking::SpecialToken::kYes),
                                         encoder.Id(ranking::SpecialToken::kNo));
    const at::Tensor candidates =
        odds.narrow(0, batch.history_labels, odds.size(0) - batch.history_labels).contiguous();

    rank_loss += at::binary_cross_entropy_with_logits(
                     candidates, batch.targets.narrow(0, batch.history_labels, candidates.size(0)))
                     .item<double>();

    demo::GradedItems truth;
    std::vector<double> scores, mark_scores;
    for (size_t c = 0; c < example.candidates.size(); ++c) {
      scores.push_back(candidates.data_ptr<float>()[c]);
      mark_scores.push_back(MarkScore(example.candidates[c]));
      if (const int grade = demo::RelevanceGrade(example.utilities[c]); grade > 0)
        truth[absl::StrCat(c)] = grade;
    }

    ndcg += evaluation::NdcgAt(10, OrderBy(scores), truth);
    marks += evaluation::NdcgAt(10, OrderBy(mark_scores), truth);
  }

  std::vector<ExplainExample> explains;
  for (int i = 0; i < kValidationExplanations; ++i) {
    PALATE_ASSIGN_OR_RETURN(ExplainExample example,
                            validation_->Explain(static_cast<uint64_t>(i) * 41, 0));
    explains.push_back(std::move(example));
  }

  return Metrics{{"rank", rank_loss / kValidationPrompts},
                 {"ndcg", ndcg / kValidationPrompts},
                 {"marks", marks / kValidationPrompts},
                 {"explain", ExplainLossOf(explains).item<double>()}};
}

absl::Status LmTask::Save(const std::string& folder) {
  PALATE_RETURN_IF_ERROR(model_->Save(folder));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    const std::string from = absl::StrCat(options_.tokenizer, "/", name),
                      to = absl::StrCat(folder, "/", name);
    std::error_code error;
    if (std::filesystem::equivalent(from, to, error)) continue;

    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, error);
    if (error)
      return absl::UnavailableError(
          absl::StrCat("cannot copy ", from, " to ", to, ": ", error.message()));
  }

  const nlohmann::json palate = {{"prompt_style", ranking::kBuiltInStyleName}};
  return models::WriteFileAtomically(absl::StrCat(folder, "/palate.json"), palate.dump(2) + "\n");
}

}  // namespace palate::training
