// Time per stage of a model with the shape of Qwen3-VL-2B and random weights, for one 512 x 512
// picture: decode, resize and cut, vision tower, text.
//
// It needs 8.5 GB of memory and writes 4.3 GB to the temporary folder, so it runs only with
// --run=true.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "base/status.h"
#include "bench/embedding/peer.h"
#include "bench/embedding/race.h"
#include "models/checkpoint/checkpoint.h"
#include "models/decoder/decoder.h"
#include "models/device.h"
#include "models/dtype.h"
#include "models/families/qwen3_vl/qwen3_vl_config.h"
#include "models/families/qwen3_vl/vision.h"
#include "models/families/qwen_vl/positions.h"
#include "models/families/qwen_vl/tensor_names.h"
#include "models/image/image.h"
#include "models/image/vl_processor.h"
#include "models/torch_status.h"

ABSL_FLAG(bool, run, false, "run the benchmark, which needs 8.5 GB of memory");
ABSL_FLAG(std::string, dtype, "fp32", "compute type: fp32, bf16 or auto");
ABSL_FLAG(int, text_tokens, 64, "tokens of text around the picture");
ABSL_FLAG(int, picture, 512, "width and height of the picture in pixels");
ABSL_FLAG(int, repeats, 3, "how often each stage runs; the fastest counts");
ABSL_FLAG(int, threads, 2, "threads");

namespace palate::bench {
namespace {

// The config of Qwen3-VL-2B-Instruct.
nlohmann::json Config() {
  const nlohmann::json text = {{"vocab_size", 151936},
                               {"hidden_size", 2048},
                               {"intermediate_size", 6144},
                               {"num_hidden_layers", 28},
                               {"num_attention_heads", 16},
                               {"num_key_value_heads", 8},
                               {"head_dim", 128},
                               {"max_position_embeddings", 262144},
                               {"rope_parameters",
                                {{"rope_type", "default"},
                                 {"rope_theta", 5000000},
                                 {"mrope_section", {24, 20, 20}},
                                 {"mrope_interleaved", true}}},
                               {"tie_word_embeddings", true}};

  const nlohmann::json vision = {{"depth", 24},
                                 {"hidden_size", 1024},
                                 {"intermediate_size", 4096},
                                 {"num_heads", 16},
                                 {"out_hidden_size", 2048},
                                 {"patch_size", 16},
                                 {"num_position_embeddings", 2304},
                                 {"deepstack_visual_indexes", {5, 11, 17}}};

  return {{"model_type", "qwen3_vl"},
          {"text_config", text},
          {"vision_config", vision},
          {"tie_word_embeddings", true}};
}

class Stages {
 public:
  static absl::StatusOr<Stages> Load(const std::string& folder, at::ScalarType dtype) {
    Stages stages;
    PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));
    PALATE_ASSIGN_OR_RETURN(const models::VlConfig config,
                            models::ReadQwen3VlConfig(checkpoint.config()));

    stages.image_token_ = config.image_token_id;

    PALATE_ASSIGN_OR_RETURN(stages.decoder_, models::DecoderModel::Load(
                                                 checkpoint, config.decoder,
                                                 {.dtype = dtype,
                                                  .prefixes = models::DecoderPrefixes(),
                                                  .ignored_prefixes = models::VisionPrefixes()}));

    models::LoadOptions tower;
    tower.prefixes = models::VisionPrefixes();
    tower.ignored_prefixes = models::BesidesVision();
    tower.dtype = dtype;
    PALATE_ASSIGN_OR_RETURN(stages.tower_,
                            models::Qwen3VisionTower::Load(checkpoint, config.vision, tower));

    PALATE_ASSIGN_OR_RETURN(stages.encoded_, models::ReadFileToString(folder + "/picture.jpg"));
    return stages;
  }

  // Runs the stages in order and prints their times. Each stage reads the output of the previous
  // one.
  absl::Status Run(const models::VlImageProcessor& processor) {
    absl::Status status;
    Time("decode", [&] { status.Update(Decode()); });
    Time("resize and cut", [&] { status.Update(Cut(processor)); });
    if (!status.ok()) return status;
    return models::CatchTorch([&] {
      const c10::InferenceMode inference;
      Time("vision tower", [&] { features_ = tower_->Forward({patches_}); });
      std::printf("  %ld patches, %ld tokens of the picture, %d of text\n", patches_.patches(),
                  features_.embeddings.size(0), absl::GetFlag(FLAGS_text_tokens));
      const models::DecoderInputs inputs = Inputs();
      Time("text", [&] { decoder_->Forward(inputs); });
    });
  }

