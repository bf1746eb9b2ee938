// palate-train: trains and measures the built-in models. One subcommand a run:
//
//   palate-train tokenizer --out=DIR [--seed=1]
//   palate-train lm        --out=DIR --tokenizer=DIR [--steps=4000] [--minutes=N] [--resume]
//             [--seed=1]
//   palate-train drawings  --out=DIR [--products=900] [--size=224] [--split=training|held]
//             [--seed=1]
//   palate-train weights   --lm=DIR --model=DIR [--weights=0.5,0.75,1] [--shops=6] [--seed=1]
//   palate-train evaluate  --lm=DIR --model=DIR [--rerank-weight=0.5] [--json=FILE]
//
// drawings writes the pictures that offline/training/image_head learns from. weights chooses the
// language model's share of the blend on validation shops; evaluate then measures it on held-out
// ones.
//
// The commands behind the committed weights stand in their model cards, assets/*/README.md.
#include <ATen/Parallel.h>

#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/log.h"
#include "base/status.h"
#include "base/version.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "models/checkpoint/json_config.h"
#include "offline/training/drawings.h"
#include "offline/training/evaluate.h"
#include "offline/training/lm_task.h"
#include "offline/training/loop.h"
#include "offline/training/tokenizer_corpus.h"
#include "ranking/ranker.h"

