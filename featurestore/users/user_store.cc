#include "featurestore/users/user_store.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "featurestore/storage/erasure.h"
#include "featurestore/storage/keys.h"
#include "featurestore/users/event_batch.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

// Every family that keeps rows below UserPrefix().
constexpr Family kUserFamilies[] = {kUsers, kEvents, kImpressions, kIdempotence};

// What was known of the user before the batch, and is after the elements so far.
struct UserWork {
  std::optional<User> before;
  std::optional<User> now;
  bool has_events = false;
};

bool SameProfile(const User& a, const User& b) {
  return a.profile_text == b.profile_text && a.persona == b.persona && a.attributes == b.attributes;
}

absl::Status LoadUsers(const Database& database, uint32_t catalog,
                       std::map<std::string, UserWork>& users) {
  std::vector<std::string> profile_keys;
  std::vector<std::string> aggregate_keys;
  for (const auto& [id, work] : users) {
    profile_keys.push_back(ProfileKey(UserPrefix(catalog, id)));
    aggregate_keys.push_back(AggregateKey(UserPrefix(catalog, id)));
  }

  PALATE_ASSIGN_OR_RETURN(auto profiles,
                          database.MultiGetRecords<storage::UserRecord>(kUsers, profile_keys));
  PALATE_ASSIGN_OR_RETURN(const auto aggregates, database.MultiGet(kUsers, aggregate_keys));

  size_t i = 0;
  for (auto& [id, work] : users) {
    if (profiles[i].has_value()) work.before = FromRecord(id, *std::move(profiles[i]));
    work.now = work.before;
    work.has_events = aggregates[i].has_value();
    ++i;
  }
  return absl::OkStatus();
}

// What the user's rows add to the counters; a purge subtracts it.
struct Contribution {
  PurgeReport report;
  bool exists = false;
  std::vector<PopularityDelta> popularity;
};

absl::StatusOr<Contribution> ReadContribution(const Database& database, const std::string& prefix) {
  Contribution contribution;
  PALATE_RETURN_IF_ERROR(database.ScanPrefix(
      kEvents, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        int64_t time_us = 0;
        key.remove_prefix(prefix.size());
        if (!ConsumeInvertedTime(key, time_us))
          return absl::DataLossError("a stored event has a damaged key");
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::EventRecord>(value, "event"));
        ++contribution.report.events;
        if (record.popularity_micros() != 0) {
          contribution.popularity.push_back({std::move(*record.mutable_item_id()),
                                             PopularityBucket(time_us),
                                             -record.popularity_micros()});
        }
        return true;
      }));

  PALATE_RETURN_IF_ERROR(
      database.ScanPrefix(kImpressions, prefix, "", {}, [&](absl::string_view, absl::string_view) {
        ++contribution.report.impressions;
        return true;
      }));

  PALATE_ASSIGN_OR_RETURN(const auto profile, database.Get(kUsers, ProfileKey(prefix)));
  PALATE_ASSIGN_OR_RETURN(const auto aggregate, database.Get(kUsers, AggregateKey(prefix)));
  contribution.report.had_profile = profile.has_value();
  contribution.exists = profile.has_value() || aggregate.has_value();
  return contribution;
}

}  // namespace

UserStore::UserStore(Storage& storage)
    : database_(storage.database()),
      catalogs_(storage.catalogs()),
      changes_(storage.changes()),
      options_(storage.options()) {}

absl::StatusOr<WriteEventsResult> UserStore::WriteEvents(absl::string_view catalog,
                                                         const std::vector<Event>& events,
                                                         const WriteEventsOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(
      ValidateBatchSize("events", events.size(), options_.limits.max_event_batch));
  const absl::Time now = options_.clock->Now();
  const EventTimeBounds bounds = {
      options.skip_lateness_bound ? absl::InfinitePast() : now - options_.max_event_lateness,
      now + options_.max_event_lead};

  PreparedEvents prepared =
      PrepareEvents(events, *access.catalog, access.state->number(), bounds, options_.limits);
  WriteEventsResult result;
  result.failures = std::move(prepared.failures);
  if (prepared.rows.empty()) return result;

  std::vector<absl::string_view> users;
  for (const EventRows& row : prepared.rows) users.push_back(row.user_prefix);
  const LockTable::Hold held(user_locks_, users);
  EventBatch batch(database_, *access.state, *access.catalog);
  PALATE_RETURN_IF_ERROR(batch.Load(prepared.rows));
  for (const EventRows& row : prepared.rows)
    ++(batch.Add(row) ? result.num_written : result.num_duplicates);
  PALATE_RETURN_IF_ERROR(batch.Commit());
  return result;
}

