#include "offline/demo/demo.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "offline/demo/picture.h"
#include "offline/evaluation/popularity.h"
#include "offline/import/importer.h"

namespace palate::demo {
namespace {

constexpr absl::Duration kStallLimit = absl::Minutes(2);
constexpr int kMinInformativeEvents = 5;
constexpr size_t kShownEvents = 8;

// Draws each product's picture only when the importer reads the product.
class ShopItems final : public offline::ItemReader {
 public:
  explicit ShopItems(const Shop& shop) : shop_(shop) {}
  absl::StatusOr<std::optional<offline::ItemUpload>> Next() override {
    if (next_ >= shop_.products.size()) return std::nullopt;
    const Product& product = shop_.products[next_++];
    PALATE_ASSIGN_OR_RETURN(Picture picture, DrawPicture(product));
    return offline::ItemUpload{product.item, {std::move(picture.bytes)}};
  }
  int64_t size() const override { return static_cast<int64_t>(shop_.products.size()); }

 private:
  const Shop& shop_;
  size_t next_ = 0;
};

// The train span only: the recommendations are measured against the time after it.
class ShopEvents final : public offline::EventReader {
 public:
  explicit ShopEvents(const Shop& shop) : shop_(shop) {
    end_ = std::partition_point(shop.events.begin(), shop.events.end(),
                                [&](const Event& event) { return event.time < shop.split_time; }) -
           shop.events.begin();
  }
  absl::StatusOr<std::optional<Event>> Next() override {
    if (next_ >= end_) return std::nullopt;
    return shop_.events[next_++];
  }
  int64_t size() const override { return static_cast<int64_t>(end_); }

 private:
  const Shop& shop_;
  size_t end_ = 0;
  size_t next_ = 0;
};

// A view says little about a taste.
bool IsInformative(const Event& event) { return event.type != kView; }

// The last interaction with each product, newest first. Earlier ones with the same product (a click
// before a purchase) add nothing.
std::vector<const Event*> InformativeEvents(const Shop& shop, const std::string& user_id) {
  std::vector<const Event*> events;
  absl::flat_hash_set<std::string> met;
  for (auto event = shop.events.rbegin(); event != shop.events.rend(); ++event) {
    if (event->user_id != user_id || event->time >= shop.split_time || !IsInformative(*event))
      continue;
    if (met.insert(event->item_id).second) events.push_back(&*event);
  }
  return events;
}

std::vector<std::string> PopularBeforeSplit(const Shop& shop) {
  std::vector<Event> before;
  for (const Event& event : shop.events) {
    if (event.time < shop.split_time) before.push_back(event);
  }
  return evaluation::PopularOrder(shop.catalog.event_types, before);
}

// What each shopper truly wants at the split and has not seen yet.
std::vector<evaluation::EvaluationCase> CasesOf(const Shop& shop, int limit) {
  std::vector<evaluation::EvaluationCase> cases;
  for (const Shopper* shopper : ShoppersToMeasure(shop)) {
    if (static_cast<int>(cases.size()) >= limit) break;
    evaluation::EvaluationCase measured{shopper->id, TrueRelevance(shop, *shopper, shop.split_time),
                                        SeenBefore(shop, *shopper, shop.split_time)};
    for (const std::string& id : measured.seen) measured.relevance.erase(id);
    if (!measured.relevance.empty()) cases.push_back(std::move(measured));
  }
  return cases;
}

absl::Status Load(offline::Client& client, const DemoOptions& options, const Shop& shop,
                  offline::Reporter& reporter) {
  offline::ImportOptions import;
  import.catalog = options.catalog;
  import.source_name = "demo";
  import.call_timeout = options.call_timeout;
  offline::Importer importer(client, import);

  Catalog wanted = shop.catalog;
  wanted.id = options.catalog;
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog, importer.EnsureCatalog(wanted));

  offline::ImportOutcome outcome;
  ShopItems items(shop);
  PALATE_RETURN_IF_ERROR(
      importer.SendItems(items, catalog, outcome, reporter.Step("products with pictures")));
  ShopEvents events(shop);
  PALATE_RETURN_IF_ERROR(
      importer.SendEvents("events", events, outcome, reporter.Step("shopper events")));

