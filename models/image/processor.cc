#include "models/image/processor.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxSide = 16384;
constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};

// The defaults of the reference's class of that name.
absl::StatusOr<ImageProcessorConfig> DefaultsOf(const std::string& type,
                                                const std::string& source) {
  ImageProcessorConfig config;
  if (type == "CLIP") {
    config.shortest_edge = 224;
    config.do_center_crop = true;
    config.crop_height = config.crop_width = 224;
    config.mean = kClipMean;
    config.std = kClipStd;
    return config;
  }

  if (type == "ViT" || type == "Siglip") {
    config.resize_height = config.resize_width = 224;
    config.resample = type == "ViT" ? ImageProcessorConfig::Resample::kBilinear
                                    : ImageProcessorConfig::Resample::kBicubic;
    config.mean = config.std = kHalf;
    return config;
  }

  return absl::UnimplementedError(
      absl::StrCat(source, ": image processor \"", type,
                   "\" is not supported; supported are CLIP, ViT and Siglip"));
}

absl::Status ReadSize(const JsonConfig& json, bool int_is_square, ImageProcessorConfig& config) {
  if (!json.Has("size")) return absl::OkStatus();
  config.resize_height = config.resize_width = config.shortest_edge = 0;

  if (json.json().at("size").is_number_integer()) {
    PALATE_ASSIGN_OR_RETURN(const int64_t side, json.IntIn("size", 1, kMaxSide));
    if (int_is_square) {
      config.resize_height = config.resize_width = side;
    } else {
      config.shortest_edge = side;
    }
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(const JsonConfig size, json.Object("size"));
  for (const char* key : {"longest_edge", "max_height", "max_width"}) {
    if (size.Has(key))
      return absl::UnimplementedError(
          absl::StrCat(json.source(), ": \"size\" with ", key, " is not supported"));
  }

  if (size.Has("shortest_edge")) {
    PALATE_ASSIGN_OR_RETURN(config.shortest_edge, size.IntIn("shortest_edge", 1, kMaxSide));
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(config.resize_height, size.IntIn("height", 1, kMaxSide));
  PALATE_ASSIGN_OR_RETURN(config.resize_width, size.IntIn("width", 1, kMaxSide));
  return absl::OkStatus();
}

absl::Status ReadCrop(const JsonConfig& json, ImageProcessorConfig& config) {
  PALATE_ASSIGN_OR_RETURN(config.do_center_crop,
                          json.BoolOr("do_center_crop", config.do_center_crop));

  if (!json.Has("crop_size")) return absl::OkStatus();
  if (json.json().at("crop_size").is_number_integer()) {
    PALATE_ASSIGN_OR_RETURN(config.crop_height, json.IntIn("crop_size", 1, kMaxSide));
    config.crop_width = config.crop_height;
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(const JsonConfig crop, json.Object("crop_size"));
  PALATE_ASSIGN_OR_RETURN(config.crop_height, crop.IntIn("height", 1, kMaxSide));
  PALATE_ASSIGN_OR_RETURN(config.crop_width, crop.IntIn("width", 1, kMaxSide));
  return absl::OkStatus();
}

// Settings that change the result and that no published folder of these types uses.
absl::Status RefuseUnsupported(const JsonConfig& json) {
  for (const char* key : {"do_pad", "use_square_size"}) {
    PALATE_ASSIGN_OR_RETURN(const bool set, json.BoolOr(key, false));
    if (set)
      return absl::UnimplementedError(absl::StrCat(json.source(), ": ", key, " is not supported"));
  }
  return absl::OkStatus();
}

ImageSize ResizedSize(const ImageProcessorConfig& config, const Image& image) {
  if (config.shortest_edge == 0) return {config.resize_height, config.resize_width};

  const auto longer = [&](int64_t long_side, int64_t short_side) {
    return static_cast<int64_t>(static_cast<double>(config.shortest_edge * long_side) /
                                static_cast<double>(short_side));
  };

  if (image.width <= image.height) return {longer(image.height, image.width), config.shortest_edge};
  return {config.shortest_edge, longer(image.width, image.height)};
}

// The first row or column that the output reads. Negative means padding; the smaller half of the
// padding comes first.
int64_t CropOffset(int64_t image, int64_t crop) {
  return crop > image ? -((crop - image) / 2) : (image - crop) / 2;
}

// Crops, rescales and normalizes in one loop, because a parallel kernel would start threads on the
// caller's thread.
at::Tensor Finish(const at::Tensor& pixels, const ImageProcessorConfig& config) {
  const ImageSize image = {.height = pixels.size(2), .width = pixels.size(3)};
  const ImageSize out = config.do_center_crop
                            ? ImageSize{.height = config.crop_height, .width = config.crop_width}
                            : image;
  const int64_t top = CropOffset(image.height, out.height);
  const int64_t left = CropOffset(image.width, out.width);

  at::Tensor result = at::empty({3, out.height, out.width}, at::kFloat);
  float* to = result.data_ptr<float>();
  const uint8_t* from = pixels.const_data_ptr<uint8_t>();

  for (int64_t c = 0; c < 3; ++c) {
    const std::array<float, 256> table = config.Table(static_cast<size_t>(c));
    for (int64_t y = 0; y < out.height; ++y) {
      const int64_t row = y + top;
      for (int64_t x = 0; x < out.width; ++x) {
        const int64_t column = x + left;
        const bool inside = row >= 0 && row < image.height && column >= 0 && column < image.width;
        *to++ = table[inside ? from[c * pixels.stride(1) + row * pixels.stride(2) +
                                    column * pixels.stride(3)]
                             : 0];
      }
    }
  }

  return result;
}

}  // namespace

absl::StatusOr<ImageProcessorConfig> ImageProcessorConfig::FromJson(const JsonConfig& json) {
  const std::string type = ProcessorType(json);
  PALATE_ASSIGN_OR_RETURN(ImageProcessorConfig config, DefaultsOf(type, json.source()));
  PALATE_RETURN_IF_ERROR(RefuseUnsupported(json));
  PALATE_ASSIGN_OR_RETURN(config.do_resize, json.BoolOr("do_resize", config.do_resize));
  PALATE_RETURN_IF_ERROR(ReadSize(json, /*int_is_square=*/type == "ViT", config));
  PALATE_RETURN_IF_ERROR(ReadResample(json, config.resample));
  PALATE_RETURN_IF_ERROR(ReadCrop(json, config));
  PALATE_RETURN_IF_ERROR(config.Read(json));
  return config;
}

nlohmann::json ImageProcessorConfig::ToJson() const {
  return {{"image_processor_type", "ViTImageProcessor"},
          {"do_resize", do_resize},
          {"size", {{"height", resize_height}, {"width", resize_width}}},
          {"resample", ResampleCode(resample)},
          {"do_rescale", do_rescale},
          {"rescale_factor", rescale_factor},
          {"do_normalize", do_normalize},
          {"image_mean", mean},
          {"image_std", std}};
}

absl::StatusOr<ImageProcessor> ImageProcessor::Create(const ImageProcessorConfig& config) {
  const bool has_size =
      config.shortest_edge > 0 || (config.resize_height > 0 && config.resize_width > 0);

  if (config.do_resize && !has_size)
    return absl::InvalidArgumentError("image processor: do_resize needs a size");
  if (config.do_center_crop && (config.crop_height < 1 || config.crop_width < 1)) {
    return absl::InvalidArgumentError("image processor: do_center_crop needs a size");
  }

  PALATE_RETURN_IF_ERROR(config.Validate());
  return ImageProcessor(config);
}

absl::StatusOr<ImageProcessor> ImageProcessor::Load(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig json, LoadProcessorJson(folder));
  PALATE_ASSIGN_OR_RETURN(const ImageProcessorConfig config, ImageProcessorConfig::FromJson(json));
  absl::StatusOr<ImageProcessor> processor = Create(config);
  if (!processor.ok()) return Annotate(processor.status(), json.source());
  return processor;
}

absl::StatusOr<at::Tensor> ImageProcessor::Process(const Image& image) const {
  PALATE_RETURN_IF_ERROR(CheckPixels(image));

  const double aspect = static_cast<double>(std::max(image.width, image.height)) /
                        static_cast<double>(std::min(image.width, image.height));
  if (config_.do_resize && config_.shortest_edge > 0 && aspect > kMaxAspect) {
    return absl::InvalidArgumentError(absl::StrCat("is ", image.width, " x ", image.height,
                                                   ": one side may be at most ", kMaxAspect,
                                                   " times the other"));
  }

  return CatchTorch([&] {
    at::Tensor pixels = PixelsOf(image);
    if (config_.do_resize)
      pixels = ResizePixels(pixels, ResizedSize(config_, image), config_.resample);
    return Finish(pixels, config_);
  });
}

}  // namespace palate::models
