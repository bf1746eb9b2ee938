// The catalog part of the generated shop. Internal to offline/demo; callers use shop.h.
#pragma once

#include <vector>

#include "offline/demo/shop.h"

namespace palate::demo {

// `options` has been checked. Products in id order.
std::vector<Product> GenerateProducts(const ShopOptions& options);

}  // namespace palate::demo
