// Pictures of a fixture as vision-language models read them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/causal_lm/causal_lm.h"
#include "models/image/vl_processor.h"
#include "offline/golden/fixture.h"

namespace palate::golden {

// Decodes and cuts one picture of inputs/. FailedPrecondition when the model has no eyes.
absl::StatusOr<models::ImagePatches> PatchesOf(const Fixture& fixture,
                                               const models::CausalLm& model,
                                               const std::string& picture);

// The pictures that a list of names under `key` says; none when there is no such key.
absl::StatusOr<std::vector<models::ImagePatches>> NamedPatches(const Fixture& fixture,
                                                               const models::CausalLm& model,
                                                               const JsonNode& node,
                                                               const std::string& key);

}  // namespace palate::golden
