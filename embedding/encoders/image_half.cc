#include "embedding/encoders/image_half.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/conse/conse_head.h"
#include "models/families/efficientnet/efficientnet.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "models/torch_status.h"

namespace palate::embedding {
namespace {

class VitTower final : public ImageTower {
 public:
  VitTower(std::shared_ptr<const models::VitModel> model, models::ImageProcessor processor,
           models::VitPooling pooling)
      : model_(std::move(model)), processor_(std::move(processor)), pooling_(pooling) {}

  int64_t cost() const override { return 1 + model_->config().num_patches(); }
  absl::StatusOr<EncoderImage> Prepare(const models::Image& image) const override {
    EncoderImage prepared;
    PALATE_ASSIGN_OR_RETURN(prepared.pixels, processor_.Process(image));
    return prepared;
  }
  at::Tensor Encode(absl::Span<const EncoderImage> images) const override {
    return model_->Embed(StackPixels(images), pooling_).to(at::kCPU, at::kFloat);
  }

 private:
  const std::shared_ptr<const models::VitModel> model_;
  const models::ImageProcessor processor_;
  const models::VitPooling pooling_;
};

// An EfficientNet-Lite whose features a ConSE head turns into vectors of the text space.
class ConseTower final : public ImageTower {
 public:
  ConseTower(std::shared_ptr<const models::EfficientNetLite> model,
             std::shared_ptr<const models::ConseHead> head, models::ImageProcessor processor,
             int64_t cost)
      : model_(std::move(model)),
        head_(std::move(head)),
        processor_(std::move(processor)),
        cost_(cost) {}

  int64_t cost() const override { return cost_; }

  absl::StatusOr<EncoderImage> Prepare(const models::Image& image) const override {
    EncoderImage prepared;
    PALATE_ASSIGN_OR_RETURN(prepared.pixels, processor_.Process(image));
    const std::vector<float> shares = head_->colors().Shares(image);
    return models::CatchTorch([&]() -> absl::StatusOr<EncoderImage> {
      prepared.color_shares = at::tensor(at::ArrayRef<float>(shares));
      return std::move(prepared);
    });
  }

  at::Tensor Encode(absl::Span<const EncoderImage> images) const override {
    std::vector<at::Tensor> shares;
    shares.reserve(images.size());
    for (const EncoderImage& image : images) shares.push_back(image.color_shares);

    const at::Tensor map = model_->FeatureMap(StackPixels(images));
    const at::Tensor logits = model_->Logits(map.to(at::kFloat).mean({2, 3}));
    return head_->Embed(map, logits, at::stack(shares)).to(at::kCPU, at::kFloat);
  }

 private:
  const std::shared_ptr<const models::EfficientNetLite> model_;
  const std::shared_ptr<const models::ConseHead> head_;
  const models::ImageProcessor processor_;
  const int64_t cost_;
};

absl::StatusOr<models::VitPooling> ReadPooling(const models::JsonConfig& vision) {
  PALATE_ASSIGN_OR_RETURN(const std::string name, vision.String("pooling"));
  if (name == std::string("cls")) return models::VitPooling::kCls;
  if (name == std::string("mean")) return models::VitPooling::kMean;
  return absl::InvalidArgumentError(absl::StrCat(
      vision.source(), ": pooling ", QuoteForMessage(name), " is neither cls nor mean"));
}

absl::Status CheckDimensions(const std::string& folder, int64_t produced, int text_dimensions) {
  if (produced == text_dimensions) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(folder, " produces vectors of ", produced,
                                                 " dimensions, but the text tower's have ",
                                                 text_dimensions));
}

// The pictures that a processor makes; 0 x 0 when their size depends on the input.
struct PictureSize {
  int64_t width = 0;
  int64_t height = 0;
};

PictureSize OutputSize(const models::ImageProcessorConfig& config) {
  if (config.do_center_crop) return {.width = config.crop_width, .height = config.crop_height};
  if (!config.do_resize) return {};
  return {.width = config.resize_width, .height = config.resize_height};
}

absl::Status CheckVitInput(const std::string& folder, const models::VitConfig& config,
                           const PictureSize& input) {
  if (input.height == config.image_size && input.width == config.image_size &&
      config.num_channels == 3) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      folder, ": the processor makes pictures of ", input.width, " x ", input.height,
      ", the model expects ", config.image_size, " x ", config.image_size, " in 3 channels"));
}

absl::StatusOr<std::string> ProcessorDigest(const std::string& folder) {
  return models::FileDigest(models::InFolder(folder, "preprocessor_config.json"));
}

