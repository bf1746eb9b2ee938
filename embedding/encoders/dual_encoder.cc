// Loads the dual encoder of a sentence encoder and an image half that share a space, and the
// sentence encoder alone.

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "embedding/encoders/image_half.h"
#include "embedding/encoders/loading.h"
#include "embedding/encoders/towers.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/bert/bert.h"

namespace palate::embedding {
namespace {

constexpr int64_t kDualEncoderFormat = 1;

class SentenceTower final : public TextTower {
 public:
  explicit SentenceTower(std::shared_ptr<const models::SentenceEncoder> encoder)
      : encoder_(std::move(encoder)) {}

  absl::StatusOr<models::EncodedText> Tokenize(absl::string_view text) const override {
    return encoder_->Tokenize(text);
  }
  absl::StatusOr<at::Tensor> Encode(
      absl::Span<const std::vector<int64_t>> sequences) const override {
    return encoder_->Encode(sequences);
  }

 private:
  const std::shared_ptr<const models::SentenceEncoder> encoder_;
};

// The text tower and what is read from its folder.
struct TextHalf {
  std::shared_ptr<const models::SentenceEncoder> encoder;
  std::string weights_digest;
  TextPrompts prompts;
  std::vector<std::string> unknown_config_keys;
  // Everything that the text space's vectors depend on.
  std::string content;
};

absl::StatusOr<TextHalf> LoadTextHalf(const std::string& folder, const Placement& placement) {
  TextHalf half;
  PALATE_ASSIGN_OR_RETURN(const std::string own, models::TransformerFolder(folder));
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(own));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family,
                          models::FindModelFamily(checkpoint.config()));
  if (family != models::ModelFamily::kBert) {
    return absl::UnimplementedError(absl::StrCat(folder, " holds a ",
                                                 models::ModelFamilyName(family),
                                                 " model, which is not a text encoder"));
  }

  half.unknown_config_keys = models::UnknownConfigKeys(checkpoint.config());
  PALATE_ASSIGN_OR_RETURN(half.weights_digest, checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(half.encoder,
                          models::SentenceEncoder::Load(folder, placement.ForModels()));

  half.prompts = {.item = half.encoder->prompts().document,
                  .before_instruction = "",
                  .after_instruction = "",
                  .default_instruction = half.encoder->prompts().query};
  half.content = absl::StrCat("text\n", half.encoder->digest(), "\n", half.prompts.ItemTemplate(),
                              "\n", half.prompts.default_instruction);

  return half;
}

void DescribeText(const TextHalf& half, ModelInfo& info) {
  info.pooling_is_assumed = !half.encoder->pooling_is_stated();
  info.dimensions = static_cast<int>(half.encoder->dimensions());
  info.max_text_tokens = half.encoder->max_tokens();
  info.pooling = PoolingName(half.encoder->pooling());
  info.unknown_config_keys = half.unknown_config_keys;
}

absl::StatusOr<Calibration> ReadCalibration(const models::JsonConfig& calibrations,
                                            absl::string_view name) {
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig json, calibrations.Object(name));
  Calibration calibration;
  PALATE_ASSIGN_OR_RETURN(calibration.mean, json.Double("mean"));
  PALATE_ASSIGN_OR_RETURN(calibration.deviation, json.Double("deviation"));
  if (!(calibration.deviation > 0))
    return absl::InvalidArgumentError(absl::StrCat(json.source(), ": deviation is not above 0"));
  return calibration;
}

absl::StatusOr<std::optional<Calibration>> ReadTextToImage(const models::JsonConfig& calibrations) {
  if (!calibrations.Has("text_to_image")) return std::nullopt;
  return ReadCalibration(calibrations, "text_to_image");
}

absl::StatusOr<FusionWeights> ReadFusion(const models::JsonConfig& description) {
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig json, description.Object("fusion"));
  FusionWeights weights;
  PALATE_ASSIGN_OR_RETURN(weights.text, json.Double("text"));
  PALATE_ASSIGN_OR_RETURN(weights.image, json.Double("image"));
  if (!(weights.text > 0) || !(weights.image > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.source(), ": both weights must be above 0"));
  }
  return weights;
}

