// Which generated shops are for training, for watching the training, and for the final measurement.
// They share nothing but the vocabulary.
//
// Three things separate them at once: seeds (so other products, brands and shoppers), the (kind,
// material, style) combinations that products have, and the calendar: everything measured lies
// after everything trained on. Pure functions, thread-safe.
#pragma once

#include <cstdint>

#include "offline/demo/shop.h"

namespace palate::training {

enum class Split { kTraining, kValidation, kHeldOut };

// Seeds of a split are [first, first + kSeedsPerSplit). The demo's own seeds are smaller than all
// of them.
inline constexpr uint64_t kSeedsPerSplit = 1'000'000'000;
uint64_t FirstSeed(Split split);

// The shop with that number in the split, of at most kSeedsPerSplit. A run's `seed` shifts the
// numbers, so that runs see other shops.
//   kTraining     starts in 2023 or 2024, trained combinations; sizes and habits vary from shop to
//   shop kValidation   the same kind of shop, of seeds that are never trained on kHeldOut starts on
//   2026-03-01, held-out combinations only, 400 products and 120 shoppers
demo::ShopOptions ShopOf(Split split, uint64_t seed, uint64_t number);

}  // namespace palate::training
