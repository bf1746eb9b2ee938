#include "models/image/vl_processor.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

// The defaults of the reference's class.
constexpr PixelBudget kDefaultBudget = {.min_pixels = 56 * 56, .max_pixels = 28 * 28 * 1280};
// Far above what any model reads, and small enough not to overflow.
constexpr int64_t kMaxPixels = int64_t{1} << 31;
constexpr int64_t kMaxPatch = 1024;
constexpr std::array<const char*, 3> kTypes = {"Qwen2VL", "Qwen2_5_VL", "Qwen3VL"};

// Reads one limit of the budget: `pixels` at the top level, otherwise `edge` or `pixels` in "size".
absl::Status ReadBound(const JsonConfig& json, const char* edge, const char* pixels,
                       int64_t& bound) {
  if (json.Has(pixels)) {
    PALATE_ASSIGN_OR_RETURN(bound, json.IntIn(pixels, 1, kMaxPixels));
    return absl::OkStatus();
  }

  if (!json.Has("size")) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const JsonConfig size, json.Object("size"));
  PALATE_ASSIGN_OR_RETURN(
      bound, size.IntIn(size.Has(edge) || !size.Has(pixels) ? edge : pixels, 1, kMaxPixels));
  return absl::OkStatus();
}

absl::Status CheckBudget(const PixelBudget& budget) {
  if (budget.min_pixels < 1 || budget.min_pixels > budget.max_pixels ||
      budget.max_pixels > kMaxPixels) {
    return absl::InvalidArgumentError(absl::StrCat("image processor: the pixel budget from ",
                                                   budget.min_pixels, " to ", budget.max_pixels,
                                                   " is not a range within [1, ", kMaxPixels, "]"));
  }
  return absl::OkStatus();
}

// Cuts into patches, rescales and normalizes in one loop, because a parallel kernel would start
// threads on the caller's thread.
ImagePatches CutIntoPatches(const at::Tensor& pixels, const VlProcessorConfig& config) {
  const int64_t patch = config.patch_size;
  const int64_t merge = config.merge_size;
  const int64_t slots = config.temporal_patch_size;

  ImagePatches result{
      .grid_t = 1, .grid_h = pixels.size(2) / patch, .grid_w = pixels.size(3) / patch};
  result.pixel_values = at::empty({result.patches(), 3 * slots * patch * patch}, at::kFloat);

  const std::array<std::array<float, 256>, 3> tables = {config.Table(0), config.Table(1),
                                                        config.Table(2)};
  const uint8_t* from = pixels.const_data_ptr<uint8_t>();
  float* to = result.pixel_values.data_ptr<float>();

  // Writes one channel of one patch, repeated for every temporal slot.
  const auto write_channel = [&](int64_t row, int64_t column, int64_t c) {
    const std::array<float, 256>& table = tables[static_cast<size_t>(c)];
    const uint8_t* corner = from + c * pixels.stride(1) + row * patch * pixels.stride(2) +
                            column * patch * pixels.stride(3);
    float* const first = to;
    for (int64_t y = 0; y < patch; ++y) {
      for (int64_t x = 0; x < patch; ++x)
        *to++ = table[corner[y * pixels.stride(2) + x * pixels.stride(3)]];
    }
    for (int64_t slot = 1; slot < slots; ++slot) to = std::copy_n(first, patch * patch, to);
  };

  for (int64_t i = 0; i < result.patches(); ++i) {
    const int64_t block = i / (merge * merge);
    const int64_t blocks_per_row = result.grid_w / merge;
    const int64_t row = block / blocks_per_row * merge + i / merge % merge;
    const int64_t column = block % blocks_per_row * merge + i % merge;
    for (int64_t c = 0; c < 3; ++c) write_channel(row, column, c);
  }

  return result;
}

}  // namespace

absl::StatusOr<ImageSize> SmartResize(const ImageSize& image, int64_t factor,
                                      const PixelBudget& budget) {
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  const auto step = static_cast<double>(factor);

  if (std::max(height, width) / std::min(height, width) > kMaxAspect) {
    return absl::InvalidArgumentError(absl::StrCat("is ", image.width, " x ", image.height,
                                                   ": one side may be at most ", kMaxAspect,
                                                   " times the other"));
  }

  // Round to the nearest multiple, half to even, which is the default of nearbyint and of the
  // reference.
  ImageSize size = {.height = static_cast<int64_t>(std::nearbyint(height / step)) * factor,
                    .width = static_cast<int64_t>(std::nearbyint(width / step)) * factor};

  if (size.height * size.width > budget.max_pixels) {
    const double shrink = std::sqrt(height * width / static_cast<double>(budget.max_pixels));
    const auto shorter = [&](double side) {
      return std::max(factor, static_cast<int64_t>(std::floor(side / shrink / step)) * factor);
    };
    return ImageSize{.height = shorter(height), .width = shorter(width)};
  }

  if (size.height * size.width < budget.min_pixels) {
    const double stretch = std::sqrt(static_cast<double>(budget.min_pixels) / (height * width));
    const auto longer = [&](double side) {
      return static_cast<int64_t>(std::ceil(side * stretch / step)) * factor;
    };
    return ImageSize{.height = longer(height), .width = longer(width)};
  }
  return size;
}

