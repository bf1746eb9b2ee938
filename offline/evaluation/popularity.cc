#include "offline/evaluation/popularity.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace palate::evaluation {

std::vector<std::string> PopularOrder(const std::vector<EventTypeDeclaration>& event_types,
                                      const std::vector<Event>& events) {
  absl::flat_hash_set<std::string> positive;
  for (const EventTypeDeclaration& type : event_types) {
    if (type.weight > 0) positive.insert(type.name);
  }

  absl::flat_hash_set<std::pair<std::string, std::string>> counted;
  absl::flat_hash_map<std::string, int64_t> users;
  for (const Event& event : events) {
    if (positive.contains(event.type) && counted.emplace(event.user_id, event.item_id).second)
      ++users[event.item_id];
  }

  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [id, count] : users) sorted.emplace_back(-count, id);
  std::sort(sorted.begin(), sorted.end());

  std::vector<std::string> order;
  for (auto& [negated, id] : sorted) order.push_back(std::move(id));
  return order;
}

}  // namespace palate::evaluation