absl::StatusOr<std::vector<ElementFailure>> UserStore::Upsert(absl::string_view catalog,
                                                              const std::vector<User>& users) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginWrite(catalog));
  CatalogState& state = *access.state;
  PALATE_RETURN_IF_ERROR(ValidateBatchSize("users", users.size(), options_.limits.max_batch));

  std::vector<ElementFailure> failures;
  std::vector<const User*> valid;
  std::map<std::string, UserWork> works;
  std::vector<std::string> prefixes;
  for (size_t i = 0; i < users.size(); ++i) {
    const absl::Status status = ValidateUser(users[i], options_.limits);
    if (!status.ok()) {
      failures.push_back({i, status});
      continue;
    }
    valid.push_back(&users[i]);
    works.try_emplace(users[i].id);
    prefixes.push_back(UserPrefix(state.number(), users[i].id));
  }

  const LockTable::Hold held(user_locks_,
                             std::vector<absl::string_view>(prefixes.begin(), prefixes.end()));
  PALATE_RETURN_IF_ERROR(LoadUsers(database_, state.number(), works));
  for (const User* user : valid) {
    UserWork& work = works.at(user->id);
    if (work.now.has_value() && SameProfile(*work.now, *user)) continue;
    work.now = *user;
    work.now->update_time = options_.clock->Now();
  }

  std::vector<const User*> changed;
  int64_t new_users = 0;
  for (const auto& [id, work] : works) {
    if (work.before.has_value() && SameProfile(*work.before, *work.now)) continue;
    changed.push_back(&*work.now);
    new_users += !work.before.has_value() && !work.has_events ? 1 : 0;
  }

  if (changed.empty()) return failures;
  PALATE_RETURN_IF_ERROR(CommitProfiles(state, changed, new_users));
  changes_.TrimIfLong(state);
  return failures;
}

absl::Status UserStore::CommitProfiles(CatalogState& state, const std::vector<const User*>& changed,
                                       int64_t new_users) {
  rocksdb::WriteBatch batch;
  const auto reservation = changes_.Reserve(static_cast<int64_t>(changed.size()));
  for (size_t i = 0; i < changed.size(); ++i) {
    const int64_t position = reservation->first() + static_cast<int64_t>(i);
    PutRecord(batch, database_.family(kUsers),
              ProfileKey(UserPrefix(state.number(), changed[i]->id)), ToRecord(*changed[i]));
    changes_.Add(batch, state.number(), position, ChangeKind::kUserChanged,
                 UserFeedKey(state.id(), changed[i]->id), position);
  }
  if (new_users != 0)
    batch.Merge(database_.family(kCounters), CounterPrefix(state.number(), CounterTag::kUsers),
                EncodeCount(new_users));

  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.AddCounts({.users = new_users, .feed_entries = static_cast<int64_t>(changed.size())});
  return absl::OkStatus();
}

absl::StatusOr<User> UserStore::Get(absl::string_view catalog, absl::string_view user_id) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  PALATE_RETURN_IF_ERROR(ValidateId("user_id", user_id, options_.limits));
  PALATE_ASSIGN_OR_RETURN(auto record,
                          database_.GetRecord<storage::UserRecord>(
                              kUsers, ProfileKey(UserPrefix(access.state->number(), user_id))));
  if (!record.has_value())
    return absl::NotFoundError(absl::StrCat("user ", QuoteForMessage(user_id), " has no profile"));
  return FromRecord(std::string(user_id), *std::move(record));
}

absl::Status UserStore::WriteImpression(absl::string_view catalog, const Impression& impression) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(ValidateImpression(impression, options_.limits));

  const std::string prefix = UserPrefix(access.state->number(), impression.user_id);
  // A purge of the user waits, or comes first.
  const LockTable::Hold held(user_locks_, {prefix});

  storage::ImpressionRecord record;
  record.set_scenario(impression.scenario);
  for (const std::string& id : impression.item_ids) record.add_item_ids(id);
  rocksdb::WriteBatch batch;
  PutRecord(batch, database_.family(kImpressions),
            ImpressionKey(prefix, ToMicros(impression.time), impression.recommendation_id), record);
  return database_.Write(batch);
}

