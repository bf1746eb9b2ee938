#include "services/convert/user_context_convert.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

namespace context_pb = palate::featurestore::v1;
using google::protobuf::RepeatedPtrField;

void MoveScored(std::vector<ScoredItem> items, RepeatedPtrField<types_pb::ScoredItem>& out) {
  for (ScoredItem& item : items) {
    types_pb::ScoredItem* added = out.Add();
    added->set_item_id(std::move(item.item_id));
    added->set_score(item.score);
  }
}

std::vector<ScoredItem> MoveScored(RepeatedPtrField<types_pb::ScoredItem>& items) {
  std::vector<ScoredItem> out;
  out.reserve(static_cast<size_t>(items.size()));
  for (types_pb::ScoredItem& item : items)
    out.push_back({std::move(*item.mutable_item_id()), item.score()});
  return out;
}

absl::StatusOr<std::vector<ContextEvent>> EventsFrom(
    const RepeatedPtrField<context_pb::ContextEvent>& events,
    const std::vector<ItemWithVectors>& items) {
  absl::flat_hash_map<absl::string_view, int> index_of;
  for (size_t i = 0; i < items.size(); ++i) index_of.emplace(items[i].item.id, static_cast<int>(i));

  std::vector<ContextEvent> out;
  out.reserve(static_cast<size_t>(events.size()));
  for (int i = 0; i < events.size(); ++i) {
    absl::StatusOr<Event> event = FromProto(events[i].event(), /*time_required=*/false);
    if (!event.ok()) return PrefixFields(event.status(), absl::StrCat("events[", i, "].event"));
    const auto item = index_of.find(event->item_id);
    const int index = item == index_of.end() ? -1 : item->second;
    out.push_back({*std::move(event), events[i].weight(), index});
  }
  return out;
}

}  // namespace

context_pb::GetUserContextRequest ToProto(UserContextQuery query) {
  context_pb::GetUserContextRequest request;
  request.set_catalog(std::move(query.catalog));
  request.set_user_id(std::move(query.user_id));
  request.set_max_events(query.max_events);
  if (query.request_time != absl::InfiniteFuture())
    *request.mutable_request_time() = ToProto(query.request_time);
  for (std::string& space : query.spaces) request.add_spaces(std::move(space));
  request.set_num_trending(query.num_trending);
  request.set_num_fresh(query.num_fresh);
  request.set_omit_seen_items(query.omit_seen);
  return request;
}

absl::StatusOr<UserContextQuery> FromProto(const context_pb::GetUserContextRequest& request) {
  UserContextQuery query;
  query.catalog = request.catalog();
  query.user_id = request.user_id();
  query.max_events = request.max_events();
  if (request.has_request_time()) {
    PALATE_ASSIGN_OR_RETURN(query.request_time, FromProto(request.request_time(), "request_time"));
  }
  query.spaces.assign(request.spaces().begin(), request.spaces().end());
  query.num_trending = request.num_trending();
  query.num_fresh = request.num_fresh();
  query.omit_seen = request.omit_seen_items();
  return query;
}

context_pb::GetUserContextResponse ToProto(UserContext context) {
  context_pb::GetUserContextResponse response;
  *response.mutable_catalog() = ToProto(context.catalog);
  for (SpaceModels& space : context.spaces) {
    context_pb::SpaceModels* added = response.add_spaces();
    added->set_name(std::move(space.name));
    added->set_active_fingerprint(std::move(space.active_fingerprint));
    added->set_target_fingerprint(std::move(space.target_fingerprint));
  }
  response.set_num_items(context.num_items);
  response.set_num_waiting_items(context.num_waiting_items);
  if (context.user.has_value()) *response.mutable_user() = ToProto(*context.user);
  for (const ContextEvent& event : context.events) {
    context_pb::ContextEvent* added = response.add_events();
    *added->mutable_event() = ToProto(event.event);
    added->set_weight(event.weight);
  }
  response.set_has_more_events(context.has_more_events);
  for (const ItemWithVectors& item : context.items) *response.add_items() = ToProto(item);
  response.set_seen_item_numbers(context.seen.Serialize());
  MoveScored(std::move(context.trending), *response.mutable_trending());
  MoveScored(std::move(context.fresh), *response.mutable_fresh());
  return response;
}

absl::StatusOr<UserContext> FromProto(context_pb::GetUserContextResponse response) {
  UserContext context;
  PALATE_ASSIGN_OR_RETURN(context.catalog, FromProto(response.catalog()));
  for (const context_pb::SpaceModels& space : response.spaces()) {
    context.spaces.push_back(
        {space.name(), space.active_fingerprint(), space.target_fingerprint()});
  }
  context.num_items = response.num_items();
  context.num_waiting_items = response.num_waiting_items();
  if (response.has_user()) {
    PALATE_ASSIGN_OR_RETURN(context.user, FromProto(response.user()));
  }
  PALATE_RETURN_IF_ERROR(ConvertList(response.items(), "items", FromProto, context.items));
  PALATE_ASSIGN_OR_RETURN(context.events, EventsFrom(response.events(), context.items));
  context.has_more_events = response.has_more_events();
  PALATE_ASSIGN_OR_RETURN(context.seen, ItemNumberSet::Parse(response.seen_item_numbers()));
  context.trending = MoveScored(*response.mutable_trending());
  context.fresh = MoveScored(*response.mutable_fresh());
  return context;
}

}  // namespace palate::services
