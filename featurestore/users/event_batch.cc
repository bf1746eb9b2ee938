#include "featurestore/users/event_batch.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {

PreparedEvents PrepareEvents(const std::vector<Event>& events, const Catalog& catalog,
                             uint32_t number, const EventTimeBounds& bounds,
                             const StoreLimits& limits) {
  PreparedEvents prepared;
  prepared.rows.reserve(events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    const absl::Status status = ValidateEvent(events[i], catalog, bounds, limits);
    if (!status.ok()) {
      prepared.failures.push_back({i, status});
      continue;
    }

    EventRows rows{.event = events[i],
                   .user_prefix = UserPrefix(number, events[i].user_id),
                   .idempotence_key = ""};
    rows.time_us = ToMicros(rows.event.time);
    if (rows.event.event_id.empty()) rows.event.event_id = DeriveEventId(rows.event);
    rows.idempotence_key = IdempotenceKey(rows.user_prefix, rows.event.event_id);
    prepared.rows.push_back(std::move(rows));
  }
  return prepared;
}

absl::Status EventBatch::Load(const std::vector<EventRows>& rows) {
  std::vector<std::string> keys;
  for (const EventRows& row : rows) keys.push_back(row.idempotence_key);
  PALATE_ASSIGN_OR_RETURN(const auto known, database_.MultiGet(kIdempotence, keys));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (known[i].has_value()) known_.insert(keys[i]);
    users_.try_emplace(rows[i].user_prefix);
  }
  PALATE_RETURN_IF_ERROR(LoadUsers());
  return NumberItems(rows);
}

absl::Status EventBatch::LoadUsers() {
  std::vector<std::string> aggregate_keys;
  std::vector<std::string> profile_keys;
  for (const auto& [prefix, user] : users_) {
    aggregate_keys.push_back(AggregateKey(prefix));
    profile_keys.push_back(ProfileKey(prefix));
  }
  PALATE_ASSIGN_OR_RETURN(
      const auto aggregates,
      database_.MultiGetRecords<storage::UserAggregateRecord>(kUsers, aggregate_keys));
  PALATE_ASSIGN_OR_RETURN(const auto profiles, database_.MultiGet(kUsers, profile_keys));

  size_t i = 0;
  for (auto& [prefix, user] : users_) {
    user.is_new = !aggregates[i].has_value() && !profiles[i].has_value();
    if (aggregates[i].has_value()) user.aggregate = *aggregates[i];
    ++i;
  }
  return absl::OkStatus();
}

absl::Status EventBatch::NumberItems(const std::vector<EventRows>& rows) {
  std::vector<std::string> ids;
  for (const EventRows& row : rows) {
    if (known_.contains(row.idempotence_key)) continue;
    if (numbers_.try_emplace(row.event.item_id, 0).second) ids.push_back(row.event.item_id);
  }

  PALATE_ASSIGN_OR_RETURN(const std::vector<uint32_t> numbers,
                          state_.item_numbers().Assign(database_, ids));
  for (size_t i = 0; i < ids.size(); ++i) numbers_[ids[i]] = numbers[i];
  return absl::OkStatus();
}

bool EventBatch::Add(const EventRows& row) {
  if (!known_.insert(row.idempotence_key).second) return false;
  const EventTypeDeclaration& type = *FindEventType(catalog_, row.event.type);
  // Popularity counts encounters: a negative weight matters to the user's own context only.
  const int64_t micros = type.weight > 0 ? std::llround(type.weight * 1e6) : 0;

  PutRecord(batch_, database_.family(kEvents),
            EventKey(row.user_prefix, row.time_us, row.event.event_id),
            ToRecord(row.event, micros));
  batch_.Put(database_.family(kIdempotence), row.idempotence_key, "");
  if (micros != 0)
    popularity_.push_back({row.event.item_id, PopularityBucket(row.time_us), micros});

  UserChange& user = users_.at(row.user_prefix);
  user.changed = true;
  if (type.marks_seen) user.seen.Add(numbers_.at(row.event.item_id));
  user.aggregate.set_newest_event_us(user.aggregate.num_events() == 0
                                         ? row.time_us
                                         : std::max(user.aggregate.newest_event_us(), row.time_us));
  user.aggregate.set_num_events(user.aggregate.num_events() + 1);
  if (type.value_is_rating) {
    user.aggregate.set_num_ratings(user.aggregate.num_ratings() + 1);
    user.aggregate.set_rating_sum(user.aggregate.rating_sum() + *row.event.value);
  }

  newest_us_ = std::max(newest_us_, row.time_us);
  ++num_events_;
  return true;
}

int64_t EventBatch::WriteUsers() {
  int64_t new_users = 0;
  for (const auto& [prefix, user] : users_) {
    if (!user.changed) continue;
    PutRecord(batch_, database_.family(kUsers), AggregateKey(prefix), user.aggregate);
    if (!user.seen.empty())
      batch_.Merge(database_.family(kUsers), SeenKey(prefix), user.seen.Serialize());
    new_users += user.is_new ? 1 : 0;
  }
  return new_users;
}

void EventBatch::WriteCounters(int64_t new_users) {
  rocksdb::ColumnFamilyHandle* counters = database_.family(kCounters);
  absl::flat_hash_map<std::string, int64_t> sums;
  for (const PopularityDelta& delta : popularity_) {
    sums[TimedItemKey(state_.number(), CounterTag::kPopularity, delta.bucket_us, delta.item_id)] +=
        delta.micros;
  }

  for (const auto& [key, micros] : sums) batch_.Merge(counters, key, EncodeCount(micros));
  if (new_users != 0)
    batch_.Merge(counters, CounterPrefix(state_.number(), CounterTag::kUsers),
                 EncodeCount(new_users));
  batch_.Merge(counters, CounterPrefix(state_.number(), CounterTag::kEvents),
               EncodeCount(num_events_));
  batch_.Merge(counters, CounterPrefix(state_.number(), CounterTag::kNewestEvent),
               EncodeCount(newest_us_));
}

absl::Status EventBatch::Commit() {
  if (num_events_ == 0) return absl::OkStatus();
  const int64_t new_users = WriteUsers();
  WriteCounters(new_users);
  PALATE_RETURN_IF_ERROR(
      state_.trending().CommitEvents(popularity_, [this] { return database_.Write(batch_); }));

  state_.AddCounts({.users = new_users, .events = num_events_});
  state_.SawEventAt(newest_us_);
  return absl::OkStatus();
}

}  // namespace palate::featurestore
