// Published dual encoders: CLIP and SigLIP, which embed texts and images into one space.

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "embedding/encoders/loading.h"
#include "embedding/encoders/towers.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/clip/clip.h"
#include "models/families/siglip/siglip.h"
#include "models/image/processor.h"
#include "models/text/padded_tokenizer.h"

namespace palate::embedding {
namespace {

// Texts are batched together while the shortest has at least this fraction of the longest's tokens.
constexpr double kLeastFill = 0.75;

// Control tokens inside a text are encoded as ordinary characters.
absl::StatusOr<models::EncodedText> TokenizeOne(const models::PaddedTokenizer& tokenizer,
                                                absl::string_view text) {
  PALATE_ASSIGN_OR_RETURN(
      models::PaddedIds padded,
      tokenizer.Encode({std::string(text)}, {.width = 0, .parse_special_tokens = false}));
  return models::EncodedText{.ids = std::move(padded.ids),
                             .truncated_tokens = padded.truncated_tokens.front()};
}

// int64 [sequences, longest], padded on the right.
at::Tensor PadToLongest(absl::Span<const std::vector<int64_t>> sequences,
                        absl::Span<const int64_t> rows, int64_t pad_id) {
  size_t width = 0;
  for (int64_t row : rows) width = std::max(width, sequences[static_cast<size_t>(row)].size());

  at::Tensor ids =
      at::full({static_cast<int64_t>(rows.size()), static_cast<int64_t>(width)}, pad_id, at::kLong);

  auto* out = ids.mutable_data_ptr<int64_t>();
  for (int64_t row : rows) {
    const std::vector<int64_t>& sequence = sequences[static_cast<size_t>(row)];
    std::copy(sequence.begin(), sequence.end(), out);
    out += width;
  }
  return ids;
}

class ClipTextTower final : public TextTower {
 public:
  ClipTextTower(std::shared_ptr<const models::ClipModel> model,
                std::shared_ptr<const models::PaddedTokenizer> tokenizer)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)) {}

  absl::StatusOr<models::EncodedText> Tokenize(absl::string_view text) const override {
    return TokenizeOne(*tokenizer_, text);
  }

  // Padding does not change the vectors but costs time, so texts of similar length are computed
  // together.
  absl::StatusOr<at::Tensor> Encode(
      absl::Span<const std::vector<int64_t>> sequences) const override {
    std::vector<int64_t> order(sequences.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto length = [&](int64_t row) { return sequences[static_cast<size_t>(row)].size(); };
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return length(a) > length(b); });

    at::Tensor features =
        at::empty({static_cast<int64_t>(sequences.size()), model_->dimensions()}, at::kFloat);

    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      const double least = kLeastFill * static_cast<double>(length(order[begin]));
      while (end < order.size() && static_cast<double>(length(order[end])) >= least) ++end;
      const absl::Span<const int64_t> rows = absl::MakeConstSpan(order).subspan(begin, end - begin);
      const at::Tensor part =
          model_->TextFeatures(PadToLongest(sequences, rows, tokenizer_->pad_id()));
      features.index_copy_(0,
                           at::tensor(at::ArrayRef<int64_t>(rows.data(), rows.size()), at::kLong),
                           part.to(at::kCPU, at::kFloat));
    }

    return features;
  }

 private:
  const std::shared_ptr<const models::ClipModel> model_;
  const std::shared_ptr<const models::PaddedTokenizer> tokenizer_;
};

// SigLIP attends to padding like any token, so its tokenizer pads every text to the full length.
class SiglipTextTower final : public TextTower {
 public:
  SiglipTextTower(std::shared_ptr<const models::SiglipModel> model,
                  std::shared_ptr<const models::PaddedTokenizer> tokenizer)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)) {}

  absl::StatusOr<models::EncodedText> Tokenize(absl::string_view text) const override {
    return TokenizeOne(*tokenizer_, text);
  }

  absl::StatusOr<at::Tensor> Encode(
      absl::Span<const std::vector<int64_t>> sequences) const override {
    std::vector<int64_t> rows(sequences.size());
    std::iota(rows.begin(), rows.end(), int64_t{0});
    return model_->TextFeatures(PadToLongest(sequences, rows, tokenizer_->pad_id()))
        .to(at::kCPU, at::kFloat);
  }

 private:
  const std::shared_ptr<const models::SiglipModel> model_;
  const std::shared_ptr<const models::PaddedTokenizer> tokenizer_;
};

template <typename Model>
class DualImageTower final : public ImageTower {
 public:
  DualImageTower(std::shared_ptr<const Model> model, models::ImageProcessor processor, int64_t cost)
      : model_(std::move(model)), processor_(std::move(processor)), cost_(cost) {}

  int64_t cost() const override { return cost_; }
  absl::StatusOr<EncoderImage> Prepare(const models::Image& image) const override {
    EncoderImage prepared;
    PALATE_ASSIGN_OR_RETURN(prepared.pixels, processor_.Process(image));
    return prepared;
  }
  at::Tensor Encode(absl::Span<const EncoderImage> images) const override {
    return model_->ImageFeatures(StackPixels(images)).to(at::kCPU, at::kFloat);
  }

 private:
  const std::shared_ptr<const Model> model_;
  const models::ImageProcessor processor_;
  const int64_t cost_;
};