absl::StatusOr<VlProcessorConfig> VlProcessorConfig::FromJson(const JsonConfig& json) {
  const std::string type = ProcessorType(json);
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
    return absl::UnimplementedError(
        absl::StrCat(json.source(), ": image processor \"", type,
                     "\" does not read images for a Qwen vision-language model"));
  }

  VlProcessorConfig config;
  config.budget = kDefaultBudget;
  config.mean = kClipMean;
  config.std = kClipStd;

  PALATE_ASSIGN_OR_RETURN(config.do_resize, json.BoolOr("do_resize", config.do_resize));
  PALATE_RETURN_IF_ERROR(ReadBound(json, "shortest_edge", "min_pixels", config.budget.min_pixels));
  PALATE_RETURN_IF_ERROR(ReadBound(json, "longest_edge", "max_pixels", config.budget.max_pixels));
  PALATE_RETURN_IF_ERROR(ReadResample(json, config.resample));
  PALATE_RETURN_IF_ERROR(config.Read(json));

  PALATE_ASSIGN_OR_RETURN(config.patch_size, json.IntOr("patch_size", config.patch_size));
  PALATE_ASSIGN_OR_RETURN(config.temporal_patch_size,
                          json.IntOr("temporal_patch_size", config.temporal_patch_size));
  PALATE_ASSIGN_OR_RETURN(config.merge_size, json.IntOr("merge_size", config.merge_size));
  return config;
}

absl::StatusOr<VlImageProcessor> VlImageProcessor::Create(const VlProcessorConfig& config) {
  for (const int64_t extent : {config.patch_size, config.temporal_patch_size, config.merge_size}) {
    if (extent < 1 || extent > kMaxPatch) {
      return absl::InvalidArgumentError(absl::StrCat(
          "image processor: patch_size, temporal_patch_size and merge_size must lie in [1, ",
          kMaxPatch, "], one is ", extent));
    }
  }

  PALATE_RETURN_IF_ERROR(config.Validate());
  PALATE_RETURN_IF_ERROR(CheckBudget(config.budget));
  return VlImageProcessor(config);
}

absl::StatusOr<VlImageProcessor> VlImageProcessor::Load(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig json, LoadProcessorJson(folder));
  PALATE_ASSIGN_OR_RETURN(const VlProcessorConfig config, VlProcessorConfig::FromJson(json));
  absl::StatusOr<VlImageProcessor> processor = Create(config);
  if (!processor.ok()) return Annotate(processor.status(), json.source());
  return processor;
}

absl::StatusOr<ImageSize> VlImageProcessor::Resized(
    const ImageSize& image, const std::optional<PixelBudget>& budget) const {
  if (image.height < 1 || image.width < 1) return absl::InvalidArgumentError("image has no pixels");

  const int64_t factor = config_.patch_size * config_.merge_size;
  if (config_.do_resize) {
    PALATE_RETURN_IF_ERROR(CheckBudget(budget.value_or(config_.budget)));
    return SmartResize(image, factor, budget.value_or(config_.budget));
  }

  if (image.height % factor != 0 || image.width % factor != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", image.width, " x ", image.height,
                     ": without resizing, both sides must be multiples of ", factor));
  }
  return image;
}

absl::StatusOr<int64_t> VlImageProcessor::TokensFor(
    const ImageSize& image, const std::optional<PixelBudget>& budget) const {
  PALATE_ASSIGN_OR_RETURN(const ImageSize size, Resized(image, budget));
  const int64_t factor = config_.patch_size * config_.merge_size;
  return (size.height / factor) * (size.width / factor);
}

absl::StatusOr<ImagePatches> VlImageProcessor::Process(
    const Image& image, const std::optional<PixelBudget>& budget) const {
  PALATE_RETURN_IF_ERROR(CheckPixels(image));
  PALATE_ASSIGN_OR_RETURN(const ImageSize size,
                          Resized({.height = image.height, .width = image.width}, budget));
  return CatchTorch([&] {
    return CutIntoPatches(ResizePixels(PixelsOf(image), size, config_.resample), config_);
  });
}

}  // namespace palate::models
