// Tokens per second of all-MiniLM-L6-v2 over movie plots, compared with transformers and OpenVINO:
// the same ids in the same batches of similar length, with the same number of threads, in turn.
// Float32, and bfloat16 if the processor multiplies it in hardware. Prints the ratios and the
// differences between the peers' vectors and ours.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "bench/cached_model.h"
#include "bench/embedding/peer.h"
#include "bench/embedding/plots.h"
#include "bench/embedding/race.h"
#include "models/checkpoint/parameters.h"
#include "models/dtype.h"
#include "models/families/bert/bert.h"

ABSL_FLAG(std::string, model, "", "folder of all-MiniLM-L6-v2; default: in the download cache");
ABSL_FLAG(int, plots, 512, "how many plots are embedded");
ABSL_FLAG(int, batch, 32, "texts in a batch");
ABSL_FLAG(int, repeats, 5, "how often each side runs each batch; the fastest counts");
ABSL_FLAG(int, threads, 2, "threads of each side");
ABSL_FLAG(bool, peers, true,
          "compare with transformers and OpenVINO, which are installed outside of the checkout");

namespace palate::bench {
namespace {

// The race of our encoder and the peers with one data type.
class TypedRace {
 public:
  TypedRace(const TextBatches& batches, std::string dtype)
      : batches_(batches), dtype_(std::move(dtype)) {}

  absl::Status AddOurs(const std::string& folder) {
    const at::ScalarType type = dtype_ == "bf16" ? at::kBFloat16 : at::kFloat;
    PALATE_ASSIGN_OR_RETURN(encoder_, models::SentenceEncoder::Load(folder, {.dtype = type}));
    contestants_.push_back(
        {.name = "palate " + dtype_, .run = [this](size_t batch) -> absl::StatusOr<double> {
           absl::Status status;
           const double seconds =
               Seconds([&] { status = encoder_->Encode(batches_.batches[batch]).status(); });
           if (!status.ok()) return status;
           return seconds;
         }});
    return absl::OkStatus();
  }

  absl::Status AddPeer(Peer& peer, const std::string& library, const std::string& folder,
                       const std::string& ids) {
    const std::string name = absl::StrCat(library, " ", dtype_);
    PALATE_RETURN_IF_ERROR(peer.Call("load_encoder", {{"name", name},
                                                      {"library", library},
                                                      {"dtype", dtype_},
                                                      {"folder", folder},
                                                      {"ids", ids}})
                               .status());
    contestants_.push_back(
        {.name = name, .run = [&peer, name](size_t batch) { return peer.Run(name, batch); }});
    return absl::OkStatus();
  }

  absl::Status Run(int repeats) {
    PALATE_ASSIGN_OR_RETURN(
        const std::vector<double> seconds,
        Race(contestants_, {.batches = batches_.batches.size(), .repeats = repeats}));
    PrintRace(contestants_, seconds, static_cast<double>(batches_.tokens));
    return absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> OurVectors() const {
    std::vector<at::Tensor> rows;
    for (const auto& batch : batches_.batches) {
      PALATE_ASSIGN_OR_RETURN(rows.emplace_back(), encoder_->Encode(batch));
    }
    return at::cat(rows);
  }

  // Prints the largest difference between each peer's vectors and `ours`.
  absl::Status ComparePeers(Peer& peer, const at::Tensor& ours, const std::string& path) const {
    for (size_t i = 1; i < contestants_.size(); ++i) {
      PALATE_RETURN_IF_ERROR(peer.Call("vectors", {{"name", contestants_[i].name},
                                                   {"batches", batches_.batches.size()},
                                                   {"path", path}})
                                 .status());
      PALATE_ASSIGN_OR_RETURN(const auto theirs, models::LoadTensors(path));
      std::printf("  largest difference to %s: %.1e\n", contestants_[i].name.c_str(),
                  (ours - theirs.at("vectors")).abs().max().item<double>());
    }
    return absl::OkStatus();
  }

 private:
  const TextBatches& batches_;
  const std::string dtype_;
  std::shared_ptr<const models::SentenceEncoder> encoder_;
  std::vector<Contestant> contestants_;
};

void PrintErrorAgainstFloat32(const at::Tensor& narrow, const at::Tensor& wide) {
  const double cosine = (narrow * wide).sum(1).min().item<double>();
  std::printf("  bf16 against our fp32: largest difference %.1e, lowest cosine %.6f\n",
              (narrow - wide).abs().max().item<double>(), cosine);
}

absl::Status RunType(const std::string& dtype, const std::string& folder,
                     const TextBatches& batches, Peer* peer, const std::string& scratch,
                     at::Tensor& float32_vectors) {
  TypedRace race(batches, dtype);
  PALATE_RETURN_IF_ERROR(race.AddOurs(folder));

  if (peer != nullptr) {
    for (const char* library : {"transformers", "openvino"}) {
      PALATE_RETURN_IF_ERROR(race.AddPeer(*peer, library, folder, scratch + "/ids.safetensors"));
    }
  }

  PALATE_RETURN_IF_ERROR(race.Run(absl::GetFlag(FLAGS_repeats)));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, race.OurVectors());

