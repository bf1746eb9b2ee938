// WriteEvents: events, each once, with the user's aggregates, the seen set and the popularity
// counters in the same batch.
#include <cmath>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

// One valid event with its rows' keys.
struct EventRows {
  Event event;
  std::string user_prefix;
  std::string idempotence_key;
  int64_t time_us = 0;
};

struct Validated {
  std::vector<EventRows> rows;
  std::vector<ElementFailure> failures;
};

Validated Validate(const std::vector<Event>& events, const Catalog& catalog, uint32_t number,
                   const EventTimeBounds& bounds, const StoreLimits& limits) {
  Validated validated;
  validated.rows.reserve(events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    const absl::Status status = ValidateEvent(events[i], catalog, bounds, limits);
    if (!status.ok()) {
      validated.failures.push_back({i, status});
      continue;
    }
    EventRows rows{.event = events[i],
                   .user_prefix = UserPrefix(number, events[i].user_id),
                   .idempotence_key = ""};
    rows.time_us = ToMicros(rows.event.time);
    if (rows.event.event_id.empty()) rows.event.event_id = DeriveEventId(rows.event);
    rows.idempotence_key = IdempotenceKey(rows.user_prefix, rows.event.event_id);
    validated.rows.push_back(std::move(rows));
  }
  return validated;
}

// The writes of one call. Not thread-safe; the users' locks are held from Load() to Commit().
class EventBatch {
 public:
  EventBatch(StoreCore& core, CatalogState& state, const Catalog& catalog)
      : core_(core), state_(state), catalog_(catalog) {}

  absl::Status Load(const std::vector<EventRows>& rows) {
    std::vector<std::string> keys;
    for (const EventRows& row : rows) keys.push_back(row.idempotence_key);
    PALATE_ASSIGN_OR_RETURN(const auto known, core_.MultiGet(kIdempotence, keys));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (known[i].has_value()) known_.insert(keys[i]);
      users_.try_emplace(rows[i].user_prefix);
    }
    std::vector<std::string> aggregate_keys;
    std::vector<std::string> profile_keys;
    for (const auto& [prefix, user] : users_) {
      aggregate_keys.push_back(AggregateKey(prefix));
      profile_keys.push_back(ProfileKey(prefix));
    }
    PALATE_ASSIGN_OR_RETURN(
        const auto aggregates,
        core_.MultiGetRecords<storage::UserAggregateRecord>(kUsers, aggregate_keys));
    PALATE_ASSIGN_OR_RETURN(const auto profiles, core_.MultiGet(kUsers, profile_keys));
    size_t i = 0;
    for (auto& [prefix, user] : users_) {
      user.is_new = !aggregates[i].has_value() && !profiles[i].has_value();
      if (aggregates[i].has_value()) user.aggregate = *aggregates[i];
      ++i;
    }
    return absl::OkStatus();
  }

  // False for an event that is already known, from before or from this batch.
  bool Add(const EventRows& row) {
    if (!known_.insert(row.idempotence_key).second) return false;
    const EventTypeDeclaration& type = *FindEventType(catalog_, row.event.type);
    // Popularity counts encounters: what a user thought of the item is the user's own weight.
    const int64_t micros = type.weight > 0 ? std::llround(type.weight * 1e6) : 0;
    PutRecord(batch_, core_.family(kEvents),
              EventKey(row.user_prefix, row.time_us, row.event.event_id),
              ToRecord(row.event, micros));
    batch_.Put(core_.family(kIdempotence), row.idempotence_key, "");
    if (type.marks_seen)
      batch_.Put(core_.family(kUsers), SeenKey(row.user_prefix, row.event.item_id), "");
    if (micros != 0)
      popularity_.push_back({row.event.item_id, PopularityBucket(row.time_us), micros});
    UserChange& user = users_.at(row.user_prefix);
    user.changed = true;
    user.aggregate.set_newest_event_us(
        user.aggregate.num_events() == 0 ? row.time_us
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

  absl::Status Commit() {
    if (num_events_ == 0) return absl::OkStatus();
    rocksdb::ColumnFamilyHandle* counters = core_.family(kCounters);
    int64_t new_users = 0;
    for (const auto& [prefix, user] : users_) {
      if (!user.changed) continue;
      PutRecord(batch_, core_.family(kUsers), AggregateKey(prefix), user.aggregate);
      new_users += user.is_new ? 1 : 0;
    }
    absl::flat_hash_map<std::string, int64_t> sums;
    for (const PopularityDelta& delta : popularity_) {
      sums[TimedItemKey(state_.number, CounterTag::kPopularity, delta.bucket_us, delta.item_id)] +=
          delta.micros;
    }
    for (const auto& [key, micros] : sums) batch_.Merge(counters, key, EncodeCount(micros));
    if (new_users != 0)
      batch_.Merge(counters, CounterPrefix(state_.number, CounterTag::kUsers),
                   EncodeCount(new_users));
    batch_.Merge(counters, CounterPrefix(state_.number, CounterTag::kEvents),
                 EncodeCount(num_events_));
    batch_.Merge(counters, CounterPrefix(state_.number, CounterTag::kNewestEvent),
                 EncodeCount(newest_us_));
    PALATE_RETURN_IF_ERROR(core_.Write(batch_));
    state_.users += new_users;
    state_.events += num_events_;
    state_.SawEventAt(newest_us_);
    state_.trending.ApplyEvents(popularity_);
    return absl::OkStatus();
  }

 private:
  struct UserChange {
    storage::UserAggregateRecord aggregate;
    bool is_new = false;
    bool changed = false;
  };

  StoreCore& core_;
  CatalogState& state_;
  const Catalog& catalog_;
  std::set<std::string> known_;
  std::map<std::string, UserChange> users_;  // by prefix
  std::vector<PopularityDelta> popularity_;
  rocksdb::WriteBatch batch_;
  int64_t newest_us_ = -1;
  int64_t num_events_ = 0;
};

}  // namespace

absl::StatusOr<WriteEventsResult> FeatureStore::WriteEvents(absl::string_view catalog,
                                                            const std::vector<Event>& events,
                                                            const WriteEventsOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(
      ValidateBatchSize("events", events.size(), core_->options.limits.max_event_batch));
  const absl::Time now = core_->Now();
  const EventTimeBounds bounds = {
      options.skip_lateness_bound ? absl::InfinitePast() : now - core_->options.max_event_lateness,
      now + core_->options.max_event_lead};
  Validated validated =
      Validate(events, *access.catalog, access.state->number, bounds, core_->options.limits);
  WriteEventsResult result;
  result.failures = std::move(validated.failures);
  if (validated.rows.empty()) return result;

  std::vector<absl::string_view> users;
  for (const EventRows& row : validated.rows) users.push_back(row.user_prefix);
  const LockTable::Hold held(core_->user_locks, users);
  EventBatch batch(*core_, *access.state, *access.catalog);
  PALATE_RETURN_IF_ERROR(batch.Load(validated.rows));
  for (const EventRows& row : validated.rows)
    ++(batch.Add(row) ? result.num_written : result.num_duplicates);
  PALATE_RETURN_IF_ERROR(batch.Commit());
  return result;
}

}  // namespace palate::featurestore
