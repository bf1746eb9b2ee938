// The language model's training task: dense label cross-entropy on rank prompts, and next-token
// cross-entropy on explanations.
//
// Every label slot of a rank prompt is a target: those of the history (what the shopper did) and
// those of the candidates (what the shopper would want, as a probability). A second term compares
// the candidates of one prompt with each other, as NDCG will.
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
  std::string tokenizer;  // folder with tokenizer.json
  // The shape of a fresh model; the vocabulary comes from the tokenizer.
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

// Rank examples as one batch for DecoderModel::Forward: rows are padded to the longest, candidates
// see the prefix and themselves.
struct RankBatch {
  models::MaskedTokens tokens;
  at::Tensor label_rows;  // int64 [labels]: rows of Forward's result that are label slots; history
                          // first, then candidates
  at::Tensor targets;     // float32 [labels]
  int64_t history_labels = 0;
  std::vector<int64_t> list_sizes;  // candidates of each example; their labels lie in this order
};
RankBatch MakeRankBatch(const std::vector<RankExample>& examples, int64_t pad_id);

// log-odds of kYes over kNo: [n]. `hidden` is [n, hidden].
at::Tensor LabelLogOdds(const models::DecoderModel& model, const at::Tensor& hidden, int64_t yes_id,
                        int64_t no_id);

class LmTask : public TrainingTask {
 public:
  static absl::StatusOr<std::unique_ptr<LmTask>> Create(const LmTaskOptions& options);

  std::vector<TrainedTensor> Tensors() override;
  absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) override;
  // "rank" and "explain" losses, and "ndcg": NDCG@10 by true utility over 30 validation prompts of
  // 48 candidates; "marks": the same when candidates are ordered by the sum of their marks' tiers,
  // which the model has to beat.
  absl::StatusOr<Metrics> Validate() override;
  // config.json, model.safetensors, tokenizer files, palate.json.
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
