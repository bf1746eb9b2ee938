// Items with random unit vectors for the tests of retrieval, and a naive search to compare results
// with.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "retrieval/index.h"

namespace palate::retrieval {

inline const SpaceKey kText{.name = "text", .fingerprint = "model-1"};
inline const SpaceKey kTextNext{.name = "text", .fingerprint = "model-2"};
inline const SpaceKey kImage{.name = "image", .fingerprint = "model-1"};

inline CatalogConfig TestConfig() {
  CatalogConfig config;
  config.id = "movies";
  config.attributes = {{"genres", AttributeType::kStringList, true},
                       {"year", AttributeType::kInt64, true}};
  config.spaces = {"text", "image", "fused"};
  return config;
}

inline std::vector<float> RandomUnitVector(std::mt19937& random, int dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimensions);
  double norm = 0;
  for (float& value : vector) {
    value = normal(random);
    norm += static_cast<double>(value) * value;
  }

  for (float& value : vector) value = static_cast<float>(value / std::sqrt(norm));
  return vector;
}

inline ItemUpdate TestItem(std::mt19937& random, int number, int dimensions = 16,
                           int64_t revision = 1) {
  ItemUpdate item;
  item.item_id = absl::StrFormat("item-%06d", number);
  item.revision = revision;
  item.number = static_cast<uint32_t>(number) + 1;
  item.attributes["year"] = int64_t{number};
  item.attributes["genres"] = std::vector<std::string>{number % 2 == 0 ? "even" : "odd"};
  item.vectors.push_back({.space = kText, .values = RandomUnitVector(random, dimensions)});
  return item;
}

inline std::vector<ItemUpdate> TestItems(std::mt19937& random, int count, int dimensions = 16) {
  std::vector<ItemUpdate> items;
  for (int i = 0; i < count; ++i) items.push_back(TestItem(random, i, dimensions));
  return items;
}

// The ids that a search should find, best first, ties by id.
inline std::vector<std::string> NaiveSearch(const std::vector<ItemUpdate>& items,
                                            const std::vector<float>& query, size_t k,
                                            const std::function<bool(const ItemUpdate&)>& allowed) {
  std::vector<std::pair<double, std::string>> scored;
  for (const ItemUpdate& item : items) {
    if (!allowed(item)) continue;
    double score = 0;
    for (size_t d = 0; d < query.size(); ++d)
      score += static_cast<double>(query[d]) * item.vectors.front().values[d];
    scored.emplace_back(-score, item.item_id);
  }

  std::sort(scored.begin(), scored.end());
  std::vector<std::string> ids;
  for (size_t i = 0; i < std::min(k, scored.size()); ++i) ids.push_back(scored[i].second);
  return ids;
}

inline std::vector<std::string> IdsOf(const std::vector<SearchHit>& hits) {
  std::vector<std::string> ids;
  for (const SearchHit& hit : hits) ids.push_back(hit.item_id);
  return ids;
}

inline SearchRequest RequestFor(std::vector<float> query, int k) {
  SearchRequest request;
  request.queries.push_back({.vector = {.space = kText, .values = std::move(query)}, .k = k});
  return request;
}

// The result of the first query, or the error of the request.
inline SearchResult FirstResult(const absl::StatusOr<SearchResponse>& response) {
  if (!response.ok()) return response.status();
  return response->results.front();
}

inline std::shared_ptr<const Filter> ParsedFilter(const CatalogIndex& index,
                                                  const std::string& text) {
  const absl::StatusOr<Filter> filter = index.ParseFilter(text);
  EXPECT_TRUE(filter.ok()) << filter.status();
  return std::make_shared<const Filter>(filter.ok() ? *filter : Filter());
}

// Merges until there is nothing left to merge.
inline absl::Status MaintainFully(CatalogIndex& index) {
  while (true) {
    const absl::StatusOr<bool> more = index.Maintain();
    if (!more.ok() || !*more) return more.status();
  }
}

}  // namespace palate::retrieval
