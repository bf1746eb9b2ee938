#include "embedding/embedding_model.h"

#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/registry.h"

namespace palate::embedding {
namespace {

constexpr int64_t kPairFormat = 1;
constexpr size_t kFingerprintDigits = 16;

std::string Fingerprint(absl::string_view content) { return absl::BytesToHexString(Sha256(content)).substr(0, kFingerprintDigits); }

std::string NameOf(const std::string& folder) { return std::filesystem::path(folder).lexically_normal().filename().string(); }

// A folder named inside pair.json, relative to it.
absl::StatusOr<std::string> Subfolder(const models::JsonConfig& tower, const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const std::string name, tower.String("folder"));
  return absl::StrCat(folder, "/", name);
}

absl::StatusOr<models::VitPooling> ReadVisionPooling(const models::JsonConfig& vision) {
  PALATE_ASSIGN_OR_RETURN(const std::string name, vision.String("pooling"));
  if (name == std::string("cls")) return models::VitPooling::kCls;
  if (name == std::string("mean")) return models::VitPooling::kMean;
  return absl::InvalidArgumentError(absl::StrCat(vision.source(), ": pooling ", QuoteForMessage(name), " is neither cls nor mean"));
}

absl::StatusOr<Calibration> ReadCalibration(const models::JsonConfig& pair, absl::string_view space) {
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig all, pair.Object("calibration"));
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig json, all.Object(space));
  Calibration calibration;
  PALATE_ASSIGN_OR_RETURN(calibration.mean, json.Double("mean"));
  PALATE_ASSIGN_OR_RETURN(calibration.deviation, json.Double("deviation"));
  if (!(calibration.deviation > 0)) return absl::InvalidArgumentError(absl::StrCat(json.source(), ": deviation is not above 0"));
  return calibration;
}

absl::StatusOr<FusionWeights> ReadFusion(const models::JsonConfig& pair) {
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig json, pair.Object("fusion"));
  FusionWeights weights;
  PALATE_ASSIGN_OR_RETURN(weights.text, json.Double("text"));
  PALATE_ASSIGN_OR_RETURN(weights.image, json.Double("image"));
  if (!(weights.text > 0) || !(weights.image > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(json.source(), ": both weights must be above 0"));
  }
  return weights;
}

// Scores of a query's text against fused item vectors lie between the two; the weights say where.
Calibration Blend(const Calibration& text, const Calibration& image, const FusionWeights& weights) {
  const double share = weights.text / (weights.text + weights.image);
  return {.mean = share * text.mean + (1 - share) * image.mean, .deviation = share * text.deviation + (1 - share) * image.deviation};
}

}  // namespace

absl::StatusOr<std::shared_ptr<const EmbeddingModel>> EmbeddingModel::Load(const std::string& folder) {
  auto model = std::shared_ptr<EmbeddingModel>(new EmbeddingModel);
  model->info_.name = NameOf(folder);
  model->info_.folder = folder;
  if (models::FileExists(folder + "/pair.json")) {
    PALATE_RETURN_IF_ERROR(model->LoadPair(folder));
    return model;
  }
  PALATE_RETURN_IF_ERROR(model->LoadText(folder));
  model->info_.spaces = {
      {.name = "text", .fingerprint = Fingerprint("text\n" + model->text_->digest()), .available = true, .calibration = {}}};
  return model;
}

absl::Status EmbeddingModel::LoadText(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig config, models::JsonConfig::Load(folder + "/config.json"));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family, models::FindModelFamily(config));
  if (family != models::ModelFamily::kBert) {
    return absl::UnimplementedError(absl::StrCat(folder, " holds a ", models::ModelFamilyName(family), " model, which is no text encoder"));
  }
  PALATE_ASSIGN_OR_RETURN(text_, models::SentenceEncoder::Load(folder));
  info_.dimensions = static_cast<int>(text_->dimensions());
  info_.max_text_tokens = text_->max_tokens();
  return absl::OkStatus();
}

