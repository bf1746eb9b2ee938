#include <ATen/ATen.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/families/clip/clip.h"
#include "models/families/siglip/siglip.h"
#include "models/image/processor.h"
#include "models/registry.h"
#include "models/text/padded_tokenizer.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"
#include "offline/golden/pixel_compare.h"

namespace palate::golden {
namespace {

// One interface for both families of dual encoders.
struct DualEncoder {
  int64_t max_positions = 0;
  std::string link;  // how logits become probabilities
  std::function<at::Tensor(const at::Tensor&ids, const at::Tensor&mask)> text_states, text_features;
  std::function<at::Tensor(const at::Tensor&pixels)> image_states, image_features;
  std::function<at::Tensor(const at::Tensor& text_features, const at::Tensor& image_features)>
      logits_per_text;
};

DualEncoder OfClip(const std::shared_ptr<const models::ClipModel>& model) {
  return {
      .max_positions = model->config().text.max_positions,
      .link = "softmax",
      .text_states = [model](const at::Tensor& ids,
                             const at::Tensor& mask) { return model->TextStates(ids, mask); },
      .text_features = [model](const at::Tensor& ids,
                               const at::Tensor& mask) { return model->TextFeatures(ids, mask); },
      .image_states = [model](const at::Tensor& pixels) { return model->ImageStates(pixels); },
      .image_features = [model](const at::Tensor& pixels) { return model->ImageFeatures(pixels); },
      .logits_per_text =
          [model](const at::Tensor& text, const at::Tensor& image) {
            return model->LogitsPerText(text, image);
          }};
}

DualEncoder OfSiglip(const std::shared_ptr<const models::SiglipModel>& model) {
  return {
      .max_positions = model->config().text.max_positions,
      .link = "sigmoid",
      .text_states = [model](const at::Tensor& ids,
                             const at::Tensor&) { return model->TextStates(ids); },
      .text_features = [model](const at::Tensor& ids,
                               const at::Tensor&) { return model->TextFeatures(ids); },
      .image_states = [model](const at::Tensor& pixels) { return model->ImageStates(pixels); },
      .image_features = [model](const at::Tensor& pixels) { return model->ImageFeatures(pixels); },
      .logits_per_text =
          [model](const at::Tensor& text, const at::Tensor& image) {
            return model->LogitsPerText(text, image);
          }};
}

absl::StatusOr<DualEncoder> LoadDualEncoder(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family,
                          models::FindModelFamily(checkpoint.config()));
  if (family == models::ModelFamily::kClip) {
    PALATE_ASSIGN_OR_RETURN(const auto model, models::ClipModel::Load(checkpoint));
    return OfClip(model);
  }
  if (family == models::ModelFamily::kSiglip) {
    PALATE_ASSIGN_OR_RETURN(const auto model, models::SiglipModel::Load(checkpoint));
    return OfSiglip(model);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(folder, ": ", models::ModelFamilyName(family), " is no dual encoder"));
}

absl::StatusOr<models::TextPadding> ReadPadding(const JsonNode& inputs) {
  PALATE_ASSIGN_OR_RETURN(const std::string padding, inputs.String("padding"));
  if (padding == "longest") return models::TextPadding::kLongest;
  if (padding == "max_length") return models::TextPadding::kMaximum;
  return absl::InvalidArgumentError(
      absl::StrCat("inputs.json: padding \"", padding, "\" is neither longest nor max_length"));
}

// Compares our pixels with the reference's, and returns ours.
absl::StatusOr<at::Tensor> ComparePixels(Fixture& fixture, Report& report,
                                         const std::vector<std::string>& pictures) {
  PALATE_ASSIGN_OR_RETURN(const auto processor, models::ImageProcessor::Load(fixture.checkpoint()));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor("pixel_values"));
  PALATE_ASSIGN_OR_RETURN(const auto answered, fixture.expected().Strings("images"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode size_list, fixture.expected().At("image_sizes_wh"));
  if (answered != pictures)
    return absl::InvalidArgumentError("expected.json: images answers other pictures");

  std::vector<std::vector<int64_t>> sizes;
  std::vector<at::Tensor> pixels;
  for (const std::string& name : pictures) {
    PALATE_ASSIGN_OR_RETURN(const models::Image image, fixture.Picture(name));
    sizes.push_back({image.width, image.height});
    PALATE_ASSIGN_OR_RETURN(pixels.emplace_back(), processor.Process(image));
  }

  report.Add(sizes == size_list.Take().get<std::vector<std::vector<int64_t>>>(), "image_sizes_wh",
             absl::StrCat(sizes.size(), " pictures"));
  const at::Tensor actual = at::stack(pixels);
  CompareTensor(report, "pixel_values", actual, expected, kPixelTolerance);
  if (fixture.HasTensor("pixel_values_pil_backend")) {
    PALATE_ASSIGN_OR_RETURN(const at::Tensor other, fixture.Tensor("pixel_values_pil_backend"));
    CompareOtherBackend(report, "pixel_values_pil_backend", actual, other, processor.config());
  }

  // The names of the reference's classes and the difference between them are not compared.
  for (const char* key : {"image_processor", "pil_processor", "max_abs_diff_between_backends"})
    fixture.expected().Ignore(key);
  return actual;
}

struct DualTexts {
  at::Tensor ids, mask;  // int64 [texts, width]
};

absl::StatusOr<DualTexts> CompareTexts(Fixture& fixture, Report& report, const DualEncoder& model,
                                       const std::vector<std::string>& texts) {
  PALATE_ASSIGN_OR_RETURN(const models::TextPadding padding, ReadPadding(fixture.inputs()));
  PALATE_ASSIGN_OR_RETURN(
      const auto tokenizer,
      models::PaddedTokenizer::Load(fixture.checkpoint(), padding, model.max_positions));
  PALATE_ASSIGN_OR_RETURN(const models::PaddedIds padded, tokenizer->Encode(texts));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor("input_ids"));