 private:
  absl::Status Decode() {
    PALATE_ASSIGN_OR_RETURN(image_, models::DecodeImage(encoded_));
    return absl::OkStatus();
  }

  absl::Status Cut(const models::VlImageProcessor& processor) {
    PALATE_ASSIGN_OR_RETURN(patches_, processor.Process(image_));
    return absl::OkStatus();
  }

  // The picture's tokens with half of the text before and half after them.
  models::DecoderInputs Inputs() const {
    const int64_t picture = features_.embeddings.size(0);
    const int64_t text = absl::GetFlag(FLAGS_text_tokens);
    std::vector<int64_t> ids(static_cast<size_t>(text + picture), 1000);
    std::fill_n(ids.begin() + text / 2, picture, image_token_);

    const int64_t side = tower_->merge_size();
    const models::MergedGrid grid = {
        .t = 1, .h = patches_.grid_h / side, .w = patches_.grid_w / side};
    const models::MropePositions positions = models::PositionsOf(ids, {grid}, image_token_, 0);

    std::vector<at::Tensor> axes;
    for (const std::vector<int64_t>& axis : positions.axes)
      axes.push_back(at::tensor(axis, at::kLong));

    models::DecoderInputs inputs;
    inputs.positions = at::stack(axes);
    inputs.lengths = {text + picture};
    inputs.deepstack_rows = at::arange(text / 2, text / 2 + picture, at::kLong);
    inputs.deepstack = features_.deepstack;
    inputs.embeddings = decoder_->EmbedTokens(at::tensor(ids, at::kLong))
                            .index_copy(0, inputs.deepstack_rows, features_.embeddings);
    return inputs;
  }

  static void Time(const char* stage, const std::function<void()>& body) {
    double best = Seconds(body);
    for (int i = 1; i < absl::GetFlag(FLAGS_repeats); ++i) best = std::min(best, Seconds(body));
    std::printf("%-16s %10.1f ms\n", stage, best * 1e3);
    std::fflush(stdout);
  }

  std::shared_ptr<const models::DecoderModel> decoder_;
  std::shared_ptr<const models::Qwen3VisionTower> tower_;
  int64_t image_token_ = 0;
  std::string encoded_;
  models::Image image_;
  models::ImagePatches patches_;
  models::VisionFeatures features_;
};

absl::Status RunAll(const std::string& folder) {
  {
    PALATE_ASSIGN_OR_RETURN(const auto peer, Peer::Start(absl::GetFlag(FLAGS_threads)));
    PALATE_RETURN_IF_ERROR(peer->Call("save_random", {{"config", Config()},
                                                      {"folder", folder},
                                                      {"picture", absl::GetFlag(FLAGS_picture)}})

                               .status());
  }

  PALATE_ASSIGN_OR_RETURN(const c10::Device device, models::OpenDevice("cpu"));
  PALATE_ASSIGN_OR_RETURN(const at::ScalarType dtype,
                          models::ParseDtype(absl::GetFlag(FLAGS_dtype), device));
  std::printf(
      "Qwen3-VL-2B shapes, random weights, %s, one %d x %d picture, %d threads, best of %d\n",
      std::string(models::DtypeName(dtype)).c_str(), absl::GetFlag(FLAGS_picture),
      absl::GetFlag(FLAGS_picture), absl::GetFlag(FLAGS_threads), absl::GetFlag(FLAGS_repeats));

  PALATE_ASSIGN_OR_RETURN(Stages stages, Stages::Load(folder, dtype));

  models::VlProcessorConfig processor_config;
  processor_config.patch_size = 16;
  processor_config.budget = {.min_pixels = 65536, .max_pixels = 16777216};
  PALATE_ASSIGN_OR_RETURN(const auto processor, models::VlImageProcessor::Create(processor_config));
  return stages.Run(processor);
}

}  // namespace
}  // namespace palate::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);

  if (!absl::GetFlag(FLAGS_run)) {
    std::printf("on demand: vision_language_bench --run=true (needs 8.5 GB of memory)\n");
    return 0;
  }

  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  std::string folder = std::filesystem::temp_directory_path() / "palate-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const absl::Status status = palate::bench::RunAll(folder);
  std::filesystem::remove_all(folder);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