  if (outcome.refused_count() > 0)
    return absl::InternalError(absl::StrCat("refused: ", outcome.refused.front()));
  return importer.WaitUntilSearchable(kStallLimit, reporter.Step("embedding pictures and text"));
}

absl::StatusOr<ShownShopper> Show(offline::Client& client, const DemoOptions& options,
                                  const Shop& shop, const Shopper& shopper) {
  ShownShopper shown;
  shown.shopper = &shopper;
  shown.recent = InformativeEvents(shop, shopper.id);
  if (shown.recent.size() > kShownEvents) shown.recent.resize(kShownEvents);

  pipeline::RecommendQuery query;
  query.catalog = options.catalog;
  query.scenario = "demo";
  query.user_id = shopper.id;
  query.num_results = options.num_results;
  query.explain = pipeline::ExplainMode::kLlm;
  query.request_time = shop.split_time;

  PALATE_ASSIGN_OR_RETURN(shown.answer, client.Recommend(query, options.call_timeout));
  return shown;
}

void AppendShopper(const ShownShopper& shown,
                   const absl::flat_hash_map<std::string, const Product*>& products,
                   std::string& text) {
  absl::StrAppend(&text, "\n", shown.shopper->id, "\n");

  for (const Event* event : shown.recent) {
    const auto product = products.find(event->item_id);
    absl::StrAppendFormat(&text, "  %-9s %s\n", event->type,
                          product == products.end() ? event->item_id : product->second->item.title);
  }

  absl::StrAppend(&text, "  is recommended\n");
  int place = 0;
  for (const pipeline::ResultItem& result : shown.answer.result.results) {
    absl::StrAppendFormat(&text, "  %2d. %s\n", ++place, result.item.title);
    if (!result.explanation.has_value()) continue;
    const bool by_model = result.explanation->source == ranking::ExplanationSource::kLlm;
    absl::StrAppendFormat(&text, "      %s [%s]\n", result.explanation->text,
                          by_model ? "language model" : "template");
  }
}

}  // namespace

std::vector<const Shopper*> ShoppersToMeasure(const Shop& shop) {
  absl::flat_hash_map<std::string, int> informative;
  for (const Event& event : shop.events) {
    if (event.time < shop.split_time && IsInformative(event)) ++informative[event.user_id];
  }

  std::vector<const Shopper*> shoppers;
  for (const Shopper& shopper : shop.shoppers) {
    if (informative[shopper.id] >= kMinInformativeEvents &&
        !HeldOutInteractions(shop, shopper).empty())
      shoppers.push_back(&shopper);
  }
  return shoppers;
}

absl::StatusOr<std::unique_ptr<DemoOutcome>> RunDemo(offline::Client& client,
                                                     const DemoOptions& options,
                                                     offline::Reporter& reporter) {
  const absl::Time begin = absl::Now();
  auto outcome = std::make_unique<DemoOutcome>();
  PALATE_ASSIGN_OR_RETURN(outcome->shop, GenerateShop(options.shop));
  const Shop& shop = outcome->shop;
  reporter.Say(absl::StrFormat("a shop of %d products and %d shoppers (seed %d)",
                               shop.products.size(), shop.shoppers.size(), options.shop.seed));
  PALATE_RETURN_IF_ERROR(Load(client, options, shop, reporter));

  const std::vector<const Shopper*> shoppers = ShoppersToMeasure(shop);
  const auto on_progress = reporter.Step("recommending and explaining");
  const size_t count = std::min<size_t>(shoppers.size(), options.shown_shoppers);
  for (size_t i = 0; i < count; ++i) {
    PALATE_ASSIGN_OR_RETURN(ShownShopper shown, Show(client, options, shop, *shoppers[i]));
    if (i == 0) outcome->time_to_first_answer = absl::Now() - begin;
    for (const pipeline::ResultItem& result : shown.answer.result.results) {
      ++outcome->explanations;
      outcome->explanations_by_model +=
          result.explanation.has_value() &&
          result.explanation->source == ranking::ExplanationSource::kLlm;
    }
    outcome->shoppers.push_back(std::move(shown));
    on_progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(count));
  }

  evaluation::ServedOptions served;
  served.catalog = options.catalog;
  served.request_time = shop.split_time;
  served.call_timeout = options.call_timeout;
  PALATE_ASSIGN_OR_RETURN(
      outcome->quality,
      evaluation::EvaluateServed(client, CasesOf(shop, options.evaluated_shoppers),
                                 PopularBeforeSplit(shop), served,
                                 reporter.Step("measuring against the hidden tastes")));
  return outcome;
}

std::string DescribeOutcome(const DemoOutcome& outcome) {
  absl::flat_hash_map<std::string, const Product*> products;
  for (const Product& product : outcome.shop.products) products[product.item.id] = &product;

  std::string text;
  for (const ShownShopper& shown : outcome.shoppers) AppendShopper(shown, products, text);

  absl::StrAppend(
      &text,
      "\nMeasured against the shoppers' hidden tastes, over products that they have not "
      "seen:\n",
      evaluation::FormatQuality(outcome.quality, 10));
  absl::StrAppendFormat(&text,
                        "%d of the %d explanations above were written by the language model\n",
                        outcome.explanations_by_model, outcome.explanations);
  absl::StrAppendFormat(&text, "first recommendations %.1f s after the demo started\n",
                        absl::ToDoubleSeconds(outcome.time_to_first_answer));
  return text;
}

}  // namespace palate::demo
