// Tokens per second of a decoder with the shape of Qwen3-Embedding-0.6B and random weights,
// compared with transformers: texts of 128 and 512 tokens, the same ids, weights and number of
// threads, in turn. Float32, and bfloat16 if the processor multiplies it in hardware. Writes 2.4 GB
// of weights to the temporary folder and removes them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "bench/embedding/peer.h"
#include "bench/embedding/plots.h"
#include "bench/embedding/race.h"
#include "models/checkpoint/checkpoint.h"
#include "models/decoder/decoder.h"
#include "models/dtype.h"
#include "models/torch_status.h"

ABSL_FLAG(int, layers, 28, "layers of the decoder");
ABSL_FLAG(int, repeats, 3, "how often each side runs each batch; the fastest counts");
ABSL_FLAG(int, threads, 2, "threads of each side");
ABSL_FLAG(bool, peers, true,
          "compare with transformers, which is installed outside of the checkout");

namespace palate::bench {
namespace {

struct Shape {
  int64_t texts;
  int64_t tokens;
};
const std::vector<Shape> kShapes = {{4, 128}, {1, 512}};

models::DecoderConfig EmbeddingConfig() {
  models::DecoderConfig config;
  config.vocab_size = 151669;
  config.hidden_size = 1024;
  config.intermediate_size = 3072;
  config.num_layers = absl::GetFlag(FLAGS_layers);
  config.num_heads = 16;
  config.num_kv_heads = 8;
  config.head_dim = 128;
  config.max_positions = 32768;
  config.rope.theta = 1e6;
  return config;
}

TextBatches RandomBatches(int64_t vocabulary) {
  TextBatches result;
  for (const Shape& shape : kShapes) {
    auto& batch = result.batches.emplace_back();
    for (int64_t i = 0; i < shape.texts; ++i) {
      const at::Tensor ids = at::randint(vocabulary, {shape.tokens}, at::kLong);
      batch.emplace_back(ids.const_data_ptr<int64_t>(),
                         ids.const_data_ptr<int64_t>() + ids.numel());
    }
  }
  return result;
}

// The hidden states of the last tokens: float32 [texts, hidden].
at::Tensor LastStates(const models::DecoderModel& model,
                      const std::vector<std::vector<int64_t>>& batch) {
  const c10::InferenceMode inference;
  const at::Tensor states = model.Forward(models::PackTokens(batch));
  std::vector<int64_t> last;
  int64_t end = 0;
  for (const auto& text : batch) last.push_back((end += static_cast<int64_t>(text.size())) - 1);
  return states.index_select(0, at::tensor(last, at::kLong)).to(at::kFloat);
}

// The best speed per shape of one implementation with one data type.
struct Result {
  std::string name;
  std::vector<double> tokens_per_second = {};
};

absl::StatusOr<std::vector<Result>> RaceType(const std::string& dtype, const std::string& folder,
                                             const TextBatches& batches, Peer* peer) {
  const at::ScalarType type = dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const auto model,
                          models::DecoderModel::Load(checkpoint, {.dtype = type}));

  std::vector<Contestant> contestants = {
      {.name = "palate " + dtype, .run = [&](size_t batch) -> absl::StatusOr<double> {
         return models::CatchTorch(
             [&] { return Seconds([&] { LastStates(*model, batches.batches[batch]); }); });
       }}};

  if (peer != nullptr) {
    const std::string name = "transformers " + dtype;
    PALATE_RETURN_IF_ERROR(peer->Call("load_decoder", {{"name", name},
                                                       {"dtype", dtype},
                                                       {"folder", folder},
                                                       {"ids", folder + "/ids.safetensors"}})
                               .status());
    contestants.push_back(
        {.name = name, .run = [peer, name](size_t batch) { return peer->Run(name, batch); }});
  }

  PALATE_ASSIGN_OR_RETURN(
      const auto best,
      BestTimes(contestants, {.batches = kShapes.size(), .repeats = absl::GetFlag(FLAGS_repeats)}));

  std::vector<Result> results;
  for (size_t i = 0; i < contestants.size(); ++i) {
    results.push_back({.name = contestants[i].name});
    for (size_t shape = 0; shape < kShapes.size(); ++shape) {
      results.back().tokens_per_second.push_back(
          static_cast<double>(kShapes[shape].texts * kShapes[shape].tokens) / best[i][shape]);
    }
  }

  if (peer != nullptr && type == at::kFloat) {
    const std::string path = folder + "/vectors.safetensors";
    PALATE_RETURN_IF_ERROR(
        peer->Call("vectors",
                   {{"name", contestants[1].name}, {"batches", kShapes.size()}, {"path", path}})
            .status());
    PALATE_ASSIGN_OR_RETURN(const auto theirs, models::LoadTensors(path));

    std::vector<at::Tensor> ours;
    for (const auto& batch : batches.batches) ours.push_back(LastStates(*model, batch));
    std::printf("largest difference to %s: %.1e\n", contestants[1].name.c_str(),
                (at::cat(ours) - theirs.at("vectors")).abs().max().item<double>());
  }
  return results;
}

void Print(const std::vector<Result>& results) {
  for (size_t shape = 0; shape < kShapes.size(); ++shape) {
    std::printf("%ld x %ld tokens\n", kShapes[shape].texts, kShapes[shape].tokens);
    double ours = 0, theirs = 0;
    for (const Result& result : results) {
      const double speed = result.tokens_per_second[shape];
      double& best = result.name.starts_with("palate") ? ours : theirs;
      best = std::max(best, speed);
      std::printf("  %-24s %10.0f tokens/s\n", result.name.c_str(), speed);
    }

    if (theirs > 0)
      std::printf("  palate is %.2f times as fast, each in the faster of its types\n",
                  ours / theirs);
  }
}

absl::Status RunAll(const std::string& folder) {
  const models::DecoderConfig config = EmbeddingConfig();
  {
    PALATE_ASSIGN_OR_RETURN(const auto random, models::DecoderModel::CreateRandom(config, 1));
    PALATE_RETURN_IF_ERROR(random->Save(folder));
  }

  const TextBatches batches = RandomBatches(config.vocab_size);
  PALATE_RETURN_IF_ERROR(WriteBatches(batches, folder + "/ids.safetensors"));
  std::printf("Qwen3-Embedding-0.6B shapes, random weights, %d threads, best of %d\n",
              absl::GetFlag(FLAGS_threads), absl::GetFlag(FLAGS_repeats));

  std::unique_ptr<Peer> peer;
  if (absl::GetFlag(FLAGS_peers)) peer = Peer::StartOrSayWhy(absl::GetFlag(FLAGS_threads));

  PALATE_ASSIGN_OR_RETURN(std::vector<Result> results,
                          RaceType("fp32", folder, batches, peer.get()));

  const models::CpuMatrixSupport support = models::DetectCpuMatrixSupport();
  if (support.avx512_bf16 || support.amx_bf16) {
    PALATE_ASSIGN_OR_RETURN(const std::vector<Result> narrow,
                            RaceType("bf16", folder, batches, peer.get()));
    results.insert(results.end(), narrow.begin(), narrow.end());
  }

  Print(results);
  return absl::OkStatus();
}

}  // namespace
}  // namespace palate::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  std::string folder = std::filesystem::temp_directory_path() / "palate-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const absl::Status status = palate::bench::RunAll(folder);
  std::filesystem::remove_all(folder);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