namespace palate::training {
namespace {

const char kUsage[] =
    "usage: palate-train tokenizer|lm|drawings|weights|evaluate [FLAGS]\n\n"
    "  --out DIR            folder to write\n"
    "  --seed N             of weights and data (default 1)\n"
    "  --steps N            optimizer steps of the whole run; the learning rate's schedule ends "
    "there (default 4000)\n"
    "  --minutes N          stop after this long, with a checkpoint to resume from (default 0: no "
    "limit)\n"
    "  --resume             continue from the checkpoint in --out\n"
    "  --threads N          of LibTorch; results are reproducible bit for bit with 1 (default 1)\n"
    "  --learning-rate X    at its peak (default 0: the model's own)\n"
    "  --accumulation N     micro batches per step (default 1)\n"
    "  --tokenizer DIR      lm: folder with tokenizer.json\n"
    "  --lm DIR             weights, evaluate: the language model's folder\n"
    "  --model DIR          weights, evaluate: the embedding model's folder\n"
    "  --products N         drawings: how many (default 900)\n"
    "  --size N             drawings: pixels of a side (default 224)\n"
    "  --split NAME         drawings: training or held (default training)\n"
    "  --weights X,Y,...    weights: shares of the blend to compare, each from 0 to 1 (default "
    "0,0.5,0.6,0.7,0.8,0.9,1)\n"
    "  --shops N            weights: how many validation shops (default 6)\n"
    "  --rerank-weight X    evaluate: the language model's share of the blend (default 0.5)\n"
    "  --json FILE          evaluate: file for the figures\n"
    "  --version            print the version\n";

// What the command line says, with the defaults of kUsage.
struct TrainFlags {
  std::string out;
  uint64_t seed = 1;
  int64_t steps = 4000;
  double minutes = 0;
  bool resume = false;
  int threads = 1;
  double learning_rate = 0;
  int accumulation = 1;
  std::string tokenizer;
  std::string lm;
  std::string model;
  int products = 900;
  int size = 224;
  Split split = Split::kTraining;
  std::string weights;
  int shops = 6;
  double rerank_weight = 0.5;
  std::string json;
};

absl::StatusOr<Split> ParseSplit(const std::string& name) {
  if (name == "training") return Split::kTraining;
  if (name == "held") return Split::kHeldOut;
  return absl::InvalidArgumentError(
      absl::StrCat("--split: '", name, "' is neither training nor held"));
}

absl::StatusOr<TrainFlags> TakeFlags(Flags& flags) {
  constexpr int kMost = std::numeric_limits<int>::max();
  constexpr int64_t kMost64 = std::numeric_limits<int64_t>::max();
  constexpr double kMostNumber = std::numeric_limits<double>::max();

  TrainFlags taken;
  taken.out = flags.Text("out");
  PALATE_ASSIGN_OR_RETURN(taken.seed, flags.Int64("seed", 1, 0, kMost64));
  PALATE_ASSIGN_OR_RETURN(taken.steps, flags.Int64("steps", taken.steps, 0, kMost64));
  PALATE_ASSIGN_OR_RETURN(taken.minutes, flags.Number("minutes", taken.minutes, 0, kMostNumber));
  taken.resume = flags.Switch("resume");
  PALATE_ASSIGN_OR_RETURN(taken.threads, flags.Int("threads", taken.threads, 1, kMost));
  PALATE_ASSIGN_OR_RETURN(taken.learning_rate,
                          flags.Number("learning-rate", taken.learning_rate, 0, kMostNumber));
  PALATE_ASSIGN_OR_RETURN(taken.accumulation,
                          flags.Int("accumulation", taken.accumulation, 1, kMost));

  taken.tokenizer = flags.Text("tokenizer");
  taken.lm = flags.Text("lm");
  taken.model = flags.Text("model");
  PALATE_ASSIGN_OR_RETURN(taken.products, flags.Int("products", taken.products, 1, kMost));
  PALATE_ASSIGN_OR_RETURN(taken.size, flags.Int("size", taken.size, 16, 2048));
  PALATE_ASSIGN_OR_RETURN(taken.split, ParseSplit(flags.Text("split", "training")));
  taken.weights = flags.Text("weights", "0,0.5,0.6,0.7,0.8,0.9,1");
  PALATE_ASSIGN_OR_RETURN(taken.shops, flags.Int("shops", taken.shops, 1, kMost));
  PALATE_ASSIGN_OR_RETURN(taken.rerank_weight,
                          flags.Number("rerank-weight", taken.rerank_weight, 0, 1));
  taken.json = flags.Text("json");

  PALATE_RETURN_IF_ERROR(flags.CheckAllUsed());
  return taken;
}

LoopOptions LoopFromFlags(const TrainFlags& flags, double default_learning_rate) {
  LoopOptions options;
  options.out = flags.out;
  options.steps = flags.steps;
  if (flags.minutes > 0) options.time_limit = absl::Minutes(flags.minutes);
  options.resume = flags.resume;
  options.accumulation = flags.accumulation;
  options.peak_learning_rate =
      flags.learning_rate > 0 ? flags.learning_rate : default_learning_rate;
  return options;
}

absl::Status Train(TrainingTask& task, const LoopOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const LoopResult result, RunTraining(task, options));
  if (!result.finished) spdlog::info("stopped at step {}; --resume continues", result.steps_done);
  return absl::OkStatus();
}

absl::Status RunTokenizer(const TrainFlags& flags) {
  TokenizerOptions options;
  options.seed = flags.seed;
  return TrainTokenizer(options, flags.out);
}

absl::Status RunLm(const TrainFlags& flags) {
  LmTaskOptions options;
  options.seed = flags.seed;
  options.tokenizer = flags.tokenizer;
  PALATE_ASSIGN_OR_RETURN(const auto task, LmTask::Create(options));
  return Train(*task, LoopFromFlags(flags, 2e-3));
}

absl::Status RunDrawings(const TrainFlags& flags) {
  if (flags.out.empty()) return absl::InvalidArgumentError("--out is required");
  return WriteDrawings({.out = flags.out,
                        .split = flags.split,
                        .seed = flags.seed,
                        .products = flags.products,
                        .size = flags.size});
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
absl::Status WithModels(const TrainFlags& flags,
                        absl::Status (*measure)(const TrainFlags&, const MeasuredModels&)) {
  PALATE_ASSIGN_OR_RETURN(const auto model, embedding::EmbeddingModel::Load(flags.model));
  embedding::EmbedderOptions embedder_options;
  embedder_options.intra_op_threads = flags.threads;
  PALATE_ASSIGN_OR_RETURN(const auto embedder,
                          embedding::Embedder::Create(model, embedder_options));

  ranking::RankerConfig config;
  config.models = {{"measured", flags.lm}};
  config.engine.intra_op_threads = flags.threads;
  PALATE_ASSIGN_OR_RETURN(auto ranker, ranking::Ranker::Create(config));
  LibraryRanker measured(std::move(ranker));
  return measure(flags, {*embedder, measured});
}

absl::Status SweepWith(const TrainFlags& flags, const MeasuredModels& models) {
  SweepOptions options;
  options.seed = flags.seed;
  options.shops = flags.shops;
  for (const absl::string_view text : absl::StrSplit(flags.weights, ',')) {
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

absl::Status EvaluateWith(const TrainFlags& flags, const MeasuredModels& models) {
  EvaluationOptions options;
  options.rerank_weight = flags.rerank_weight;
  PALATE_ASSIGN_OR_RETURN(const EvaluationFigures figures, Evaluate(models, options));
  std::fputs(FormatFigures(figures).c_str(), stdout);
  return flags.json.empty()
             ? absl::OkStatus()
             : models::WriteFileAtomically(flags.json, ToJson(figures).dump(2) + "\n");
}

absl::Status Run(const std::string& command, const TrainFlags& flags) {
  at::set_num_threads(flags.threads);
  if (command == "tokenizer") return RunTokenizer(flags);
  if (command == "lm") return RunLm(flags);
  if (command == "drawings") return RunDrawings(flags);
  if (command == "weights") return WithModels(flags, SweepWith);
  if (command == "evaluate") return WithModels(flags, EvaluateWith);
  return absl::InvalidArgumentError(absl::StrCat(
      "no such command: '", command, "'; tokenizer, lm, drawings, weights or evaluate"));
}

// Exit codes: 0 after an orderly end, 1 when the command failed, 2 for a wrong command line.
int Main(const std::vector<std::string>& arguments) {
  auto flags = Flags::Parse(arguments, {"resume", "help", "version"});
  if (flags.ok() && flags->Switch("version")) {
    std::printf("palate-train %s\n", std::string(Version()).c_str());
    return 0;
  }
  if (flags.ok() && flags->Switch("help")) {
    std::fputs(kUsage, stdout);
    return 0;
  }

  const absl::StatusOr<TrainFlags> taken = flags.ok() ? TakeFlags(*flags) : flags.status();
  if (!taken.ok() || flags->positional().size() != 1) {
    if (!taken.ok())
      std::fprintf(stderr, "palate-train: %s\n", std::string(taken.status().message()).c_str());
    std::fputs(kUsage, stderr);
    return 2;
  }

  InitLogging("info");
  const absl::Status status = Run(flags->positional()[0], *taken);
  if (status.ok()) return 0;
  std::fprintf(stderr, "palate-train: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace palate::training

int main(int argc, char** argv) {
  return palate::training::Main(std::vector<std::string>(argv + 1, argv + argc));
}
