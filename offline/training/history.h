// The events of a generated shop in the form that the ranker gets, as the pipeline's hydrate stage
// makes it from the feature store's user context.
//
// Immutable after construction; thread-safe. Borrows the shop, which must outlive it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "offline/demo/shop.h"
#include "offline/training/attribute_shuffle.h"
#include "ranking/ranking_types.h"

namespace palate::training {

// The default of UserContextQuery::max_events.
inline constexpr int kMaxHistoryEvents = 200;

class ShopHistories {
 public:
  explicit ShopHistories(const demo::Shop& shop);

  // The events before `time` of shop.shoppers[shopper], newest first, at most kMaxHistoryEvents.
  std::vector<ranking::HistoryEntry> Before(size_t shopper, absl::Time time,
                                            const AttributeShuffle& shuffle) const;
  // The shopper's events, oldest first.
  const std::vector<const Event*>& EventsOf(size_t shopper) const { return events_[shopper]; }
  // Index into shop.products.
  size_t ProductOf(const std::string& item_id) const { return product_of_.at(item_id); }
  // Whether an event of the type keeps the item out of later recommendations.
  bool MarksSeen(const std::string& event_type) const { return types_.at(event_type).marks_seen; }
  const demo::Shop& shop() const { return shop_; }

 private:
  const demo::Shop& shop_;
  std::vector<std::vector<const Event*>> events_;
  absl::flat_hash_map<std::string, size_t> product_of_;
  absl::flat_hash_map<std::string, EventTypeDeclaration> types_;
};

}  // namespace palate::training