// Scores of query texts against fused item vectors lie between those of the two spaces; the fusion
// weights say where.
Calibration Blend(const Calibration& text, const Calibration& image, const FusionWeights& weights) {
  const double share = weights.text / (weights.text + weights.image);
  return {.mean = share * text.mean + (1 - share) * image.mean,
          .deviation = share * text.deviation + (1 - share) * image.deviation};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> LoadSentenceEncoder(const std::string& folder,
                                                             const EmbeddingModelOptions& options) {
  PALATE_RETURN_IF_ERROR(RefuseDecoderOptions(options, "bert"));
  PALATE_ASSIGN_OR_RETURN(const Placement placement, Placement::From(options));
  PALATE_ASSIGN_OR_RETURN(TextHalf half, LoadTextHalf(folder, placement));

  TowerEncoder::Parts parts;
  parts.info = NewInfo(folder, "bert", placement);
  DescribeText(half, parts.info);
  parts.info.weights_digest = half.weights_digest;
  parts.info.spaces = {{.name = kTextSpace,
                        .fingerprint = Fingerprint(half.content),
                        .available = true,
                        .calibration = {}}};

  parts.text = std::make_unique<SentenceTower>(std::move(half.encoder));
  parts.prompts = std::move(half.prompts);
  return std::make_unique<TowerEncoder>(std::move(parts));
}

absl::StatusOr<std::unique_ptr<Encoder>> LoadDualEncoder(const std::string& folder,
                                                         const EmbeddingModelOptions& options) {
  PALATE_RETURN_IF_ERROR(RefuseDecoderOptions(options, "dual_encoder"));
  PALATE_ASSIGN_OR_RETURN(const Placement placement, Placement::From(options));
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig description,
                          models::JsonConfig::Load(folder + "/dual_encoder.json"));
  PALATE_RETURN_IF_ERROR(
      description.IntIn("format", kDualEncoderFormat, kDualEncoderFormat).status());

  TowerEncoder::Parts parts;
  parts.info = NewInfo(folder, "dual_encoder", placement);
  PALATE_ASSIGN_OR_RETURN(parts.info.name, description.String("name"));

  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig text_json, description.Object("text"));
  PALATE_ASSIGN_OR_RETURN(const std::string text_folder, text_json.String("folder"));
  PALATE_ASSIGN_OR_RETURN(TextHalf text,
                          LoadTextHalf(models::InFolder(folder, text_folder), placement));
  DescribeText(text, parts.info);
  PALATE_RETURN_IF_ERROR(
      description.IntIn("dimensions", parts.info.dimensions, parts.info.dimensions).status());

  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig vision_json, description.Object("vision"));
  PALATE_ASSIGN_OR_RETURN(ImageHalf image,
                          LoadImageHalf(vision_json, folder, parts.info.dimensions, placement));

  const bool sees = image.tower != nullptr;
  if (!sees)
    spdlog::warn(
        "embedding model {}: {} has no weights of an image tower; only the text space is served",
        parts.info.name, folder);

  PALATE_ASSIGN_OR_RETURN(parts.fusion, ReadFusion(description));
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig calibrations, description.Object("calibration"));
  PALATE_ASSIGN_OR_RETURN(const Calibration text_scores, ReadCalibration(calibrations, "text"));
  PALATE_ASSIGN_OR_RETURN(const Calibration image_scores, ReadCalibration(calibrations, "image"));
  PALATE_ASSIGN_OR_RETURN(const auto text_to_image, ReadTextToImage(calibrations));

  const std::string fused = absl::StrCat("fused\n", text.content, image.content, "\n",
                                         parts.fusion.text, " ", parts.fusion.image);
  parts.info.image_size = image.image_size;
  for (const std::string& key : image.unknown_config_keys)
    parts.info.unknown_config_keys.push_back(key);
  parts.info.weights_digest =
      sees ? Digest(absl::StrCat(text.weights_digest, image.weights_digest)) : text.weights_digest;
  parts.info.spaces = {{.name = kTextSpace,
                        .fingerprint = Fingerprint(text.content),
                        .available = true,
                        .calibration = text_scores},
                       {.name = kImageSpace,
                        .fingerprint = Fingerprint(image.content),
                        .available = sees,
                        .calibration = image_scores,
                        .text_calibration = text_to_image},
                       {.name = kFusedSpace,
                        .fingerprint = Fingerprint(fused),
                        .available = sees,
                        .calibration = Blend(text_scores, image_scores, parts.fusion)}};

  parts.text = std::make_unique<SentenceTower>(std::move(text.encoder));
  parts.image = std::move(image.tower);
  parts.prompts = std::move(text.prompts);
  return std::make_unique<TowerEncoder>(std::move(parts));
}

}  // namespace palate::embedding
