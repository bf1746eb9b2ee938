// In-memory implementations of the pipeline's interfaces over a generated shop, so that a
// measurement can run the real pipeline without services.
//
// Retrieval is an exact search, as in the retrieval service's segments; trending and fresh items
// are counted as in the feature store. Thread-safe, except ShopFeatures::set_rerank_weight. Objects
// borrow the shop and its vectors, which must outlive them.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "offline/demo/shop.h"
#include "offline/training/history.h"
#include "pipeline/interfaces.h"

namespace palate::training {

// The vectors of the shop's products, in product order, of unit length.
struct ShopVectors {
  std::vector<std::vector<float>> text;
  std::vector<std::vector<float>> image;
};

class ShopFeatures : public pipeline::FeatureReader {
 public:
  ShopFeatures(const demo::Shop& shop, const ShopVectors& vectors);

  // Sets the share of the language model's score for later requests. Not thread-safe.
  void set_rerank_weight(double weight) { catalog_.rerank_weight = weight; }

  absl::StatusOr<UserContext> GetUserContext(UserContextQuery query,
                                             const CallContext& context) override;
  absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> GetItems(
      const std::string& catalog, const std::vector<std::string>& item_ids,
      const pipeline::ItemVectors& vectors, const CallContext& context) override;
  absl::Status WriteImpression(const std::string& catalog, const Impression& impression,
                               const CallContext& context) override;

  // Items by time-decayed event weight before `time`, best first.
  std::vector<ScoredItem> Trending(absl::Time time, size_t num) const;

 private:
  ItemWithVectors RecordOf(size_t product, const std::vector<std::string>& spaces) const;
  std::vector<ScoredItem> Fresh(absl::Time time, size_t num) const;

  const demo::Shop& shop_;
  const ShopVectors& vectors_;
  const ShopHistories histories_;
  absl::flat_hash_map<std::string, size_t> shopper_of_;
  absl::flat_hash_map<std::string, double> weight_of_;  // by event type
  Catalog catalog_;
};

class ShopRetriever : public pipeline::Retriever {
 public:
  ShopRetriever(const demo::Shop& shop, const ShopVectors& vectors)
      : shop_(shop), vectors_(vectors) {}
  absl::StatusOr<std::vector<pipeline::RetrievalResult>> Search(
      const pipeline::RetrievalRequest& request, const CallContext& context) override;

 private:
  std::vector<ScoredItem> SearchOne(const VectorQuery& query,
                                    const absl::flat_hash_set<std::string>& excluded,
                                    const ItemNumberSet& excluded_numbers, absl::Time time) const;

  const demo::Shop& shop_;
  const ShopVectors& vectors_;
};

// For requests without a query; Embed always fails.
class NoEmbedder : public pipeline::QueryEmbedder {
 public:
  absl::StatusOr<std::vector<pipeline::QueryVector>> Embed(const pipeline::EmbedQuery& query,
                                                           const CallContext& context) override;
};

}  // namespace palate::training
