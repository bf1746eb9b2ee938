// Training examples of the language model: rank prompts with targets at their label slots, and
// explanations to write.
//
// An example depends only on the options and its number. Examples come from generated shops, some
// of them with shuffled attributes (attribute_shuffle.h). Consecutive numbers are examples of
// different shops, which varies a batch. Not thread-safe, because an object caches the shops in
// use.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "offline/training/history.h"
#include "offline/training/splits.h"
#include "ranking/engine/prompt_encoder.h"
#include "ranking/preferences.h"
#include "ranking/prompt.h"

namespace palate::training {

struct RankExample {
  std::vector<int64_t> prefix;
  // Index of a <|label|> in the prefix, and 1 for yes or 0 for no. Has no <|seen|> labels.
  std::vector<std::pair<size_t, float>> history_targets;
  std::vector<std::vector<int64_t>> candidates;  // each ends in <|label|>
  std::vector<float> targets;    // per candidate: probability that the shopper wants it
  std::vector<float> utilities;  // per candidate: the true utility behind the target
};

struct ExplainExample {
  std::vector<int64_t> ids;  // prompt, then the text, then <|end|>
  size_t prompt_size = 0;
};

struct LmDataOptions {
  Split split = Split::kTraining;
  uint64_t seed = 1;
  int candidates = 16;          // per rank example
  double shuffled_share = 0.5;  // of shops
  // Prompts show 0 to prompt.max_history events, small numbers more often than large ones.
  bool vary_history = true;
  ranking::PromptOptions prompt;
};

class LmData {
 public:
  LmData(std::unique_ptr<const ranking::PromptEncoder> encoder, const LmDataOptions& options);

  absl::StatusOr<RankExample> Rank(uint64_t number);
  // An explanation from the same shop as rank example `number`. Each `variant` gives another one.
  // Variants run from 0 to 4094.
  absl::StatusOr<ExplainExample> Explain(uint64_t number, uint64_t variant);
  const ranking::PromptEncoder& encoder() const { return *encoder_; }

  // The target of a candidate's label, a probability. It is 0.5 at a utility of 1.4, slightly below
  // the lowest relevance grade.
  static float TargetOf(double utility);

 private:
  // A shop and what its examples share.
  struct World {
    uint64_t number = 0;
    std::unique_ptr<const demo::Shop> shop;
    std::unique_ptr<ShopHistories> histories;
    AttributeShuffle shuffle;
  };
  // A shopper at a moment.
  struct Moment {
    size_t shopper = 0;
    absl::Time time;
    std::vector<ranking::HistoryEntry> history;
  };

  absl::StatusOr<const World*> WorldOf(uint64_t example);
  static uint64_t SeedOf(const World& world, uint64_t example, uint64_t variant);
  static Moment DrawMoment(const World& world, uint64_t seed);
  std::vector<size_t> DrawCandidates(const World& world, const Moment& moment,
                                     const ranking::PreferenceSummary& summary,
                                     uint64_t seed) const;

  std::unique_ptr<const ranking::PromptEncoder> encoder_;
  const LmDataOptions options_;
  std::vector<std::optional<World>> worlds_;  // by example number modulo their count
};

}  // namespace palate::training