absl::Status EmbeddingModel::LoadPair(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig pair, models::JsonConfig::Load(folder + "/pair.json"));
  PALATE_RETURN_IF_ERROR(pair.IntIn("format", kPairFormat, kPairFormat).status());
  PALATE_ASSIGN_OR_RETURN(info_.name, pair.String("name"));
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig text, pair.Object("text"));
  PALATE_ASSIGN_OR_RETURN(const std::string text_folder, Subfolder(text, folder));
  PALATE_RETURN_IF_ERROR(LoadText(text_folder));
  PALATE_RETURN_IF_ERROR(pair.IntIn("dimensions", info_.dimensions, info_.dimensions).status());
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig vision, pair.Object("vision"));
  PALATE_ASSIGN_OR_RETURN(vision_pooling_, ReadVisionPooling(vision));
  PALATE_ASSIGN_OR_RETURN(const std::string vision_folder, Subfolder(vision, folder));
  PALATE_RETURN_IF_ERROR(LoadVision(vision_folder));
  PALATE_ASSIGN_OR_RETURN(fusion_, ReadFusion(pair));
  PALATE_ASSIGN_OR_RETURN(const Calibration text_calibration, ReadCalibration(pair, "text"));
  PALATE_ASSIGN_OR_RETURN(const Calibration image_calibration, ReadCalibration(pair, "image"));
  DescribeSpaces(text_calibration, image_calibration);
  return absl::OkStatus();
}

absl::Status EmbeddingModel::LoadVision(const std::string& folder) {
  absl::StatusOr<models::Checkpoint> checkpoint = models::Checkpoint::Open(folder);
  if (absl::IsNotFound(checkpoint.status())) {
    spdlog::warn("embedding model {}: {} has no image tower, so that only the text space is served", info_.name, folder);
    return absl::OkStatus();
  }
  if (!checkpoint.ok()) return checkpoint.status();
  PALATE_ASSIGN_OR_RETURN(vision_, models::VitModel::Load(*checkpoint));
  PALATE_ASSIGN_OR_RETURN(models::ImageProcessor processor, models::ImageProcessor::Load(folder));
  const models::VitConfig& config = vision_->config();
  if (config.output_dim() != info_.dimensions) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " gives vectors of ", config.output_dim(), " dimensions, the text tower of ", info_.dimensions));
  }
  const models::ImageProcessorConfig& input = processor.config();
  const int64_t height = input.do_center_crop ? input.crop_height : input.resize_height;
  const int64_t width = input.do_center_crop ? input.crop_width : input.resize_width;
  if (height != config.image_size || width != config.image_size || config.num_channels != 3) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": the processor makes pictures of ", width, " x ", height, ", the model wants ",
                                                   config.image_size, " x ", config.image_size, " in 3 channels"));
  }
  image_processor_ = std::make_unique<models::ImageProcessor>(std::move(processor));
  info_.image_size = static_cast<int>(config.image_size);
  PALATE_ASSIGN_OR_RETURN(const std::string weights, checkpoint->WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(const std::string preprocessing, models::FileDigest(folder + "/preprocessor_config.json"));
  vision_digest_ =
      absl::StrCat(weights, "\n", preprocessing, "\n", checkpoint->config().json().dump(), "\npooling ", static_cast<int>(vision_pooling_));
  return absl::OkStatus();
}

void EmbeddingModel::DescribeSpaces(const Calibration& text, const Calibration& image) {
  const std::string text_content = "text\n" + text_->digest();
  const std::string image_content = "image\n" + vision_digest_;
  const std::string fused_content = absl::StrCat("fused\n", text_content, image_content, "\n", fusion_.text, " ", fusion_.image);
  info_.spaces = {
      {.name = "text", .fingerprint = Fingerprint(text_content), .available = true, .calibration = text},
      {.name = "image", .fingerprint = Fingerprint(image_content), .available = has_vision(), .calibration = image},
      {.name = "fused", .fingerprint = Fingerprint(fused_content), .available = has_vision(), .calibration = Blend(text, image, fusion_)}};
}

}  // namespace palate::embedding
