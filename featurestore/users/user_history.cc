#include "featurestore/users/user_history.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {

UserHistoryReader::UserHistoryReader(const Database& database, CatalogState& state,
                                     const UserContextQuery& query,
                                     const rocksdb::ReadOptions& read)
    : database_(database),
      item_numbers_(state.item_numbers()),
      catalog_(state.Declarations()),
      prefix_(UserPrefix(state.number(), query.user_id)),
      query_(query),
      request_time_(query.request_time),
      read_(read) {}

absl::Status UserHistoryReader::Read(UserContext& context) {
  PALATE_RETURN_IF_ERROR(ReadProfile(context));
  PALATE_RETURN_IF_ERROR(ReadAggregate());
  if (!has_events_) return absl::OkStatus();
  if (!query_.omit_seen)
    PALATE_RETURN_IF_ERROR(has_later_events_ ? ReadEarlierSeen(context) : ReadSeen(context));
  return ReadEvents(context);
}

absl::Status UserHistoryReader::ReadProfile(UserContext& context) const {
  PALATE_ASSIGN_OR_RETURN(
      auto profile, database_.GetRecord<storage::UserRecord>(kUsers, ProfileKey(prefix_), read_));
  if (profile.has_value()) context.user = FromRecord(query_.user_id, *std::move(profile));
  return absl::OkStatus();
}

absl::Status UserHistoryReader::ReadAggregate() {
  PALATE_ASSIGN_OR_RETURN(const auto aggregate, database_.GetRecord<storage::UserAggregateRecord>(
                                                    kUsers, AggregateKey(prefix_), read_));
  if (!aggregate.has_value()) return absl::OkStatus();

  has_events_ = true;
  // For a request time in the past: the aggregate already holds what came later.
  has_later_events_ = FromMicros(aggregate->newest_event_us()) > request_time_;
  if (has_later_events_) return ReadEarlierRatings();
  ratings_.sum = aggregate->rating_sum();
  ratings_.count = aggregate->num_ratings();
  return absl::OkStatus();
}

absl::Status UserHistoryReader::ReadEarlierRatings() {
  return ScanEvents([&](int64_t, absl::string_view,
                        absl::string_view value) -> absl::StatusOr<bool> {
    PALATE_ASSIGN_OR_RETURN(const auto record, ParseRecord<storage::EventRecord>(value, "event"));
    const EventTypeDeclaration* type = FindEventType(*catalog_, record.type());
    if (type != nullptr && type->value_is_rating && record.has_value()) {
      ratings_.Add(record.value());
    }
    return true;
  });
}

absl::Status UserHistoryReader::ReadSeen(UserContext& context) const {
  PALATE_ASSIGN_OR_RETURN(const auto row, database_.Get(kUsers, SeenKey(prefix_), read_));
  if (!row.has_value()) return absl::OkStatus();
  absl::StatusOr<ItemNumberSet> seen = ItemNumberSet::Parse(*row);
  if (!seen.ok()) return absl::DataLossError("a user's stored seen items are damaged");
  context.seen = *std::move(seen);
  return absl::OkStatus();
}

absl::Status UserHistoryReader::ReadEarlierSeen(UserContext& context) const {
  absl::flat_hash_set<std::string> ids;
  PALATE_RETURN_IF_ERROR(
      ScanEvents([&](int64_t, absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::EventRecord>(value, "event"));
        const EventTypeDeclaration* type = FindEventType(*catalog_, record.type());
        if (type != nullptr && type->marks_seen) ids.insert(std::move(*record.mutable_item_id()));
        return true;
      }));

  PALATE_ASSIGN_OR_RETURN(
      const std::vector<uint32_t> numbers,
      item_numbers_.Find(database_, std::vector<std::string>(ids.begin(), ids.end()), read_));
  for (const uint32_t number : numbers) {
    if (number != 0) context.seen.Add(number);
  }
  return absl::OkStatus();
}

absl::Status UserHistoryReader::ReadEvents(UserContext& context) {
  PALATE_RETURN_IF_ERROR(ScanEvents(
      [&](int64_t time_us, absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        if (context.events.size() >= static_cast<size_t>(query_.max_events)) {
          context.has_more_events = true;
          return false;
        }
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::EventRecord>(value, "event"));
        std::string event_id;
        if (!ConsumeId(key, event_id))
          return absl::DataLossError("a stored event has a damaged key");
        ContextEvent event;
        event.event = FromRecord(query_.user_id, std::move(event_id), time_us, std::move(record));
        context.events.push_back(std::move(event));
        return true;
      }));
  WeighEvents(context);
  return absl::OkStatus();
}

void UserHistoryReader::WeighEvents(UserContext& context) {
  for (const ContextEvent& event : context.events) {
    const EventTypeDeclaration* type = FindEventType(*catalog_, event.event.type);
    if (type != nullptr && type->value_is_rating && event.event.value.has_value())
      ratings_.AddToRange(*event.event.value);
  }

  const double baseline = ratings_.Baseline();
  for (ContextEvent& event : context.events) {
    event.weight = EventWeight(FindEventType(*catalog_, event.event.type), event.event, baseline);
  }
}

absl::Status UserHistoryReader::ScanEvents(const EventVisitor& visit) const {
  std::string from = prefix_;
  AppendInvertedTime(ToMicros(request_time_), from);
  return database_.ScanPrefix(
      kEvents, prefix_, from, read_,
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        int64_t time_us = 0;
        key.remove_prefix(prefix_.size());
        if (!ConsumeInvertedTime(key, time_us))
          return absl::DataLossError("a stored event has a damaged key");
        return visit(time_us, key, value);
      });
}

}  // namespace palate::featurestore
