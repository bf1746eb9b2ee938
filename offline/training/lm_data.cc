#include "offline/training/lm_data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/demo/random.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/preferences.h"
#include "ranking/reasons.h"

namespace palate::training {
namespace {

constexpr uint64_t kExamplesPerShop = 64;
constexpr uint64_t kShopsAtOnce = 12;
// Slope and center, in units of utility, of the logistic curve from unwanted to wanted. The center
// is slightly below the lowest relevance grade (1.6).
constexpr double kTargetSlope = 2.0;
constexpr double kTargetCenter = 1.4;

// The summed weights of the item's values in the summary; approximates retrieval by content.
double MatchOf(const ranking::PreferenceSummary& summary, const Attributes& attributes) {
  const std::vector<ranking::AttributeWord> words = ranking::WordsOf(attributes);

  double match = 0;
  for (const auto* side : {&summary.likes, &summary.dislikes}) {
    for (const ranking::Preference& p : *side) {
      if (std::find(words.begin(), words.end(), ranking::AttributeWord{p.attribute, p.value}) !=
          words.end())
        match += p.weight;
    }
  }
  return match;
}

}  // namespace

float LmData::TargetOf(double utility) {
  return static_cast<float>(1 / (1 + std::exp(-kTargetSlope * (utility - kTargetCenter))));
}

LmData::LmData(std::unique_ptr<const ranking::PromptEncoder> encoder, const LmDataOptions& options)
    : encoder_(std::move(encoder)), options_(options), worlds_(kShopsAtOnce) {}

absl::StatusOr<const LmData::World*> LmData::WorldOf(uint64_t example) {
  const uint64_t slot = example % kShopsAtOnce;
  const uint64_t number = example / (kShopsAtOnce * kExamplesPerShop) * kShopsAtOnce + slot;
  std::optional<World>& kept = worlds_[slot];
  if (kept.has_value() && kept->number == number) return &*kept;
  kept.reset();

  World world;
  world.number = number;
  const demo::ShopOptions shop_options = ShopOf(options_.split, options_.seed, number);
  PALATE_ASSIGN_OR_RETURN(demo::Shop shop, demo::GenerateShop(shop_options));
  world.shop = std::make_unique<const demo::Shop>(std::move(shop));
  world.histories = std::make_unique<ShopHistories>(*world.shop);

  demo::Random random = demo::Random::ForPart(shop_options.seed, "look");
  if (random.Chance(options_.shuffled_share))
    world.shuffle = AttributeShuffle(*world.shop, shop_options.seed);

  kept = std::move(world);
  return &*kept;
}

uint64_t LmData::SeedOf(const World& world, uint64_t example, uint64_t variant) {
  return demo::Random::ForPart(world.shop->options.seed, "example", example * 4096 + variant)
      .Next();
}

LmData::Moment LmData::DrawMoment(const World& world, uint64_t seed) {
  demo::Random random = demo::Random::ForPart(seed, "moment");
  Moment moment;

  // Prefers a shopper with at least three events, because an empty history teaches nothing.
  for (int tries = 0; tries < 20 && moment.history.size() < 3; ++tries) {
    moment.shopper = random.Index(world.shop->shoppers.size());
    moment.time =
        world.shop->options.start_time + world.shop->options.train_span * random.Uniform(0.15, 1.0);
    moment.history = world.histories->Before(moment.shopper, moment.time, world.shuffle);
  }
  return moment;
}

std::vector<size_t> LmData::DrawCandidates(const World& world, const Moment& moment,
                                           const ranking::PreferenceSummary& summary,
                                           uint64_t seed) const {
  demo::Random random = demo::Random::ForPart(seed, "candidates");

  absl::flat_hash_set<std::string> seen;
  for (const Event* event : world.histories->EventsOf(moment.shopper)) {
    if (event->time < moment.time && world.histories->MarksSeen(event->type))
      seen.insert(event->item_id);
  }

  std::vector<size_t> pool;
  for (size_t i = 0; i < world.shop->products.size(); ++i) {
    const Item& item = world.shop->products[i].item;
    if (item.create_time <= moment.time && !seen.contains(item.id)) pool.push_back(i);
  }
  random.Shuffle(pool);

  // Two thirds are candidates that retrieval would find, because the ranker mostly has to order
  // good candidates. The rest is random.
  const size_t wanted = std::min(pool.size(), static_cast<size_t>(options_.candidates));
  const size_t matching = wanted * 2 / 3;

  std::vector<std::pair<double, size_t>> matches;
  for (const size_t i : pool) {
    const double noise = 0.15 * random.Normal();
    matches.emplace_back(
        -MatchOf(summary, world.shuffle.Facts(world.shop->products[i]).attributes) + noise, i);
  }
  std::stable_sort(matches.begin(), matches.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });

