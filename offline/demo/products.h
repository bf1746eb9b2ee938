// The catalog part of the generated shop. Internal to offline/demo; callers use shop.h.
#pragma once

#include <vector>

#include "offline/demo/shop.h"

namespace palate::demo {

// `options` must be valid. Returns the products in the order of the number in their ids.
// Thread-safe.
std::vector<Product> GenerateProducts(const ShopOptions& options);

}  // namespace palate::demo
