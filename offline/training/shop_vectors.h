// Vectors of a generated shop, computed by the embedding library as the services do. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "embedding/embedder.h"
#include "offline/demo/shop.h"
#include "offline/training/shop_parts.h"

namespace palate::training {

// Of every product: its text fields, and its picture as drawn for the demo. REQUIRES: the model has
// the spaces "text" and "image".
absl::StatusOr<ShopVectors> EmbedShop(const demo::Shop& shop, embedding::Embedder& embedder);

// Of texts that items might have, in the space "text".
absl::StatusOr<std::vector<std::vector<float>>> EmbedTexts(embedding::Embedder& embedder,
                                                           const std::vector<std::string>& texts);

}  // namespace palate::training
