#include "offline/training/splits.h"

#include "offline/demo/random.h"

namespace palate::training {
namespace {

constexpr absl::CivilDay kTrainingBegin(2023, 1, 1);
constexpr absl::CivilDay kHeldOutBegin(2026, 3, 1);
constexpr size_t kTrainingStartDays = 620;  // so that every training shop ends before 2025

}  // namespace

uint64_t FirstSeed(Split split) {
  switch (split) {
    case Split::kTraining:
      return 1 * kSeedsPerSplit;
    case Split::kValidation:
      return 2 * kSeedsPerSplit;
    case Split::kHeldOut:
      break;
  }
  return 3 * kSeedsPerSplit;
}

demo::ShopOptions ShopOf(Split split, uint64_t seed, uint64_t number) {
  demo::ShopOptions options;
  // A run uses consecutive shops; runs with different seeds begin far apart.
  const uint64_t shift = demo::Random::ForPart(seed, "shops").Next();
  options.seed = FirstSeed(split) + (shift + number) % kSeedsPerSplit;

  if (split == Split::kHeldOut) {
    options.combinations = demo::Combinations::kHeldOut;
    options.num_products = 400;
    options.num_shoppers = 120;
    options.start_time = absl::FromCivil(kHeldOutBegin, absl::UTCTimeZone());
    return options;
  }

  demo::Random random = demo::Random::ForPart(options.seed, "shop options");
  options.combinations = demo::Combinations::kTraining;
  options.num_products = 150 + static_cast<int>(random.Index(350));
  options.num_shoppers = 60;
  options.start_time = absl::FromCivil(kTrainingBegin, absl::UTCTimeZone()) +
                       absl::Hours(24 * static_cast<int64_t>(random.Index(kTrainingStartDays)));

  options.sessions_per_week = random.Uniform(0.8, 2.4);
  options.products_per_session = random.Uniform(5, 11);
  options.drifting_share = random.Uniform(0.3, 0.8);
  return options;
}

}  // namespace palate::training
