#include "embedding/prepare.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "models/image/image.h"

namespace palate::embedding {
namespace {

// Parts of one input with their field paths.
using Texts = std::vector<std::pair<std::string, std::string>>;
using Images = std::vector<std::pair<std::string, EncoderImage>>;

models::ImageLimits LimitsOf(const EmbedderOptions& options) {
  return {.max_pixels = options.max_image_pixels, .max_encoded_bytes = options.max_image_bytes};
}

absl::Status ImageError(const absl::Status& status, const std::string& field) {
  if (!absl::IsInvalidArgument(status)) return AtField(status, field);
  return InvalidField(field, status.message(), "a JPEG, PNG or WebP image within the limits");
}

absl::Status PassError(const absl::Status& status, const std::string& field) {
  if (!absl::IsInvalidArgument(status)) return AtField(status, field);
  return InvalidFields(status.message(), {{field, std::string(status.message())}});
}

bool HasText(const EmbedInput& input) {
  return std::any_of(input.fields.begin(), input.fields.end(),
                     [](const std::string& field) { return !field.empty(); });
}

// The content of a pass and the spaces that it serves.
struct PlannedPass {
  std::string field;
  SpaceSet spaces;
  PassContent content;
};

// A query in words is compared with pictures by the vector of its words, since the spaces of a
// model that sees images share their directions.
bool StandsForAnImage(const EmbedInput& input, const SpaceSet& wanted, const Encoder& encoder) {
  return wanted.image && encoder.sees_images() && input.role == EmbedRole::kQuery &&
         input.images.empty();
}

// Encoders with towers: one pass per part. Their fused vector is computed from the text and the
// image vector.
std::vector<PlannedPass> PlanTowers(const Texts& texts, const Images& images,
                                    const SpaceSet& wanted, bool words_for_image) {
  std::vector<PlannedPass> plan;
  if (wanted.text || wanted.fused || words_for_image) {
    for (const auto& [field, text] : texts)
      plan.push_back({field, {.text = true, .image = words_for_image}, {.text = text}});
  }
  if (wanted.image || wanted.fused) {
    for (const auto& [field, image] : images)
      plan.push_back({field, {.image = true}, {.text = "", .images = {image}}});
  }
  return plan;
}

// Joint encoders: one pass per part for its space, and one over all parts for `fused`, which is the
// same pass if there is only one part. An `empty` input has a text vector too.
std::vector<PlannedPass> PlanJoint(const Texts& texts, const Images& images, const SpaceSet& wanted,
                                   bool words_for_image, bool empty) {
  std::vector<PlannedPass> plan;
  const size_t parts = texts.size() + images.size();

  if (wanted.text || words_for_image) {
    for (const auto& [field, text] : texts)
      plan.push_back({field, {.text = true, .image = words_for_image}, {.text = text}});
    if (empty) plan.push_back({"", {.text = true}, {}});
  }
  if (wanted.image) {
    for (const auto& [field, image] : images)
      plan.push_back({field, {.image = true}, {.text = "", .images = {image}}});
  }

  if (!wanted.fused) return plan;
  if (parts <= 1 && plan.size() == 1) {
    plan.front().spaces.fused = true;
    return plan;
  }

  // Of an input that asks for nothing else, the pass is the whole.
  PlannedPass joint = {plan.empty() ? "" : kFusedSpace, {.fused = true}, {}};
  joint.content.text = absl::StrJoin(
      texts, "\n", [](std::string* out, const auto& text) { out->append(text.second); });
  for (const auto& [field, image] : images) joint.content.images.push_back(image);
  plan.push_back(std::move(joint));
  return plan;
}

}  // namespace

struct InputPreparer::Content {
  Texts texts;
  Images images;
};

int64_t InputPreparer::Estimate(const EmbedInput& input, const SpaceSet& wanted) const {
  int64_t tokens = 0;
  const bool joint_twice = encoder_.is_joint() && wanted.fused;

  if (wanted.text || wanted.fused || StandsForAnImage(input, wanted, encoder_)) {
    for (const std::string& field : input.fields)
      tokens += field.empty() ? 0 : encoder_.EstimateText(field.size());
  }
  if (encoder_.sees_images() && (wanted.image || wanted.fused)) {
    for (const std::string& image : input.images) {
      const auto header = models::ReadImageHeader(image, LimitsOf(options_));
      if (header.ok()) tokens += encoder_.EstimateImage(header->width, header->height);
    }
  }

  return joint_twice && (wanted.text || wanted.image) ? 2 * tokens : tokens;
}

absl::Status InputPreparer::CheckContent(const EmbedInput& input) const {
  if (input.fields.size() > options_.max_fields_per_input) {
    return InvalidField("fields", absl::StrCat("has ", input.fields.size(), " fields"),
                        absl::StrCat("at most ", options_.max_fields_per_input));
  }
  if (input.images.size() > options_.max_images_per_input) {
    return InvalidField("images", absl::StrCat("has ", input.images.size(), " images"),
                        absl::StrCat("at most ", options_.max_images_per_input));
  }

  if (HasText(input)) return absl::OkStatus();
  if (input.images.empty()) {
    // Joint models accept an empty input: their protocol writes NULL.
    if (encoder_.is_joint()) return absl::OkStatus();
    return InvalidField("", "has neither text nor images", "given at least one of them");
  }

  if (!encoder_.sees_images()) {
    const std::string& model = encoder_.info().name;
    return AtField(absl::FailedPreconditionError(absl::StrCat(
                       "has images only, and embedding model ", model, " has no image tower")),
                   "");
  }
  return absl::OkStatus();
}

void InputPreparer::ReadTexts(const EmbedInput& input, Content& content,
                              PreparedInput& prepared) const {
  for (size_t i = 0; i < input.fields.size(); ++i) {
    const std::string& text = input.fields[i];
    const std::string field = absl::StrCat("fields[", i, "]");
    if (text.empty()) continue;
    if (!IsValidUtf8(text)) {
      prepared.failed_parts.push_back(
          {field, InvalidField(field, "has bytes that are not UTF-8", "valid UTF-8")});
      continue;
    }
    if (text.size() > options_.max_field_bytes) {
      prepared.failed_parts.push_back(
          {field, InvalidField(field, absl::StrCat("has ", text.size(), " bytes"),
                               absl::StrCat("at most ", options_.max_field_bytes,
                                            "; the rest is not read"))});
    }
    content.texts.emplace_back(field, CutAtCharacter(text, options_.max_field_bytes));
  }
}

absl::Status InputPreparer::ReadImages(const EmbedCall& call, const EmbedInput& input,
                                       Content& content, PreparedInput& prepared) {
  for (size_t i = 0; i < input.images.size(); ++i) {
    PALATE_RETURN_IF_ERROR(call.CheckStillWanted(absl::Now()));
    const std::string field = absl::StrCat("images[", i, "]");
    absl::StatusOr<EncoderImage> image = PrepareImage(input.images[i], field);
    if (image.ok()) {
      content.images.emplace_back(field, *std::move(image));
    } else {
      prepared.failed_parts.push_back({field, image.status()});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<EncoderImage> InputPreparer::PrepareImage(const std::string& encoded,
                                                         const std::string& field) {
  // Invalid images are refused before waiting for a decoding slot.
  if (const absl::Status header = models::ReadImageHeader(encoded, LimitsOf(options_)).status();
      !header.ok()) {
    return ImageError(header, field);
  }

  decodes_.acquire();
  const absl::Cleanup leave = [this] { decodes_.release(); };
  const absl::StatusOr<models::Image> image = models::DecodeImage(encoded, LimitsOf(options_));
  if (!image.ok()) return ImageError(image.status(), field);

  absl::StatusOr<EncoderImage> prepared = encoder_.PrepareImage(*image);
  if (!prepared.ok()) return ImageError(prepared.status(), field);
  return prepared;
}

absl::StatusOr<PreparedInput> InputPreparer::Prepare(const EmbedCall& call, size_t index) {
  const EmbedInput& input = call.inputs()[index];
  const SpaceSet& wanted = call.wanted_spaces();
  PALATE_RETURN_IF_ERROR(CheckContent(input));

  PreparedInput prepared;
  Content content;
  const bool words_for_image = StandsForAnImage(input, wanted, encoder_);
  if (wanted.text || wanted.fused || words_for_image) ReadTexts(input, content, prepared);
  if (encoder_.sees_images() && (wanted.image || wanted.fused))
    PALATE_RETURN_IF_ERROR(ReadImages(call, input, content, prepared));
  const bool nothing_left = content.texts.empty() && content.images.empty();
  const bool is_query = input.role == EmbedRole::kQuery;
  if (!prepared.failed_parts.empty() && (nothing_left || is_query)) return prepared;

  const bool empty = !HasText(input) && input.images.empty();
  for (PlannedPass& planned :
       encoder_.is_joint()
           ? PlanJoint(content.texts, content.images, wanted, words_for_image, empty)
           : PlanTowers(content.texts, content.images, wanted, words_for_image)) {
    planned.content.role = input.role;
    planned.content.instruction = call.options().instruction;
    absl::StatusOr<PreparedPass> pass = encoder_.Prepare(planned.content);
    if (pass.ok()) {
      prepared.passes.push_back({std::move(planned.field), planned.spaces, *std::move(pass)});
    } else {
      prepared.failed_parts.push_back({planned.field, PassError(pass.status(), planned.field)});
    }
  }
  return prepared;
}

}  // namespace palate::embedding
