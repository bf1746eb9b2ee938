#include "offline/golden/pictures.h"

#include "base/status.h"

namespace palate::golden {

absl::StatusOr<models::ImagePatches> PatchesOf(const Fixture& fixture,
                                               const models::CausalLm& model,
                                               const std::string& picture) {
  if (!model.has_vision()) return absl::FailedPreconditionError("pictures for a text-only model");
  PALATE_ASSIGN_OR_RETURN(const models::Image image, fixture.Picture(picture));
  return model.image_processor()->Process(image);
}

absl::StatusOr<std::vector<models::ImagePatches>> NamedPatches(const Fixture& fixture,
                                                               const models::CausalLm& model,
                                                               const JsonNode& node,
                                                               const std::string& key) {
  std::vector<models::ImagePatches> images;
  if (!node.Has(key)) return images;
  PALATE_ASSIGN_OR_RETURN(const auto names, node.Strings(key));
  for (const std::string& name : names) {
    PALATE_ASSIGN_OR_RETURN(images.emplace_back(), PatchesOf(fixture, model, name));
  }
  return images;
}

}  // namespace palate::golden