// Everything that the folder's vectors depend on.
absl::StatusOr<std::string> ContentOf(const models::Checkpoint& checkpoint,
                                      const std::string& weights, int64_t max_tokens) {
  std::string content = absl::StrCat("dual\n", weights, "\n", checkpoint.config().json().dump(),
                                     "\nmax_tokens ", max_tokens);

  for (const char* name :
       {"/tokenizer.json", "/tokenizer_config.json", "/preprocessor_config.json"}) {
    const std::string path = checkpoint.folder() + name;
    if (!models::FileExists(path)) continue;
    PALATE_ASSIGN_OR_RETURN(const std::string digest, models::FileDigest(path));
    absl::StrAppend(&content, "\n", name, " ", digest);
  }
  return content;
}

absl::StatusOr<models::ImageProcessor> LoadProcessor(const std::string& folder,
                                                     int64_t image_size) {
  PALATE_ASSIGN_OR_RETURN(models::ImageProcessor processor, models::ImageProcessor::Load(folder));
  const models::ImageProcessorConfig& config = processor.config();
  const int64_t height = config.do_center_crop ? config.crop_height : config.resize_height;
  const int64_t width = config.do_center_crop ? config.crop_width : config.resize_width;

  if (height != image_size || width != image_size) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": the processor makes pictures of ",
                                                   width, " x ", height, ", the model expects ",
                                                   image_size, " x ", image_size));
  }
  return processor;
}

absl::Status LoadClip(const models::Checkpoint& checkpoint, const Placement& placement,
                      TowerEncoder::Parts& parts) {
  PALATE_ASSIGN_OR_RETURN(const auto model,
                          models::ClipModel::Load(checkpoint, placement.ForModels()));
  const models::VitConfig& vision = model->config().vision;
  PALATE_ASSIGN_OR_RETURN(auto tokenizer, models::PaddedTokenizer::Load(
                                              checkpoint.folder(), models::TextPadding::kLongest,
                                              model->config().text.max_positions));
  PALATE_ASSIGN_OR_RETURN(models::ImageProcessor processor,
                          LoadProcessor(checkpoint.folder(), vision.image_size));

  parts.info.dimensions = static_cast<int>(model->dimensions());
  parts.info.max_text_tokens = tokenizer->max_tokens();
  parts.info.image_size = static_cast<int>(vision.image_size);
  parts.text = std::make_unique<ClipTextTower>(model, std::move(tokenizer));
  parts.image = std::make_unique<DualImageTower<models::ClipModel>>(model, std::move(processor),
                                                                    1 + vision.num_patches());
  return absl::OkStatus();
}

absl::Status LoadSiglip(const models::Checkpoint& checkpoint, const Placement& placement,
                        TowerEncoder::Parts& parts) {
  PALATE_ASSIGN_OR_RETURN(const auto model,
                          models::SiglipModel::Load(checkpoint, placement.ForModels()));
  const models::SiglipVisionConfig& vision = model->config().vision;
  PALATE_ASSIGN_OR_RETURN(auto tokenizer, models::PaddedTokenizer::Load(
                                              checkpoint.folder(), models::TextPadding::kMaximum,
                                              model->config().text.max_positions));
  PALATE_ASSIGN_OR_RETURN(models::ImageProcessor processor,
                          LoadProcessor(checkpoint.folder(), vision.image_size));

  if (vision.encoder.hidden_size != model->dimensions()) {
    return absl::InvalidArgumentError(
        absl::StrCat(checkpoint.folder(), ": text vectors have ", model->dimensions(),
                     " dimensions, image vectors ", vision.encoder.hidden_size));
  }

  parts.info.dimensions = static_cast<int>(model->dimensions());
  parts.info.max_text_tokens = tokenizer->max_tokens();
  parts.info.image_size = static_cast<int>(vision.image_size);
  const int64_t patches = vision.patches_per_side() * vision.patches_per_side();
  parts.text = std::make_unique<SiglipTextTower>(model, std::move(tokenizer));
  parts.image =
      std::make_unique<DualImageTower<models::SiglipModel>>(model, std::move(processor), patches);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> LoadClipEncoder(const std::string& folder,
                                                         models::ModelFamily family,
                                                         const EmbeddingModelOptions& options) {
  const std::string family_name = FamilyId(family);
  PALATE_RETURN_IF_ERROR(RefuseDecoderOptions(options, family_name));
  PALATE_ASSIGN_OR_RETURN(const Placement placement, Placement::From(options));
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));

  TowerEncoder::Parts parts;
  parts.info = NewInfo(folder, family_name, placement);
  parts.info.pooling = "head";
  parts.info.unknown_config_keys = models::UnknownConfigKeys(checkpoint.config());
  PALATE_RETURN_IF_ERROR(family == models::ModelFamily::kClip
                             ? LoadClip(checkpoint, placement, parts)
                             : LoadSiglip(checkpoint, placement, parts));

  PALATE_ASSIGN_OR_RETURN(parts.info.weights_digest, checkpoint.WeightsDigest());
  PALATE_ASSIGN_OR_RETURN(
      const std::string content,
      ContentOf(checkpoint, parts.info.weights_digest, parts.info.max_text_tokens));

  const std::string fingerprint = Fingerprint(content);
  const std::string fused = Fingerprint(
      absl::StrCat("fused\n", content, "\n", parts.fusion.text, " ", parts.fusion.image));
  parts.info.spaces = {
      {.name = kTextSpace, .fingerprint = fingerprint, .available = true, .calibration = {}},
      {.name = kImageSpace, .fingerprint = fingerprint, .available = true, .calibration = {}},
      {.name = kFusedSpace, .fingerprint = fused, .available = true, .calibration = {}}};

  return std::make_unique<TowerEncoder>(std::move(parts));
}

}  // namespace palate::embedding
