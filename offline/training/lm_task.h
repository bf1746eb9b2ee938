// The language model's training task: dense label cross-entropy on rank prompts, and next-token
// cross-entropy on explanations.
//
// The label slots of a rank prompt are targets: those of history lines (what the shopper did,
// except plain views) and those of candidates (the probability that the shopper wants the product).
// A listwise term compares the candidates of one prompt with each other, as NDCG does. Not
// thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/decoder/decoder.h"
#include "offline/training/lm_data.h"
#include "offline/training/loop.h"

namespace palate::training {

struct LmTaskOptions {
  uint64_t seed = 1;
  std::string tokenizer;  // folder with tokenizer.json and tokenizer_config.json
  // The shape of the model; its vocabulary size is the tokenizer's.
  int64_t hidden_size = 128;
  int64_t intermediate_size = 320;
  int64_t num_layers = 3;
  int64_t num_heads = 4;
  int64_t num_kv_heads = 2;
  int64_t head_dim = 32;
  // A batch.
  int rank_examples = 8;
  int explain_examples = 8;
  int candidates = 16;
  // Weights of the loss terms; the candidates' cross-entropy has weight 1.
  double history_weight = 0.2;
  double listwise_weight = 0.5;
  double explain_weight = 0.5;
};

// Rank examples as one batch for DecoderModel::Forward. Rows are padded to the longest; a candidate
// attends to the prefix and to itself, not to other candidates.
struct RankBatch {
  models::MaskedTokens tokens;
  at::Tensor label_rows;  // int64 [labels]: rows of Forward's result that are label slots; history
                          // first, then candidates
  at::Tensor targets;     // float32 [labels]
  int64_t history_labels = 0;
  // Number of candidates of each example, in the order of their labels.
  std::vector<int64_t> list_sizes;
};
RankBatch MakeRankBatch(const std::vector<RankExample>& examples, int64_t pad_id);

// Log-odds of kYes over kNo: float32 [n]. `hidden` is float32 [n, hidden].
at::Tensor LabelLogOdds(const models::DecoderModel& model, const at::Tensor& hidden, int64_t yes_id,
                        int64_t no_id);

class LmTask : public TrainingTask {
 public:
  static absl::StatusOr<std::unique_ptr<LmTask>> Create(const LmTaskOptions& options);

  std::vector<TrainedTensor> Tensors() override;
  absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) override;
  // "rank" and "explain" losses; "ndcg", the NDCG@10 by true utility over 30 validation prompts of
  // 48 candidates; and "marks", the same for candidates ordered by the sum of their preference
  // marks' tiers: the baseline that the model has to beat.
  absl::StatusOr<Metrics> Validate() override;
  // Writes config.json, generation_config.json, model.safetensors, the tokenizer's files and
  // palate.json.
  absl::Status Save(const std::string& folder) override;

  models::DecoderModel& model() { return *model_; }

 private:
  LmTask(const LmTaskOptions& options, std::unique_ptr<models::DecoderModel> model,
         std::unique_ptr<LmData> data, std::unique_ptr<LmData> validation)
      : options_(options),
        model_(std::move(model)),
        data_(std::move(data)),
        validation_(std::move(validation)) {}

  struct RankLoss {
    at::Tensor candidates, history, listwise;
  };
  RankLoss RankLossOf(const RankBatch& batch) const;
  at::Tensor ExplainLossOf(const std::vector<ExplainExample>& examples) const;
  double MarkScore(const std::vector<int64_t>& candidate) const;

  const LmTaskOptions options_;
  std::unique_ptr<models::DecoderModel> model_;
  std::unique_ptr<LmData> data_;
  std::unique_ptr<LmData> validation_;
};

}  // namespace palate::training
