// palate-train: trains and measures the built-in models. One subcommand a run:
//
//   palate-train tokenizer --out=DIR [--seed=1]
//   palate-train lm        --out=DIR --tokenizer=DIR [--steps=4000] [--minutes=N] [--resume]
//   [--seed=1] palate-train vision    --out=DIR --text=DIR [--steps=4000] [--minutes=N] [--resume]
//   [--seed=1] palate-train weights   --lm=DIR --text=DIR --vision=DIR [--weights=0.5,0.75,1]
//   [--shops=6] [--seed=1] palate-train evaluate  --lm=DIR --text=DIR --vision=DIR
//   [--rerank_weight=0.5] [--json=FILE]
//
// weights chooses the language model's share of the blend on validation shops; evaluate then
// measures it on held-out ones.
//
// The commands behind the committed weights stand in their model cards, assets/*/README.md.
#include <ATen/Parallel.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/json_config.h"
#include "offline/training/evaluate.h"
#include "offline/training/lm_task.h"
#include "offline/training/loop.h"
#include "offline/training/tokenizer_corpus.h"
#include "offline/training/vision_task.h"
#include "ranking/ranker.h"

ABSL_FLAG(std::string, out, "", "folder to write");
ABSL_FLAG(uint64_t, seed, 1, "of weights and data");
ABSL_FLAG(int64_t, steps, 4000,
          "optimizer steps of the whole run; the learning rate's schedule ends there");
ABSL_FLAG(double, minutes, 0,
          "stop after this long, with a checkpoint to resume from; 0: no limit");
ABSL_FLAG(bool, resume, false, "go on from the checkpoint in --out");
ABSL_FLAG(int, threads, 1, "of LibTorch; results are reproducible bit for bit with 1");
ABSL_FLAG(double, learning_rate, 0, "at its peak; 0: the model's default");
ABSL_FLAG(int, accumulation, 1, "micro batches per step");
ABSL_FLAG(std::string, tokenizer, "", "lm: folder with tokenizer.json");
ABSL_FLAG(std::string, text, "", "vision, weights, evaluate: the text tower's folder");
ABSL_FLAG(std::string, lm, "", "weights, evaluate: the language model's folder");
ABSL_FLAG(std::string, vision, "", "weights, evaluate: the image tower's folder");
ABSL_FLAG(std::vector<std::string>, weights,
          std::vector<std::string>({"0", "0.5", "0.6", "0.7", "0.8", "0.9", "1"}),
          "weights: shares of the blend to compare, each from 0 to 1");
ABSL_FLAG(int, shops, 6, "weights: how many validation shops");
ABSL_FLAG(double, rerank_weight, 0.5, "evaluate: the language model's share of the blend");
ABSL_FLAG(std::string, json, "", "evaluate: file for the figures");

namespace palate::training {
namespace {

LoopOptions LoopFromFlags(double default_learning_rate) {
  LoopOptions options;
  options.out = absl::GetFlag(FLAGS_out);
  options.steps = absl::GetFlag(FLAGS_steps);
  if (const double minutes = absl::GetFlag(FLAGS_minutes); minutes > 0)
    options.time_limit = absl::Minutes(minutes);
  options.resume = absl::GetFlag(FLAGS_resume);
  options.accumulation = absl::GetFlag(FLAGS_accumulation);
  const double learning_rate = absl::GetFlag(FLAGS_learning_rate);
  options.peak_learning_rate = learning_rate > 0 ? learning_rate : default_learning_rate;
  return options;
}

absl::Status Train(TrainingTask& task, const LoopOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const LoopResult result, RunTraining(task, options));
  if (!result.finished) spdlog::info("stopped at step {}; --resume goes on", result.steps_done);
  return absl::OkStatus();
}

absl::Status RunTokenizer() {
  TokenizerOptions options;
  options.seed = absl::GetFlag(FLAGS_seed);
  return TrainTokenizer(options, absl::GetFlag(FLAGS_out));
}

absl::Status RunLm() {
  LmTaskOptions options;
  options.seed = absl::GetFlag(FLAGS_seed);
  options.tokenizer = absl::GetFlag(FLAGS_tokenizer);
  PALATE_ASSIGN_OR_RETURN(const auto task, LmTask::Create(options));
  return Train(*task, LoopFromFlags(2e-3));
}

absl::Status RunVision() {
  VisionTaskOptions options;
  options.seed = absl::GetFlag(FLAGS_seed);
  options.text = absl::GetFlag(FLAGS_text);
  options.cache = absl::GetFlag(FLAGS_out);
  PALATE_ASSIGN_OR_RETURN(const auto task, VisionTask::Create(options));
  return Train(*task, LoopFromFlags(1.5e-3));
}

// The ranking library behind the pipeline's interface.
class LibraryRanker : public pipeline::CandidateRanker {
 public:
  explicit LibraryRanker(std::unique_ptr<ranking::Ranker> ranker) : ranker_(std::move(ranker)) {}
  absl::StatusOr<ranking::RankOutput> Rank(const ranking::RankInput& input,
                                           const CallContext& context) override {
    return ranker_->Rank(input, context);
  }
  absl::StatusOr<std::vector<ranking::Explanation>> Explain(
      const std::vector<ranking::ExplainInput>& inputs, const OnText& on_text,
      const CallContext& context) override {
    return ranker_->Explain(inputs, on_text, context);
  }

