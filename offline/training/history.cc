#include "offline/training/history.h"

namespace palate::training {

ShopHistories::ShopHistories(const demo::Shop& shop) : shop_(shop), events_(shop.shoppers.size()) {
  absl::flat_hash_map<std::string, size_t> shopper_of;
  for (size_t i = 0; i < shop.shoppers.size(); ++i) shopper_of[shop.shoppers[i].id] = i;
  for (size_t i = 0; i < shop.products.size(); ++i) product_of_[shop.products[i].item.id] = i;
  for (const EventTypeDeclaration& type : shop.catalog.event_types) types_[type.name] = type;
  for (const Event& event : shop.events) events_[shopper_of.at(event.user_id)].push_back(&event);
}

std::vector<ranking::HistoryEntry> ShopHistories::Before(size_t shopper, absl::Time time,
                                                         const AttributeShuffle& shuffle) const {
  std::vector<ranking::HistoryEntry> history;
  const std::vector<const Event*>& events = events_[shopper];

  for (size_t i = events.size(); i > 0 && history.size() < kMaxHistoryEvents; --i) {
    const Event& event = *events[i - 1];
    if (event.time >= time) continue;
    history.push_back(shuffle.Entry(shop_.products[ProductOf(event.item_id)], event,
                                    types_.at(event.type).weight));
  }
  return history;
}

}  // namespace palate::training
