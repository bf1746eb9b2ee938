// The pictures of a fixture as inputs of a vision-language model.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/causal_lm/causal_lm.h"
#include "models/image/vl_processor.h"
#include "offline/golden/fixture.h"

namespace palate::golden {

// Decodes one picture of inputs/ and cuts it into patches. FailedPrecondition for a text-only
// model.
absl::StatusOr<models::ImagePatches> PatchesOf(const Fixture& fixture,
                                               const models::CausalLm& model,
                                               const std::string& picture);

// The patches of the pictures whose names `node` lists under `key`; empty when there is no such
// key.
absl::StatusOr<std::vector<models::ImagePatches>> NamedPatches(const Fixture& fixture,
                                                               const models::CausalLm& model,
                                                               const JsonNode& node,
                                                               const std::string& key);

}  // namespace palate::golden