  if (peer != nullptr)
    PALATE_RETURN_IF_ERROR(race.ComparePeers(*peer, vectors, scratch + "/vectors.safetensors"));

  if (float32_vectors.defined()) {
    PrintErrorAgainstFloat32(vectors, float32_vectors);
  } else {
    float32_vectors = vectors;
  }
  return absl::OkStatus();
}

absl::Status RunAll(const std::string& folder, const std::string& scratch) {
  const std::string shared =
      EnvironmentOr("PALATE_SHARED_DIR", std::string(PALATE_SOURCE_DIR) + "/../shared");

  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, models::SentenceEncoder::Load(folder));
  PALATE_ASSIGN_OR_RETURN(
      const TextBatches batches,
      LoadPlots(shared, *tokenizer, static_cast<size_t>(absl::GetFlag(FLAGS_plots)),
                static_cast<size_t>(absl::GetFlag(FLAGS_batch))));
  PALATE_RETURN_IF_ERROR(WriteBatches(batches, scratch + "/ids.safetensors"));

  std::printf(
      "all-MiniLM-L6-v2, %ld plots of %.0f tokens, batches of %d by length, %d threads, best of %d "
      "per batch\n",
      batches.texts, static_cast<double>(batches.tokens) / static_cast<double>(batches.texts),
      absl::GetFlag(FLAGS_batch), absl::GetFlag(FLAGS_threads), absl::GetFlag(FLAGS_repeats));

  std::unique_ptr<Peer> peer;
  if (absl::GetFlag(FLAGS_peers)) peer = Peer::StartOrSayWhy(absl::GetFlag(FLAGS_threads));
  if (peer != nullptr) {
    PALATE_ASSIGN_OR_RETURN(const nlohmann::json versions,
                            peer->Call("versions", nlohmann::json::object()));
    std::printf("peers: %s\n", versions.dump().c_str());
  }

  at::Tensor float32_vectors;
  PALATE_RETURN_IF_ERROR(RunType("fp32", folder, batches, peer.get(), scratch, float32_vectors));

  const models::CpuMatrixSupport support = models::DetectCpuMatrixSupport();
  if (support.avx512_bf16 || support.amx_bf16)
    return RunType("bf16", folder, batches, peer.get(), scratch, float32_vectors);

  std::printf("bf16: skipped, this processor does not multiply it in hardware\n");
  return absl::OkStatus();
}

}  // namespace
}  // namespace palate::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  const std::string folder =
      palate::bench::CachedModelFolder(absl::GetFlag(FLAGS_model), "all-MiniLM-L6-v2");
  if (!std::filesystem::exists(folder + "/config.json")) {
    std::printf("%s is absent: not run\n", folder.c_str());

    return 0;
  }

  std::string scratch = std::filesystem::temp_directory_path() / "palate-bench-XXXXXX";
  if (mkdtemp(scratch.data()) == nullptr) return 1;
  const absl::Status status = palate::bench::RunAll(folder, scratch);
  std::filesystem::remove_all(scratch);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
