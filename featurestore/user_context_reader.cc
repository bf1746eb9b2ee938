#include "featurestore/user_context_reader.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "featurestore/items/item_lists.h"
#include "featurestore/users/user_history.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

absl::Status ValidateQuery(const UserContextQuery& query, const UserContextOptions& options,
                           const StoreLimits& limits) {
  const auto within = [](absl::string_view field, int value, int max) -> absl::Status {
    if (value >= 0 && value <= max) return absl::OkStatus();
    return InvalidField(field, absl::StrCat("is ", value), absl::StrCat("from 0 to ", max));
  };
  PALATE_RETURN_IF_ERROR(within("max_events", query.max_events, limits.max_context_events));
  PALATE_RETURN_IF_ERROR(within("num_trending", query.num_trending, limits.max_context_list));
  PALATE_RETURN_IF_ERROR(within("num_fresh", query.num_fresh, limits.max_context_list));
  if (options.trending_half_life < absl::Hours(1) ||
      options.trending_half_life > absl::Hours(24 * 3650)) {
    return InvalidField("trending_half_life",
                        absl::StrCat("is ", absl::FormatDuration(options.trending_half_life)),
                        "from 1h to 87600h");
  }
  return absl::OkStatus();
}

void AddModels(const CatalogState& state, UserContext& context) {
  for (ActiveSpace& space : state.ActiveSpaces()) {
    context.spaces.push_back({std::move(space.name), std::move(space.active_fingerprint),
                              std::move(space.target_fingerprint)});
  }
  const CatalogCounts counts = state.counts();
  context.num_items = counts.items;
  context.num_waiting_items = counts.pending;
}

}  // namespace

absl::StatusOr<UserContext> UserContextReader::Read(const UserContextQuery& query,
                                                    const UserContextOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto access, storage_.catalogs().BeginRead(query.catalog));
  CatalogState& state = *access.state;
  const StoreOptions& store = storage_.options();
  // An anonymous session has no id and no rows.
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("user_id", query.user_id, store.limits));
  PALATE_RETURN_IF_ERROR(ValidateQuery(query, options, store.limits));

  UserContext context;
  context.catalog = *state.Declarations();
  AddModels(state, context);
  const int64_t begun = state.expired_fresh().Begin();
  const Snapshot snapshot(storage_.database());
  const absl::Time request_time =
      query.request_time == absl::InfiniteFuture() ? store.clock->Now() : query.request_time;

  // Events ahead of the clock count at once unless the query asks for an earlier time.
  UserHistoryReader history(storage_.database(), state, query, snapshot.read());
  if (!query.user_id.empty()) PALATE_RETURN_IF_ERROR(history.Read(context));
  if (history.has_events())
    PALATE_RETURN_IF_ERROR(ReadItems(state, query.spaces, snapshot.read(), context));

  PALATE_ASSIGN_OR_RETURN(context.fresh, ReadFreshItems(storage_, state, query.num_fresh,
                                                        request_time, begun, snapshot.read()));
  PALATE_ASSIGN_OR_RETURN(context.trending,
                          ReadTrendingItems(storage_, state, query.num_trending,
                                            options.trending_half_life, request_time));
  return context;
}

absl::Status UserContextReader::ReadItems(const CatalogState& state,
                                          const std::vector<std::string>& spaces,
                                          const rocksdb::ReadOptions& read, UserContext& context) {
  PALATE_ASSIGN_OR_RETURN(const StoredItemReader reader,
                          items_.Reader(state, {.spaces = spaces}, read));
  std::vector<std::string> ids;
  absl::flat_hash_map<absl::string_view, size_t> position;
  for (const ContextEvent& event : context.events) {
    if (position.try_emplace(event.event.item_id, ids.size()).second)
      ids.push_back(event.event.item_id);
  }

  PALATE_ASSIGN_OR_RETURN(auto items, reader.ReadCached(ids));
  std::vector<int> index(ids.size(), -1);
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].has_value()) continue;
    ItemWithVectors& item = *items[i];
    index[i] = static_cast<int>(context.items.size());
    context.items.push_back(std::move(item));
  }
  for (ContextEvent& event : context.events)
    event.item_index = index[position.at(event.event.item_id)];
  return absl::OkStatus();
}

}  // namespace palate::featurestore