absl::StatusOr<std::vector<Impression>> UserStore::ListImpressions(absl::string_view catalog,
                                                                   absl::string_view user_id,
                                                                   int limit) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("user_id", user_id, options_.limits));
  PALATE_ASSIGN_OR_RETURN(const int count, ValidatePageSize(limit, options_.limits));

  const std::string prefix = UserPrefix(access.state->number(), user_id);
  std::vector<Impression> impressions;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kImpressions, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        Impression impression;
        int64_t time_us = 0;
        key.remove_prefix(prefix.size());
        if (!ConsumeInvertedTime(key, time_us) || !ConsumeId(key, impression.recommendation_id)) {
          return absl::DataLossError("a stored impression has a damaged key");
        }

        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::ImpressionRecord>(value, "impression"));
        impression.user_id = std::string(user_id);
        impression.scenario = record.scenario();
        impression.item_ids.assign(record.item_ids().begin(), record.item_ids().end());
        impression.time = FromMicros(time_us);
        impressions.push_back(std::move(impression));
        return impressions.size() < static_cast<size_t>(count);
      }));
  return impressions;
}

absl::StatusOr<PurgeReport> UserStore::Purge(absl::string_view catalog, absl::string_view user_id) {
  PALATE_ASSIGN_OR_RETURN(auto access, catalogs_.BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(ValidateId("user_id", user_id, options_.limits));

  MutexLock one_at_a_time(purge_mutex_);
  const std::string prefix = UserPrefix(access.state->number(), user_id);
  PALATE_ASSIGN_OR_RETURN(const PurgeReport report, DeleteRows(*access.state, user_id, prefix));
  access.alive.Release();
  PALATE_RETURN_IF_ERROR(EraseDeletedRows(database_, kUserFamilies, {prefix}, kPurgePendingKey));
  return report;
}

absl::StatusOr<PurgeReport> UserStore::DeleteRows(CatalogState& state, absl::string_view user_id,
                                                  const std::string& prefix) {
  const LockTable::Hold held(user_locks_, {prefix});
  PALATE_ASSIGN_OR_RETURN(const Contribution contribution, ReadContribution(database_, prefix));

  rocksdb::WriteBatch batch;
  for (const Family family : kUserFamilies)
    batch.DeleteRange(database_.family(family), prefix, PrefixEnd(prefix));
  rocksdb::ColumnFamilyHandle* counters = database_.family(kCounters);
  for (const PopularityDelta& delta : contribution.popularity) {
    batch.Merge(
        counters,
        TimedItemKey(state.number(), CounterTag::kPopularity, delta.bucket_us, delta.item_id),
        EncodeCount(delta.micros));
  }
  batch.Merge(counters, CounterPrefix(state.number(), CounterTag::kEvents),
              EncodeCount(-contribution.report.events));
  if (contribution.exists)
    batch.Merge(counters, CounterPrefix(state.number(), CounterTag::kUsers), EncodeCount(-1));

  batch.Put(database_.family(kMeta), ToSlice(kPurgePendingKey), "");
  const auto reservation = changes_.Reserve(1);
  changes_.Add(batch, state.number(), reservation->first(), ChangeKind::kUserPurged,
               UserFeedKey(state.id(), user_id), reservation->first());

  PALATE_RETURN_IF_ERROR(state.trending().CommitEvents(contribution.popularity,
                                                       [&] { return database_.Write(batch); }));
  state.AddCounts({.users = contribution.exists ? -1 : 0,
                   .events = -contribution.report.events,
                   .feed_entries = 1});
  return contribution.report;
}

absl::Status UserStore::FinishInterruptedPurge() {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> purging,
                          database_.Get(kMeta, kPurgePendingKey));
  if (!purging.has_value()) return absl::OkStatus();
  spdlog::warn("feature store in {}: completing a purge that was cut short", database_.dir());
  return EraseDeletedRows(database_, kUserFamilies, {}, kPurgePendingKey);
}

}  // namespace palate::featurestore
