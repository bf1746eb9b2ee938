// The shoppers' part of the generated shop: hidden tastes and simulated behavior. Internal to
// offline/demo; callers use shop.h.
#pragma once

#include <vector>

#include "offline/demo/random.h"
#include "offline/demo/shop.h"

namespace palate::demo {

// Both expect checked options and at least one product. Shoppers in id order.
std::vector<Shopper> GenerateShoppers(const ShopOptions& options,
                                      const std::vector<Product>& products);

// What `shopper`, the one with that index, does between start_time and the end of the test span, in
// time order.
std::vector<Event> SimulateEvents(const ShopOptions& options, const std::vector<Product>& products,
                                  const Shopper& shopper, size_t index);

}  // namespace palate::demo