  const DualTexts result = {IdTensor(padded.ids).view({-1, padded.width}),
                            IdTensor(padded.AttentionMask()).view({-1, padded.width})};
  CompareExact(report, "input_ids", result.ids, expected);
  if (fixture.HasTensor("attention_mask")) {
    PALATE_ASSIGN_OR_RETURN(const at::Tensor mask, fixture.Tensor("attention_mask"));
    CompareExact(report, "attention_mask", result.mask, mask);
  }

  if (fixture.expected().Has("tokenize"))
    PALATE_RETURN_IF_ERROR(CompareTokenized(fixture, report, texts));
  return result;
}

at::Tensor Normalized(const at::Tensor& features) {
  return features / features.norm(2, -1, /*keepdim=*/true);
}

// Compares each row computed alone with the same row of the batch.
void CompareWithSingles(Report& report, const std::string& what, const at::Tensor& batch,
                        const std::function<at::Tensor(int64_t)>& single) {
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < batch.size(0); ++i) rows.push_back(single(i));
  CompareTensor(report, absl::StrCat(what, " batch of ", batch.size(0), " equals singles"), batch,
                at::cat(rows), kVectorTolerance);
}

}  // namespace

absl::Status CheckDualEncoder(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto pictures, fixture.inputs().Strings("images"));
  PALATE_ASSIGN_OR_RETURN(const auto texts, fixture.inputs().Strings("texts"));

  PALATE_ASSIGN_OR_RETURN(const DualEncoder model, LoadDualEncoder(fixture.checkpoint()));
  PALATE_ASSIGN_OR_RETURN(const std::string link, fixture.expected().String("logits"));
  CompareText(report, "logits become probabilities by", model.link, link);
  PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels, ComparePixels(fixture, report, pictures));
  PALATE_ASSIGN_OR_RETURN(const DualTexts inputs, CompareTexts(fixture, report, model, texts));

  const at::Tensor text = model.text_features(inputs.ids, inputs.mask);
  const at::Tensor image = model.image_features(pixels);
  const at::Tensor logits = model.logits_per_text(text, image);
  const std::vector<std::pair<std::string, at::Tensor>> states = {
      {"text_last_hidden_state", model.text_states(inputs.ids, inputs.mask)},
      {"vision_last_hidden_state", model.image_states(pixels)},
      {"text_features", text},
      {"image_features", image},
      {"logits_per_text", logits},
      {"logits_per_image", logits.t()}};
  for (const auto& [name, actual] : states) {
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(name));
    CompareTensor(report, name, actual, expected, kStateTolerance);
  }

  const std::vector<std::pair<std::string, at::Tensor>> vectors = {
      {"text_embeds", Normalized(text)}, {"image_embeds", Normalized(image)}};
  for (const auto& [name, actual] : vectors) {
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(name));
    CompareVectors(report, name, actual, expected);
  }

  CompareWithSingles(report, "texts:", text, [&](int64_t i) {
    return model.text_features(inputs.ids.narrow(0, i, 1), inputs.mask.narrow(0, i, 1));
  });
  CompareWithSingles(report, "images:", image,
                     [&](int64_t i) { return model.image_features(pixels.narrow(0, i, 1)); });
  return absl::OkStatus();
}

}  // namespace palate::golden
