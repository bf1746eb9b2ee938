// Which generated shops are for training, for validation during training, and for the final
// measurement.
//
// All three splits have different seeds, so different products, brands and shoppers. The held-out
// split also has other (kind, material, style) combinations, and a calendar that begins after the
// last event of the other two. Pure functions, thread-safe.
#pragma once

#include <cstdint>

#include "offline/demo/shop.h"

namespace palate::training {

enum class Split { kTraining, kValidation, kHeldOut };

// The seeds of a split are [first, first + kSeedsPerSplit). The demo's default seed is below all of
// them.
inline constexpr uint64_t kSeedsPerSplit = 1'000'000'000;
uint64_t FirstSeed(Split split);

// The options of the shop with that number in the split; numbers repeat after kSeedsPerSplit. The
// run's `seed` shifts the numbers, so that runs with different seeds use different shops.
//   kTraining: starts in 2023 or 2024 and has the training combinations; sizes and habits vary.
//   kValidation: like kTraining, with other seeds.
//   kHeldOut: starts on 2026-03-01, has only held-out combinations, 400 products and 120 shoppers.
demo::ShopOptions ShopOf(Split split, uint64_t seed, uint64_t number);

}  // namespace palate::training
