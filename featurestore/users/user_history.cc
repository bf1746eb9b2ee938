#include "featurestore/users/user_history.h"

#include <utility>

#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {

UserHistoryReader::UserHistoryReader(const Database& database, const CatalogState& state,
                                     const UserContextQuery& query, absl::Time request_time,
                                     const rocksdb::ReadOptions& read)
    : database_(database),
      catalog_(state.Declarations()),
      prefix_(UserPrefix(state.number(), query.user_id)),
      query_(query),
      request_time_(request_time),
      read_(read) {}

absl::Status UserHistoryReader::Read(int max_seen, UserContext& context) {
  PALATE_RETURN_IF_ERROR(ReadProfile(context));
  PALATE_RETURN_IF_ERROR(ReadAggregate());
  if (!has_events_) return absl::OkStatus();
  PALATE_RETURN_IF_ERROR(ReadSeen(static_cast<size_t>(max_seen), context));
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
  if (FromMicros(aggregate->newest_event_us()) > request_time_) return ReadMeanOfEarlierRatings();
  if (aggregate->num_ratings() > 0)
    rating_mean_ = aggregate->rating_sum() / static_cast<double>(aggregate->num_ratings());
  return absl::OkStatus();
}

absl::Status UserHistoryReader::ReadMeanOfEarlierRatings() {
  double sum = 0;
  int64_t count = 0;
  PALATE_RETURN_IF_ERROR(ScanEvents([&](int64_t, absl::string_view,
                                        absl::string_view value) -> absl::StatusOr<bool> {
    PALATE_ASSIGN_OR_RETURN(const auto record, ParseRecord<storage::EventRecord>(value, "event"));
    const EventTypeDeclaration* type = FindEventType(*catalog_, record.type());
    if (type != nullptr && type->value_is_rating && record.has_value()) {
      sum += record.value();
      ++count;
    }
    return true;
  }));

  if (count > 0) rating_mean_ = sum / static_cast<double>(count);
  return absl::OkStatus();
}

absl::Status UserHistoryReader::ReadSeen(size_t max_seen, UserContext& context) const {
  const std::string prefix = SeenPrefix(prefix_);
  return database_.ScanPrefix(
      kUsers, prefix, "", read_,
      [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
        if (context.seen_item_ids.size() >= max_seen) return false;
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id)) return absl::DataLossError("a stored seen item has a damaged key");
        context.seen_item_ids.push_back(std::move(id));
        return true;
      });
}

absl::Status UserHistoryReader::ReadEvents(UserContext& context) const {
  return ScanEvents(
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
        event.weight = Weight(event.event);
        context.events.push_back(std::move(event));
        return true;
      });
}

double UserHistoryReader::Weight(const Event& event) const {
  const EventTypeDeclaration* type = FindEventType(*catalog_, event.type);
  if (type == nullptr) return 0;
  if (!type->value_is_rating) return type->weight;
  return rating_mean_.has_value() && event.value.has_value()
             ? type->weight * (*event.value - *rating_mean_)
             : 0;
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
