#include "models/image/preprocess.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace palate::models {
namespace {

struct TypeOfModel {
  const char* model_type;
  const char* processor_type;
};
constexpr std::array<TypeOfModel, 8> kTypesOfModels = {
    {{"clip", "CLIPImageProcessor"},
     {"clip_vision_model", "CLIPImageProcessor"},
     {"siglip", "SiglipImageProcessor"},
     {"siglip_vision_model", "SiglipImageProcessor"},
     {"vit", "ViTImageProcessor"},
     {"qwen2_vl", "Qwen2VLImageProcessor"},
     {"qwen2_5_vl", "Qwen2VLImageProcessor"},
     {"qwen3_vl", "Qwen2VLImageProcessor"}}};

absl::Status ReadTriple(const JsonConfig& json, absl::string_view key, std::array<double, 3>& out) {
  if (!json.Has(key)) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> values, json.Doubles(key));
  if (values.size() != 3)
    return absl::InvalidArgumentError(
        absl::StrCat(json.source(), ": \"", key, "\" does not have 3 numbers"));
  std::copy(values.begin(), values.end(), out.begin());
  return absl::OkStatus();
}

// The settings as written, from the first file that has them.
absl::StatusOr<JsonConfig> ReadSettings(const std::string& folder) {
  const std::string processor_file = absl::StrCat(folder, "/processor_config.json");
  if (FileExists(processor_file)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig processor, JsonConfig::Load(processor_file));
    if (processor.Has("image_processor")) return processor.Object("image_processor");
  }
  return JsonConfig::Load(absl::StrCat(folder, "/preprocessor_config.json"));
}

}  // namespace

absl::Status PixelScale::Read(const JsonConfig& json) {
  PALATE_ASSIGN_OR_RETURN(do_rescale, json.BoolOr("do_rescale", do_rescale));
  PALATE_ASSIGN_OR_RETURN(rescale_factor, json.DoubleOr("rescale_factor", rescale_factor));
  PALATE_ASSIGN_OR_RETURN(do_normalize, json.BoolOr("do_normalize", do_normalize));
  PALATE_RETURN_IF_ERROR(ReadTriple(json, "image_mean", mean));
  return ReadTriple(json, "image_std", std);
}

absl::Status PixelScale::Validate() const {
  const bool positive = std::all_of(std.begin(), std.end(), [](double value) { return value > 0; });
  if (!(rescale_factor > 0) || !positive) {
    return absl::InvalidArgumentError(
        "image processor: rescale_factor and image_std must be above 0");
  }
  return absl::OkStatus();
}

std::array<float, 256> PixelScale::Table(size_t channel) const {
  // Divide mean and deviation by the scale instead of multiplying the pixels, as the reference
  // does.
  const double scale = do_rescale ? rescale_factor : 1.0;
  const auto shift = static_cast<float>(do_normalize ? mean[channel] / scale : 0.0);
  const auto divisor = static_cast<float>(do_normalize ? std[channel] / scale : 1.0 / scale);

  std::array<float, 256> table;
  for (size_t value = 0; value < table.size(); ++value)
    table[value] = (static_cast<float>(value) - shift) / divisor;
  return table;
}

absl::StatusOr<JsonConfig> LoadProcessorJson(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(JsonConfig settings, ReadSettings(folder));
  if (!ProcessorType(settings).empty()) return settings;

  const std::string config_file = absl::StrCat(folder, "/config.json");
  if (!FileExists(config_file)) return settings;
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config, JsonConfig::Load(config_file));
  PALATE_ASSIGN_OR_RETURN(const std::string model_type, config.String("model_type"));

  const auto row =
      std::find_if(kTypesOfModels.begin(), kTypesOfModels.end(),
                   [&](const TypeOfModel& entry) { return model_type == entry.model_type; });
  if (row == kTypesOfModels.end()) return settings;

  nlohmann::json named = settings.json();
  named["image_processor_type"] = row->processor_type;
  return JsonConfig(std::move(named), settings.source());
}

std::string ProcessorType(const JsonConfig& json) {
  for (const char* key : {"image_processor_type", "feature_extractor_type"}) {
    if (!json.Has(key) || !json.json().at(key).is_string()) continue;
    std::string type = json.json().at(key).get<std::string>();
    for (absl::string_view suffix : {"Fast", "ImageProcessor", "FeatureExtractor"})
      type = std::string(absl::StripSuffix(type, suffix));
    return type;
  }
  return "";
}

absl::Status ReadResample(const JsonConfig& json, Resample& resample) {
  if (!json.Has("resample")) return absl::OkStatus();

  PALATE_ASSIGN_OR_RETURN(const int64_t code, json.Int("resample"));
  for (const Resample known : {Resample::kBilinear, Resample::kBicubic}) {
    if (code != ResampleCode(known)) continue;
    resample = known;
    return absl::OkStatus();
  }
  return absl::UnimplementedError(
      absl::StrCat(json.source(), ": resample ", code,
                   " is not supported; supported are 2 (bilinear) and 3 (bicubic)"));
}

absl::Status CheckPixels(const Image& image) {
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() != static_cast<size_t>(3 * image.width * image.height)) {
    return absl::InvalidArgumentError("image has no pixels, or not as many as its size declares");
  }
  return absl::OkStatus();
}

at::Tensor PixelsOf(const Image& image) {
  void* data = const_cast<uint8_t*>(image.rgb.data());  // only read
  return at::from_blob(data, {1, 3, image.height, image.width},
                       {3 * image.height * image.width, 1, 3 * image.width, 3}, at::kByte);
}

at::Tensor ResizePixels(const at::Tensor& pixels, const ImageSize& size, Resample resample) {
  if (pixels.size(2) == size.height && pixels.size(3) == size.width) return pixels;

  const std::vector<int64_t> shape = {size.height, size.width};
  return resample == Resample::kBilinear
             ? at::_upsample_bilinear2d_aa(pixels, shape, /*align_corners=*/false, c10::nullopt,
                                           c10::nullopt)
             : at::_upsample_bicubic2d_aa(pixels, shape, /*align_corners=*/false, c10::nullopt,
                                          c10::nullopt);
}

}  // namespace palate::models
