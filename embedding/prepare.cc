#include "embedding/prepare.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/image/image.h"

namespace palate::embedding {
namespace {

absl::Status NamedImageError(const absl::Status& status, const std::string& name) {
  if (!absl::IsInvalidArgument(status)) return Annotate(status, name);
  return InvalidField(name, status.message(), "a JPEG, PNG or WebP image within the limits");
}

bool HasText(const EmbedInput& input) {
  return std::any_of(input.fields.begin(), input.fields.end(), [](const std::string& field) { return !field.empty(); });
}

}  // namespace

bool Gate::Enter(absl::Time deadline) {
  const MutexLock lock(mutex_);
  while (free_ == 0) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    left_.WaitFor(mutex_, left);
  }
  --free_;
  return true;
}

void Gate::Leave() {
  const MutexLock lock(mutex_);
  ++free_;
  left_.Signal();
}

absl::Status InputPreparer::CheckContent(const EmbedInput& input, const std::string& name) const {
  if (input.fields.size() > options_.max_fields_per_input) {
    return InvalidField(name + ".fields", absl::StrCat("has ", input.fields.size(), " fields"),
                        absl::StrCat("at most ", options_.max_fields_per_input));
  }
  if (input.images.size() > options_.max_images_per_input) {
    return InvalidField(name + ".images", absl::StrCat("has ", input.images.size(), " images"),
                        absl::StrCat("at most ", options_.max_images_per_input));
  }
  if (HasText(input)) return absl::OkStatus();
  if (input.images.empty()) return InvalidField(name, "has neither text nor images", "given at least one of them");
  if (!model_.has_vision()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has images only, and embedding model ", model_.info().name, " has no image tower"));
  }
  return absl::OkStatus();
}

absl::Status InputPreparer::PrepareText(const std::string& text, bool is_query, const std::string& name, const WorkPlan& plan,
                                        WorkUnit& unit, EmbedResult& result) const {
  if (text.size() > options_.max_field_bytes) {
    return InvalidField(name, absl::StrCat("has ", text.size(), " bytes"), absl::StrCat("at most ", options_.max_field_bytes));
  }
  if (!IsValidUtf8(text)) return InvalidField(name, "has bytes that are not UTF-8", "valid UTF-8");
  PALATE_ASSIGN_OR_RETURN(models::EncodedText encoded,
                          is_query ? model_.text().Tokenize(plan.query_prefix + text) : model_.text().Tokenize(text));
  result.tokens += static_cast<int64_t>(encoded.ids.size());
  result.truncated_tokens += static_cast<int64_t>(encoded.truncated_tokens);
  unit.ids = std::move(encoded.ids);
  return absl::OkStatus();
}

absl::Status InputPreparer::PrepareImage(const std::string& encoded, const std::string& name, const WorkPlan& plan, WorkUnit& unit) {
  const models::ImageLimits limits = {.max_pixels = options_.max_image_pixels, .max_encoded_bytes = options_.max_image_bytes};
  // Refused without waiting for the gate.
  if (const absl::Status header = models::ReadImageHeader(encoded, limits).status(); !header.ok()) return NamedImageError(header, name);
  if (!gate_.Enter(plan.deadline)) return absl::DeadlineExceededError("embedding did not finish before the deadline");
  const absl::Cleanup leave = [this] { gate_.Leave(); };
  const absl::StatusOr<models::Image> image = models::DecodeImage(encoded, limits);
  if (!image.ok()) return NamedImageError(image.status(), name);
  absl::StatusOr<at::Tensor> pixels = model_.image_processor().Process(*image);
  if (!pixels.ok()) return NamedImageError(pixels.status(), name);
  unit.pixels = *std::move(pixels);
  return absl::OkStatus();
}

absl::Status InputPreparer::Prepare(const EmbedInput& input, size_t index, const WorkPlan& plan, EmbedGroup& group, EmbedResult& result) {
  const std::string name = absl::StrCat("inputs[", index, "]");
  PALATE_RETURN_IF_ERROR(CheckContent(input, name));
  std::vector<WorkUnit> units;
  for (size_t i = 0; plan.texts && i < input.fields.size(); ++i) {
    if (input.fields[i].empty()) continue;
    units.emplace_back().input = index;
    PALATE_RETURN_IF_ERROR(
        PrepareText(input.fields[i], input.role == EmbedRole::kQuery, absl::StrCat(name, ".fields[", i, "]"), plan, units.back(), result));
  }
  for (size_t i = 0; plan.images && i < input.images.size(); ++i) {
    units.emplace_back().input = index;
    units.back().is_image = true;
    PALATE_RETURN_IF_ERROR(PrepareImage(input.images[i], absl::StrCat(name, ".images[", i, "]"), plan, units.back()));
  }
  for (WorkUnit& unit : units) {
    const int64_t tokens = unit.is_image ? 1 + model_.vision().config().num_patches() : static_cast<int64_t>(unit.ids.size());
    group.Add(std::move(unit), tokens);
  }
  return absl::OkStatus();
}

}  // namespace palate::embedding