 private:
  const std::unique_ptr<ranking::Ranker> ranker_;
};

// Loads what the flags name and hands it to `measure`.
absl::Status WithModels(const std::function<absl::Status(const MeasuredModels&)>& measure) {
  PALATE_ASSIGN_OR_RETURN(const auto text,
                          models::SentenceEncoder::Load(absl::GetFlag(FLAGS_text)));
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint,
                          models::Checkpoint::Open(absl::GetFlag(FLAGS_vision)));
  PALATE_ASSIGN_OR_RETURN(const auto vision, models::VitModel::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(const auto processor,
                          models::ImageProcessor::Load(absl::GetFlag(FLAGS_vision)));
  ranking::RankerConfig config;
  config.models = {{"measured", absl::GetFlag(FLAGS_lm)}};
  config.engine.intra_op_threads = absl::GetFlag(FLAGS_threads);
  PALATE_ASSIGN_OR_RETURN(auto ranker, ranking::Ranker::Create(config));
  LibraryRanker measured(std::move(ranker));
  return measure({*text, *vision, processor, measured});
}

absl::Status SweepWith(const MeasuredModels& models) {
  SweepOptions options;
  options.seed = absl::GetFlag(FLAGS_seed);
  options.shops = absl::GetFlag(FLAGS_shops);
  for (const std::string& text : absl::GetFlag(FLAGS_weights)) {
    double weight = 0;
    if (!absl::SimpleAtod(text, &weight) || !(weight >= 0 && weight <= 1)) {
      return absl::InvalidArgumentError(absl::StrCat("--weights: '", text, "' is not from 0 to 1"));
    }
    options.weights.push_back(weight);
  }
  PALATE_ASSIGN_OR_RETURN(const std::vector<WeightFigures> sweep, SweepWeights(models, options));
  std::fputs(FormatSweep(sweep).c_str(), stdout);
  return absl::OkStatus();
}

absl::Status EvaluateWith(const MeasuredModels& models) {
  EvaluationOptions options;
  options.rerank_weight = absl::GetFlag(FLAGS_rerank_weight);
  PALATE_ASSIGN_OR_RETURN(const EvaluationFigures figures, Evaluate(models, options));
  std::fputs(FormatFigures(figures).c_str(), stdout);
  const std::string json = absl::GetFlag(FLAGS_json);
  return json.empty() ? absl::OkStatus()
                      : models::WriteFileAtomically(json, ToJson(figures).dump(2) + "\n");
}

absl::Status Run(const std::string& command) {
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  if (command == "tokenizer") return RunTokenizer();
  if (command == "lm") return RunLm();
  if (command == "vision") return RunVision();
  if (command == "weights") return WithModels(SweepWith);
  if (command == "evaluate") return WithModels(EvaluateWith);
  return absl::InvalidArgumentError(
      absl::StrCat("no such command: '", command, "'; tokenizer, lm, vision, weights or evaluate"));
}

}  // namespace
}  // namespace palate::training

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("palate-train tokenizer|lm|vision|weights|evaluate [flags]");
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  palate::InitLogging("info");
  if (arguments.size() != 2) {
    std::fprintf(stderr, "palate-train: exactly one of tokenizer, lm, vision, weights, evaluate\n");
    return 2;
  }
  const absl::Status status = palate::training::Run(arguments[1]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "palate-train: %s\n", status.ToString().c_str());
  return 1;
}
