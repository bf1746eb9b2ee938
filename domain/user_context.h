// The data of a user and a catalog for one request: the query that the pipeline sends to the
// feature store, and the response.
//
// Usage:
//   const UserContextQuery query = {.catalog = "shop", .user_id = "u1", .spaces = {"text"}};
//   PALATE_ASSIGN_OR_RETURN(const UserContext context, read_context(query));
//   double total_weight = 0;
//   for (const ContextEvent& event : context.events) {
//     if (context.ItemOf(event) != nullptr) total_weight += event.weight;
//   }
//
// Plain values: copyable, no synchronization. The feature store and the pipeline both use these
// types; services/convert converts between them and the messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/item_number_set.h"
#include "domain/user.h"

namespace palate {

struct UserContextQuery {
  std::string catalog = {};
  std::string user_id = {};  // empty: only the catalog, trending and fresh items are returned
  int max_events = 200;      // newest first
  // What was known then: later events are not read and do not make an item seen. Expire times are
  // compared with it. Infinite means now, without a bound on the events.
  absl::Time request_time = absl::InfiniteFuture();
  std::vector<std::string> spaces =
      {};  // the events' items have vectors of these spaces, of the active fingerprint
  int num_trending = 0;
  int num_fresh = 0;
  bool omit_seen = false;  // leaves `seen` empty
};

struct ContextEvent {
  Event event;
  // Signed strength, EventWeight of domain/rating.h: for ratings negative below the baseline of the
  // user's ratings; 0 for a type that is no longer declared.
  double weight = 0;
  // Index into UserContext::items; -1 if the item is not in the catalog.
  int item_index = -1;
};

// The models that fill one space of a catalog.
struct SpaceModels {
  std::string name;
  std::string active_fingerprint;  // of the model whose vectors searches use
  std::string target_fingerprint;  // of the model that the space changes to; else the active one
  bool IsChanging() const { return active_fingerprint != target_fingerprint; }
  bool operator==(const SpaceModels&) const = default;
};

// The response to a UserContextQuery. An unknown user has no events.
struct UserContext {
  Catalog catalog;
  std::vector<SpaceModels> spaces;  // by name; those that a model has filled
  int64_t num_items = 0;
  int64_t num_waiting_items = 0;       // without vectors of the spaces' targets yet
  std::optional<User> user;            // the profile; absent when none was written
  std::vector<ContextEvent> events;    // newest first
  bool has_more_events = false;        // whether max_events cut off older ones
  std::vector<ItemWithVectors> items;  // of these events, each once
  ItemNumberSet seen;                  // every item that the user has seen
  // Best first, ties by id; the score decays with the age relative to the catalog's newest event.
  // Without hidden and expired items.
  std::vector<ScoredItem> trending;
  // Newest create_time first, which is the score, in Unix seconds. Without hidden and expired
  // items.
  std::vector<ScoredItem> fresh;

  // The item of one of `events`; null if it is not in the catalog.
  const ItemWithVectors* ItemOf(const ContextEvent& event) const {
    return event.item_index < 0 ? nullptr : &items[static_cast<size_t>(event.item_index)];
  }
};

}  // namespace palate
