// The shoppers' part of the generated shop: hidden tastes and simulated behavior. Internal to
// offline/demo; callers use shop.h.
#pragma once

#include <vector>

#include "offline/demo/random.h"
#include "offline/demo/shop.h"

namespace palate::demo {

// Both functions require valid options and at least one product. They are thread-safe.

// Returns the shoppers in id order.
std::vector<Shopper> GenerateShoppers(const ShopOptions& options,
                                      const std::vector<Product>& products);

// The events of `shopper`, whose position in the list is `index`, from start_time on, in time
// order. The last session may continue after the end of the test span.
std::vector<Event> SimulateEvents(const ShopOptions& options, const std::vector<Product>& products,
                                  const Shopper& shopper, size_t index);

}  // namespace palate::demo
