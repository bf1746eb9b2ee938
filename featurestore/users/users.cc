// Profiles and impressions.
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

// What was known of the user before the batch, and is after the elements so far.
struct UserWork {
  std::optional<User> before;
  std::optional<User> now;
  bool has_events = false;
};

bool SameProfile(const User& a, const User& b) {
  return a.profile_text == b.profile_text && a.persona == b.persona && a.attributes == b.attributes;
}

absl::Status LoadUsers(const StoreCore& core, uint32_t catalog,
                       std::map<std::string, UserWork>& users) {
  std::vector<std::string> profile_keys;
  std::vector<std::string> aggregate_keys;
  for (const auto& [id, work] : users) {
    profile_keys.push_back(ProfileKey(UserPrefix(catalog, id)));
    aggregate_keys.push_back(AggregateKey(UserPrefix(catalog, id)));
  }
  PALATE_ASSIGN_OR_RETURN(auto profiles,
                          core.MultiGetRecords<storage::UserRecord>(kUsers, profile_keys));
  PALATE_ASSIGN_OR_RETURN(const auto aggregates, core.MultiGet(kUsers, aggregate_keys));
  size_t i = 0;
  for (auto& [id, work] : users) {
    if (profiles[i].has_value()) work.before = FromRecord(id, *std::move(profiles[i]));
    work.now = work.before;
    work.has_events = aggregates[i].has_value();
    ++i;
  }
  return absl::OkStatus();
}

}  // namespace

std::string UserFeedKey(absl::string_view catalog, absl::string_view user_id) {
  std::string text(catalog);
  text.push_back('\0');
  text.append(user_id.data(), user_id.size());
  return absl::BytesToHexString(Sha256(text));
}

absl::StatusOr<std::vector<ElementFailure>> FeatureStore::UpsertUsers(
    absl::string_view catalog, const std::vector<User>& users) {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginWrite(catalog));
  CatalogState& state = *access.state;
  PALATE_RETURN_IF_ERROR(ValidateBatchSize("users", users.size(), core_->options.limits.max_batch));
  std::vector<ElementFailure> failures;
  std::vector<const User*> valid;
  std::map<std::string, UserWork> works;
  std::vector<std::string> prefixes;
  for (size_t i = 0; i < users.size(); ++i) {
    const absl::Status status = ValidateUser(users[i], core_->options.limits);
    if (!status.ok()) {
      failures.push_back({i, status});
      continue;
    }
    valid.push_back(&users[i]);
    works.try_emplace(users[i].id);
    prefixes.push_back(UserPrefix(state.number, users[i].id));
  }
  const LockTable::Hold held(core_->user_locks,
                             std::vector<absl::string_view>(prefixes.begin(), prefixes.end()));
  PALATE_RETURN_IF_ERROR(LoadUsers(*core_, state.number, works));
  for (const User* user : valid) {
    UserWork& work = works.at(user->id);
    if (work.now.has_value() && SameProfile(*work.now, *user)) continue;
    work.now = *user;
    work.now->update_time = core_->Now();
  }
  std::vector<const User*> changed;
  int64_t new_users = 0;
  for (const auto& [id, work] : works) {
    if (work.before.has_value() && SameProfile(*work.before, *work.now)) continue;
    changed.push_back(&*work.now);
    new_users += !work.before.has_value() && !work.has_events ? 1 : 0;
  }
  if (changed.empty()) return failures;
  rocksdb::WriteBatch batch;
  const auto reservation = core_->feed.Reserve(static_cast<int64_t>(changed.size()));
  for (size_t i = 0; i < changed.size(); ++i) {
    const int64_t position = reservation->first() + static_cast<int64_t>(i);
    PutRecord(batch, core_->family(kUsers), ProfileKey(UserPrefix(state.number, changed[i]->id)),
              ToRecord(*changed[i]));
    core_->AddChange(batch, state.number, position, ChangeKind::kUserChanged,
                     UserFeedKey(state.id, changed[i]->id), position);
  }
  if (new_users != 0)
    batch.Merge(core_->family(kCounters), CounterPrefix(state.number, CounterTag::kUsers),
                EncodeCount(new_users));
  PALATE_RETURN_IF_ERROR(core_->Write(batch));
  state.users += new_users;
  state.feed_entries += static_cast<int64_t>(changed.size());
  core_->MaybeTrimFeed(state);
  return failures;
}

absl::StatusOr<User> FeatureStore::GetUser(absl::string_view catalog,
                                           absl::string_view user_id) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  PALATE_RETURN_IF_ERROR(ValidateId("user_id", user_id, core_->options.limits));
  PALATE_ASSIGN_OR_RETURN(auto record,
                          core_->GetRecord<storage::UserRecord>(
                              kUsers, ProfileKey(UserPrefix(access.state->number, user_id))));
  if (!record.has_value())
    return absl::NotFoundError(absl::StrCat("user ", QuoteForMessage(user_id), " has no profile"));
  return FromRecord(std::string(user_id), *std::move(record));
}

absl::Status FeatureStore::WriteImpression(absl::string_view catalog,
                                           const Impression& impression) {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(ValidateImpression(impression, core_->options.limits));
  const std::string prefix = UserPrefix(access.state->number, impression.user_id);
  // A purge of the user waits, or comes first.
  const LockTable::Hold held(core_->user_locks, {prefix});
  storage::ImpressionRecord record;
  record.set_scenario(impression.scenario);
  for (const std::string& id : impression.item_ids) record.add_item_ids(id);
  rocksdb::WriteBatch batch;
  PutRecord(batch, core_->family(kImpressions),
            ImpressionKey(prefix, ToMicros(impression.time), impression.recommendation_id), record);
  return core_->Write(batch);
}

absl::StatusOr<std::vector<Impression>> FeatureStore::ListImpressions(absl::string_view catalog,
                                                                      absl::string_view user_id,
                                                                      int limit) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("user_id", user_id, core_->options.limits));
  PALATE_ASSIGN_OR_RETURN(const int count, CheckPageSize(limit, core_->options.limits));
  const std::string prefix = UserPrefix(access.state->number, user_id);
  std::vector<Impression> impressions;
  PALATE_RETURN_IF_ERROR(core_->ScanPrefix(
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

}  // namespace palate::featurestore
