// What one request needs to know of a user: the query that the pipeline sends to the feature store,
// and the answer.
//
//   UserContextQuery query{.catalog = "shop", .user_id = "u1", .max_events = 100, .spaces =
//   {"text"}};
//   ... the feature store answers with a UserContext `context` ...
//   for (const ContextEvent& event : context.events) {
//     if (const ItemWithVectors* item = context.ItemOf(event)) Use(*item, event.weight);
//   }
//
// Plain values: copyable, no thread safety of their own. The feature store and the pipeline use
// these types as they are; services/convert has the pair of functions between them and the
// messages.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/user.h"

namespace palate {

struct UserContextQuery {
  std::string catalog = {};
  std::string user_id =
      {};  // empty for an anonymous visitor: only the catalog, trending and fresh are answered
  int max_events = 200;  // newest first
  // Later events are not read, and expiry is judged by it. Infinite means now.
  absl::Time request_time = absl::InfiniteFuture();
  std::vector<std::string> spaces =
      {};  // names; vectors of the events' items in these spaces, in the active fingerprint
  int num_trending = 0;
  int num_fresh = 0;
};

struct ContextEvent {
  Event event;
  // Signed strength: the type's weight; for ratings weight * (value - user's mean), so below the
  // mean is negative and a user who rates everything alike has weights of 0; 0 for a type that is
  // no longer declared.
  double weight = 0;
  // Into UserContext::items; -1 when the item is not in the catalog.
  int item_index = -1;
};

// All that one request needs of a user, and of the catalog's lists. An unknown user has no events.
struct UserContext {
  Catalog catalog;
  std::optional<User> user;            // the profile; absent when none was written
  std::vector<ContextEvent> events;    // newest first
  bool has_more_events = false;        // whether max_events cut off older ones
  std::vector<ItemWithVectors> items;  // of those events, each once
  std::vector<std::string> seen_item_ids;
  std::vector<ScoredItem> trending;  // best first, ties by id: time-decayed from the catalog's
                                     // newest event; neither hidden nor expired
  std::vector<ScoredItem> fresh;  // newest create_time first (the score, in Unix seconds); likewise

  // The item of one of `events`; null when it is not in the catalog.
  const ItemWithVectors* ItemOf(const ContextEvent& event) const {
    return event.item_index < 0 ? nullptr : &items[static_cast<size_t>(event.item_index)];
  }
};

}  // namespace palate