  std::vector<size_t> candidates;
  for (size_t i = 0; i < matching; ++i) candidates.push_back(matches[i].second);
  for (const size_t i : pool) {
    if (candidates.size() >= wanted) break;
    if (std::find(candidates.begin(), candidates.end(), i) == candidates.end())
      candidates.push_back(i);
  }

  return candidates;
}

absl::StatusOr<RankExample> LmData::Rank(uint64_t number) {
  PALATE_ASSIGN_OR_RETURN(const World* world, WorldOf(number));
  const uint64_t seed = SeedOf(*world, number, 0);

  Moment moment = DrawMoment(*world, seed);
  const ranking::PreferenceSummary summary = ranking::Summarize(moment.history);
  ranking::RankInput input;
  input.history = std::move(moment.history);
  const demo::Shopper& shopper = world->shop->shoppers[moment.shopper];

  RankExample example;
  for (const size_t i : DrawCandidates(*world, moment, summary, seed)) {
    const demo::Product& product = world->shop->products[i];
    input.candidates.push_back(world->shuffle.Facts(product));
    const double utility = demo::Utility(shopper, product, moment.time);
    example.utilities.push_back(static_cast<float>(utility));
    example.targets.push_back(TargetOf(utility));
  }

  ranking::PromptOptions prompt_options = options_.prompt;
  if (options_.vary_history) {
    // Short histories are common in production, and much faster to train on.
    demo::Random random = demo::Random::ForPart(seed, "history length");
    const double share = random.Uniform();
    prompt_options.max_history =
        static_cast<int>(share * share * (options_.prompt.max_history + 1));
  }

  const ranking::RankPrompt prompt =
      ranking::BuildRankPrompt(input, summary, prompt_options, encoder_->Counter());
  PALATE_ASSIGN_OR_RETURN(example.prefix, encoder_->Encode(prompt.prefix));

  size_t next = 0;
  for (size_t i = 0; i < example.prefix.size(); ++i) {
    if (example.prefix[i] != encoder_->Id(ranking::SpecialToken::kLabel)) continue;
    const ranking::SpecialToken label = prompt.history_labels[next++];
    if (label != ranking::SpecialToken::kSeen) {
      example.history_targets.emplace_back(i, label == ranking::SpecialToken::kYes ? 1.0f : 0.0f);
    }
  }

  for (const std::vector<ranking::Segment>& line : prompt.candidates) {
    PALATE_ASSIGN_OR_RETURN(std::vector<int64_t> ids, encoder_->Encode(line));
    example.candidates.push_back(std::move(ids));
  }
  return example;
}

absl::StatusOr<ExplainExample> LmData::Explain(uint64_t number, uint64_t variant) {
  PALATE_ASSIGN_OR_RETURN(const World* world, WorldOf(number));

  const uint64_t seed = SeedOf(*world, number, variant + 1);
  Moment moment = DrawMoment(*world, seed);
  demo::Random random = demo::Random::ForPart(seed, "explanation");

  ranking::ExplainInput input;
  input.history = std::move(moment.history);
  const ranking::PreferenceSummary summary = ranking::Summarize(input.history);

  // For a user without history, the text must be about the item alone.
  if (random.Chance(0.1)) input.history.clear();
  const std::vector<size_t> candidates = DrawCandidates(*world, moment, summary, seed);
  if (candidates.empty())
    return absl::InternalError("the generated shop has no product to explain");

  input.item = world->shuffle.Facts(world->shop->products[random.Pick(candidates)]);

  const std::pair<const char*, double> sources[] = {{ranking::kContentReason, 0.8},
                                                    {ranking::kTrendingReason, 0.3},
                                                    {ranking::kFreshReason, 0.2},
                                                    {ranking::kQueryReason, 0.1},
                                                    {ranking::kContextReason, 0.1}};
  for (const auto& [source, chance] : sources) {
    if (random.Chance(chance)) input.reasons.push_back(source);
  }
  // The text says what these sources stand for.
  input.popularity = ranking::kManyPopularity;
  input.age = absl::ZeroDuration();

  const ranking::ExplanationPlan plan =
      ranking::MakePlan(input, input.history.empty() ? ranking::PreferenceSummary() : summary);

  ExplainExample example;
  PALATE_ASSIGN_OR_RETURN(example.ids, encoder_->Encode(ranking::BuildExplainPrompt(plan)));
  example.prompt_size = example.ids.size();

  PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> text,
                          encoder_->Encode(ranking::WriteExplanation(plan, random.Next())));
  example.ids.insert(example.ids.end(), text.begin(), text.end());

  example.ids.push_back(encoder_->Id(ranking::SpecialToken::kEnd));
  return example;
}

}  // namespace palate::training
