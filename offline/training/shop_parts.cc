#include "offline/training/shop_parts.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "domain/vector.h"
#include "pipeline/recommend_stages.h"
#include "pipeline/user_model.h"

namespace palate::training {
namespace {

// The half-life of the feature store's trending list.
constexpr absl::Duration kTrendingHalfLife = absl::Hours(7 * 24);
constexpr char kFingerprint[] = "measured";

void KeepBest(std::vector<ScoredItem>& items, size_t num) {
  std::sort(items.begin(), items.end(), [](const ScoredItem& a, const ScoredItem& b) {
    return a.score != b.score ? a.score > b.score : a.item_id < b.item_id;
  });
  if (items.size() > num) items.resize(num);
}

// As the feature store numbers items: from 1 on.
uint32_t NumberOf(size_t product) { return static_cast<uint32_t>(product) + 1; }

}  // namespace

ShopFeatures::ShopFeatures(const demo::Shop& shop, const ShopVectors& vectors)
    : shop_(shop), vectors_(vectors), histories_(shop), catalog_(shop.catalog) {
  for (size_t i = 0; i < shop.shoppers.size(); ++i) shopper_of_[shop.shoppers[i].id] = i;
  for (const EventTypeDeclaration& type : shop.catalog.event_types)
    weight_of_[type.name] = type.weight;
}

ItemWithVectors ShopFeatures::RecordOf(size_t product,
                                       const std::vector<std::string>& spaces) const {
  ItemWithVectors record{shop_.products[product].item, {}};
  record.item.number = NumberOf(product);
  for (const std::string& space : spaces) {
    if (space == kTextSpace)
      record.vectors.push_back({{space, kFingerprint}, vectors_.text[product]});
    if (space == kImageSpace)
      record.vectors.push_back({{space, kFingerprint}, vectors_.image[product]});
  }
  return record;
}

absl::StatusOr<UserContext> ShopFeatures::GetUserContext(UserContextQuery query,
                                                         const CallContext&) {
  UserContext context;
  context.catalog = catalog_;
  context.trending = Trending(query.request_time, static_cast<size_t>(query.num_trending));
  context.fresh = Fresh(query.request_time, static_cast<size_t>(query.num_fresh));
  const auto shopper = shopper_of_.find(query.user_id);
  if (shopper == shopper_of_.end()) return context;

  absl::flat_hash_map<size_t, int> index_of;  // by product, into context.items
  const std::vector<const Event*>& events = histories_.EventsOf(shopper->second);
  for (size_t i = events.size(); i > 0; --i) {
    const Event& event = *events[i - 1];
    if (event.time >= query.request_time) continue;
    if (histories_.MarksSeen(event.type))
      context.seen.Add(NumberOf(histories_.ProductOf(event.item_id)));
    if (static_cast<int>(context.events.size()) >= query.max_events) {
      context.has_more_events = true;
      continue;
    }
    const size_t product = histories_.ProductOf(event.item_id);
    const auto [index, added] = index_of.emplace(product, static_cast<int>(context.items.size()));
    if (added) context.items.push_back(RecordOf(product, query.spaces));
    context.events.push_back({event, weight_of_.at(event.type), index->second});
  }
  return context;
}

absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> ShopFeatures::GetItems(
    const std::string&, const std::vector<std::string>& item_ids,
    const pipeline::ItemVectors& vectors, const CallContext&) {
  std::vector<std::optional<ItemWithVectors>> records;
  for (const std::string& id : item_ids)
    records.push_back(RecordOf(histories_.ProductOf(id), vectors.spaces));
  return records;
}

absl::Status ShopFeatures::WriteImpression(const std::string&, const Impression&,
                                           const CallContext&) {
  return absl::OkStatus();
}

std::vector<ScoredItem> ShopFeatures::Trending(absl::Time time, size_t num) const {
  absl::flat_hash_map<std::string, double> scores;
  absl::Time newest = absl::InfinitePast();

  for (const Event& event : shop_.events) {
    if (event.time < time) newest = std::max(newest, event.time);
  }

  for (const Event& event : shop_.events) {
    if (event.time >= time) continue;
    scores[event.item_id] += weight_of_.at(event.type) *
                             std::exp2(-absl::FDivDuration(newest - event.time, kTrendingHalfLife));
  }

  std::vector<ScoredItem> trending;
  for (const auto& [id, score] : scores) {
    if (score > 0) trending.push_back({id, score});
  }
  KeepBest(trending, num);
  return trending;
}

std::vector<ScoredItem> ShopFeatures::Fresh(absl::Time time, size_t num) const {
  std::vector<ScoredItem> fresh;
  for (const demo::Product& product : shop_.products) {
    if (product.item.create_time > time) continue;
    fresh.push_back(
        {product.item.id, static_cast<double>(absl::ToUnixSeconds(*product.item.create_time))});
  }
  KeepBest(fresh, num);
  return fresh;
}

std::vector<ScoredItem> ShopRetriever::SearchOne(const VectorQuery& query,
                                                 const absl::flat_hash_set<std::string>& excluded,
                                                 const ItemNumberSet& excluded_numbers,
                                                 absl::Time time) const {
  const bool images = query.vector.space.name == kImageSpace;
  const std::vector<std::vector<float>>& vectors = images ? vectors_.image : vectors_.text;

  std::vector<ScoredItem> hits;
  for (size_t i = 0; i < shop_.products.size(); ++i) {
    const Item& item = shop_.products[i].item;
    if (excluded.contains(item.id) || excluded_numbers.Contains(NumberOf(i)) ||
        item.create_time > time)
      continue;
    hits.push_back({item.id, Dot(vectors[i], query.vector.values)});
  }
  KeepBest(hits, static_cast<size_t>(query.k));
  return hits;
}

absl::StatusOr<std::vector<pipeline::RetrievalResult>> ShopRetriever::Search(
    const pipeline::RetrievalRequest& request, const CallContext&) {
  absl::flat_hash_set<std::string> excluded(request.exclude_item_ids.begin(),
                                            request.exclude_item_ids.end());
  std::vector<pipeline::RetrievalResult> results;
  for (const VectorQuery& query : request.queries)
    results.push_back(
        SearchOne(query, excluded, request.exclude_item_numbers, request.request_time));
  if (request.lists.empty()) return results;

  for (size_t i = 0; i < shop_.products.size(); ++i) {
    if (request.exclude_item_numbers.Contains(NumberOf(i)))
      excluded.insert(shop_.products[i].item.id);
  }
  for (const CandidateList& list : request.lists) {
    std::vector<std::string> ids = list.item_ids;
    if (ids.empty()) {
      for (const demo::Product& product : shop_.products) {
        if (product.item.create_time <= request.request_time) ids.push_back(product.item.id);
      }
    }
    std::vector<ScoredItem> allowed;
    for (const std::string& id : ids) {
      if (static_cast<int>(allowed.size()) == list.k) break;
      if (!excluded.contains(id)) allowed.push_back({id, 0});
    }
    results.push_back(std::move(allowed));
  }
  return results;
}

absl::StatusOr<std::vector<pipeline::QueryVector>> NoEmbedder::Embed(const pipeline::EmbedQuery&,
                                                                     const CallContext&) {
  return absl::UnimplementedError("the measured requests carry no query");
}

}  // namespace palate::training