absl::StatusOr<ImageHalf> LoadVitHalf(const models::Checkpoint& checkpoint,
                                      const models::JsonConfig& vision, int dimensions,
                                      const Placement& placement) {
  const std::string& folder = checkpoint.folder();
  PALATE_ASSIGN_OR_RETURN(const models::VitPooling pooling, ReadPooling(vision));
  PALATE_ASSIGN_OR_RETURN(std::shared_ptr<const models::VitModel> model,
                          models::VitModel::Load(checkpoint, placement.ForModels()));
  PALATE_ASSIGN_OR_RETURN(models::ImageProcessor processor, models::ImageProcessor::Load(folder));
  PALATE_RETURN_IF_ERROR(CheckDimensions(folder, model->config().output_dim(), dimensions));
  PALATE_RETURN_IF_ERROR(CheckVitInput(folder, model->config(), OutputSize(processor.config())));

  ImageHalf half;
  half.image_size = static_cast<int>(model->config().image_size);
  PALATE_ASSIGN_OR_RETURN(half.weights_digest, checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(const std::string preprocessing, ProcessorDigest(folder));
  half.content =
      absl::StrCat("image\n", half.weights_digest, "\n", preprocessing, "\n",
                   checkpoint.config().json().dump(), "\npooling ", static_cast<int>(pooling));

  half.tower = std::make_unique<VitTower>(std::move(model), std::move(processor), pooling);
  return half;
}

// A batch needs pictures of one size, and the head at least its three rows and columns of features.
constexpr int64_t kFeatureStride = 32;
constexpr int64_t kLeastSide = 3 * kFeatureStride;
// How many tokens of the text tower take as long as one position of the feature map, about.
constexpr int64_t kTokensPerPosition = 2;

absl::Status CheckConseInput(const std::string& folder, const PictureSize& input) {
  if (std::min(input.width, input.height) >= kLeastSide) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(folder, ": the processor makes pictures of ", input.width, " x ", input.height,
                   "; the head needs a fixed size of at least ", kLeastSide, " x ", kLeastSide));
}

absl::Status CheckClasses(const models::EfficientNetLite& model, const std::string& folder,
                          const models::ConseHead& head, const std::string& head_folder) {
  if (model.config().num_labels == head.config().num_classes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      head_folder, " has vectors of ", head.config().num_classes,
      " classes, but the classifier of ", folder, " tells ", model.config().num_labels, " apart"));
}

absl::StatusOr<ImageHalf> LoadConseHalf(const models::Checkpoint& checkpoint,
                                        const std::string& head_folder, int dimensions,
                                        const Placement& placement) {
  PALATE_ASSIGN_OR_RETURN(auto model,
                          models::EfficientNetLite::Load(checkpoint, placement.ForModels()));
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint head_checkpoint,
                          models::Checkpoint::Open(head_folder));
  PALATE_ASSIGN_OR_RETURN(auto head,
                          models::ConseHead::Load(head_checkpoint, placement.ForModels()));
  PALATE_ASSIGN_OR_RETURN(models::ImageProcessor processor,
                          models::ImageProcessor::Load(head_folder));
  const PictureSize input = OutputSize(processor.config());
  PALATE_RETURN_IF_ERROR(CheckDimensions(head_folder, head->config().dimensions, dimensions));
  PALATE_RETURN_IF_ERROR(CheckClasses(*model, checkpoint.folder(), *head, head_folder));
  PALATE_RETURN_IF_ERROR(CheckConseInput(head_folder, input));

  ImageHalf half;
  half.image_size = static_cast<int>(std::max(input.width, input.height));
  PALATE_ASSIGN_OR_RETURN(const std::string tower_weights, checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(const std::string head_weights, head_checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(const std::string preprocessing, ProcessorDigest(head_folder));
  half.weights_digest = Digest(absl::StrCat(tower_weights, head_weights));
  half.content =
      absl::StrCat("image conse\n", half.weights_digest, "\n", preprocessing, "\n",
                   checkpoint.config().json().dump(), "\n", head_checkpoint.config().json().dump());

  const int64_t positions = ((input.width + kFeatureStride - 1) / kFeatureStride) *
                            ((input.height + kFeatureStride - 1) / kFeatureStride);
  half.tower = std::make_unique<ConseTower>(std::move(model), std::move(head), std::move(processor),
                                            kTokensPerPosition * positions);
  return half;
}

}  // namespace

absl::StatusOr<ImageHalf> LoadImageHalf(const models::JsonConfig& vision, const std::string& folder,
                                        int dimensions, const Placement& placement) {
  PALATE_ASSIGN_OR_RETURN(const std::string name, vision.String("folder"));
  const absl::StatusOr<models::Checkpoint> checkpoint =
      models::Checkpoint::Open(models::InFolder(folder, name));
  if (absl::IsNotFound(checkpoint.status())) return ImageHalf();
  if (!checkpoint.ok()) return checkpoint.status();

  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family,
                          models::FindModelFamily(checkpoint->config()));
  absl::StatusOr<ImageHalf> half;
  if (family == models::ModelFamily::kVit) {
    half = LoadVitHalf(*checkpoint, vision, dimensions, placement);
  } else if (family == models::ModelFamily::kEfficientNetLite) {
    PALATE_ASSIGN_OR_RETURN(const std::string head, vision.String("head"));
    half = LoadConseHalf(*checkpoint, models::InFolder(folder, head), dimensions, placement);
  } else {
    return absl::UnimplementedError(absl::StrCat(checkpoint->folder(), " holds a ",
                                                 models::ModelFamilyName(family),
                                                 " model, which is not an image tower"));
  }

  if (half.ok()) half->unknown_config_keys = models::UnknownConfigKeys(checkpoint->config());
  return half;
}

}  // namespace palate::embedding
