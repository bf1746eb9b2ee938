// Pictures per second of EfficientNet-Lite2: its features in batches of several sizes, in float32
// and bfloat16, and the preparation of a decoded picture. Each size runs in turn, several times;
// the fastest run counts.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "bench/cached_model.h"
#include "models/checkpoint/checkpoint.h"
#include "models/dtype.h"
#include "models/families/efficientnet/efficientnet.h"
#include "models/image/processor.h"

ABSL_FLAG(std::string, model, "", "folder of EfficientNet-Lite2; default: in the download cache");
ABSL_FLAG(int, repeats, 5, "how often each size runs; the fastest run counts");
ABSL_FLAG(int, threads, 1, "threads");

namespace palate::bench {
namespace {

double Seconds(const std::function<void()>& body) {
  const absl::Time begin = absl::Now();
  body();
  return absl::ToDoubleSeconds(absl::Now() - begin);
}

// Prints the best rate of each batch size.
absl::Status MeasureFeatures(const models::Checkpoint& checkpoint, at::ScalarType dtype) {
  PALATE_ASSIGN_OR_RETURN(const auto model,
                          models::EfficientNetLite::Load(checkpoint, {.dtype = dtype}));
  const c10::InferenceMode inference;
  const int64_t side = model->config().image_size;
  const std::vector<int64_t> sizes = {1, 8, 32};
  std::vector<double> best(sizes.size(), 1e9);

  model->Features(at::rand({1, 3, side, side}));
  for (int repeat = 0; repeat < absl::GetFlag(FLAGS_repeats); ++repeat) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const at::Tensor pixels = at::rand({sizes[i], 3, side, side}) * 2 - 1;
      best[i] = std::min(best[i], Seconds([&] { model->Features(pixels); }));
    }
  }

  for (size_t i = 0; i < sizes.size(); ++i) {
    std::printf("%s, batch of %2ld: %.1f pictures/s\n",
                std::string(models::DtypeName(dtype)).c_str(), sizes[i],
                static_cast<double>(sizes[i]) / best[i]);
  }
  return absl::OkStatus();
}

absl::Status MeasurePreparation(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto processor, models::ImageProcessor::Load(folder));
  models::Image image{.width = 800, .height = 1000};
  for (int64_t i = 0; i < 3 * image.width * image.height; ++i)
    image.rgb.push_back(static_cast<uint8_t>(i * i >> 8));

  double best = 1e9;
  absl::Status status;
  for (int repeat = 0; repeat < 4 * absl::GetFlag(FLAGS_repeats); ++repeat) {
    best = std::min(best, Seconds([&] { status.Update(processor.Process(image).status()); }));
  }
  std::printf("resizing and cropping 800 x 1000: %.1f ms\n", best * 1e3);
  return status;
}

absl::Status Run() {
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  const std::string folder = CachedModelFolder(absl::GetFlag(FLAGS_model), "efficientnet-lite2");
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));
  PALATE_RETURN_IF_ERROR(MeasureFeatures(checkpoint, at::kFloat));
  if (models::DetectCpuMatrixSupport().avx512_bf16)
    PALATE_RETURN_IF_ERROR(MeasureFeatures(checkpoint, at::kBFloat16));
  return MeasurePreparation(folder);
}

}  // namespace
}  // namespace palate::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = palate::bench::Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
