#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "domain/rating.h"
#include "pipeline/recommend_stages.h"

namespace palate::pipeline {
namespace {

// The ratings of the session and the stored ones that the context has.
RatingStats RatingsOf(const RequestState& state) {
  RatingStats ratings;
  const auto add = [&](const Event& event) {
    const EventTypeDeclaration* type = FindEventType(state.context.catalog, event.type);
    if (type != nullptr && type->value_is_rating && event.value.has_value())
      ratings.Add(*event.value);
  };
  for (const ContextEvent& event : state.context.events) add(event.event);
  for (const Event& event : state.query.session_events) add(event);
  return ratings;
}

// How many items to read so that enough are left when the filter and the exclusions have been
// applied. The catalog makes up for what is not.
int ListLength(const RequestState& state, int wanted) {
  if (!state.query.filter.empty()) return kMaxContextListItems;
  const bool excludes = !state.query.user_id.empty() || !state.query.session_events.empty() ||
                        !state.query.exclude_item_ids.empty() ||
                        !state.query.context_item_ids.empty();
  return excludes ? std::min(4 * wanted, kMaxContextListItems) : wanted;
}

// The caps name attributes that the catalog declares: a misspelled one would cap nothing.
absl::Status CheckCaps(const RequestState& state) {
  for (const auto& [name, cap] : state.query.diversity.attribute_caps) {
    if (FindAttribute(state.context.catalog, name) != nullptr) continue;
    return InvalidField("diversity.attribute_caps", absl::StrCat("names ", QuoteForMessage(name)),
                        "attributes that the catalog declares");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status HydrateStage::AddSessionEvents(RequestState& state) const {
  const std::vector<Event>& events = state.query.session_events;
  if (events.empty()) return absl::OkStatus();
  UserContext& context = state.context;

  // Read the items that are not in the context yet, each once.
  std::map<std::string, int> index_of;
  for (size_t i = 0; i < context.items.size(); ++i)
    index_of[context.items[i].item.id] = static_cast<int>(i);
  std::vector<std::string> missing;
  for (const Event& event : events) {
    if (index_of.emplace(event.item_id, -1).second) missing.push_back(event.item_id);
  }
  if (!missing.empty()) {
    const ItemVectors vectors = {.spaces = {kTextSpace, kImageSpace}, .all_fingerprints = false};
    PALATE_ASSIGN_OR_RETURN(auto items,
                            features_.GetItems(state.query.catalog, missing, vectors, state.call));
    for (size_t i = 0; i < items.size(); ++i) {
      if (!items[i].has_value()) continue;
      index_of[missing[i]] = static_cast<int>(context.items.size());
      context.items.push_back(*std::move(items[i]));
    }
  }

  // Weigh the events and merge them with the stored ones.
  const double baseline = RatingsOf(state).Baseline();
  for (size_t i = 0; i < events.size(); ++i) {
    const EventTypeDeclaration* type = FindEventType(context.catalog, events[i].type);
    if (type == nullptr) {
      return InvalidField(absl::StrCat("session_events[", i, "].event_type"),
                          QuoteForMessage(events[i].type), "a declared event type");
    }
    ContextEvent event{events[i], EventWeight(type, events[i], baseline),
                       index_of[events[i].item_id]};
    // An item that is not in the catalog cannot be a candidate.
    const ItemWithVectors* item = context.ItemOf(event);
    if (type->marks_seen && item != nullptr && item->item.number != 0)
      context.seen.Add(item->item.number);
    context.events.push_back(std::move(event));
  }
  std::stable_sort(
      context.events.begin(), context.events.end(),
      [](const ContextEvent& a, const ContextEvent& b) { return a.event.time > b.event.time; });
  return absl::OkStatus();
}

absl::Status HydrateStage::AddContextItems(RequestState& state) const {
  if (state.query.context_item_ids.empty()) return absl::OkStatus();

  const ItemVectors vectors = {.spaces = {kTextSpace, kImageSpace},
                               .all_fingerprints = IsAnyChanging(state.context.spaces)};
  PALATE_ASSIGN_OR_RETURN(
      auto items,
      features_.GetItems(state.query.catalog, state.query.context_item_ids, vectors, state.call));

  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].has_value()) {
      return absl::NotFoundError(absl::StrCat("context_item_ids[", i, "]: item ",
                                              QuoteForMessage(state.query.context_item_ids[i]),
                                              " is not in catalog ", state.query.catalog));
    }
    KeepOneModel(state.context.spaces, *items[i]);
    state.context_items.push_back(*std::move(items[i]));
  }
  return absl::OkStatus();
}

absl::Status HydrateStage::Run(RequestState& state) const {
  UserContextQuery query;
  query.catalog = state.query.catalog;
  query.user_id = state.query.user_id;
  query.max_events = options_.max_events;
  // Not the gateway's clock: an event of a client whose clock is ahead counts at once.
  query.request_time = state.query.request_time;
  query.spaces = {kTextSpace, kImageSpace};
  query.omit_seen = state.query.include_seen;
  if (state.wants_lists) {
    query.num_trending = ListLength(state, NumTrending(state, options_));
    query.num_fresh = ListLength(state, NumFresh(state, options_));
  }
  PALATE_ASSIGN_OR_RETURN(state.context, features_.GetUserContext(std::move(query), state.call));
  PALATE_RETURN_IF_ERROR(CheckCaps(state));

  if (!state.query.filter.empty()) {
    PALATE_ASSIGN_OR_RETURN(
        retrieval::Filter filter,
        retrieval::Filter::Parse(state.query.filter, state.context.catalog.attributes));
    state.filter = std::make_unique<retrieval::Filter>(std::move(filter));
  }

  PALATE_RETURN_IF_ERROR(AddSessionEvents(state));
  PALATE_RETURN_IF_ERROR(AddContextItems(state));

  state.excluded.insert(state.query.exclude_item_ids.begin(), state.query.exclude_item_ids.end());
  state.excluded.insert(state.query.context_item_ids.begin(), state.query.context_item_ids.end());
  if (!state.query.include_seen) state.excluded_numbers = state.context.seen;
  state.user_model = BuildUserModel(state.context, options_.user_model, state.now);
  return absl::OkStatus();
}

}  // namespace palate::pipeline
