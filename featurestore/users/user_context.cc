// GetUserContext: all that one request's hydrate stage needs, in few reads of one snapshot.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/items/stored_item_reader.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/users/popularity_reader.h"
#include "featurestore/validate.h"

namespace palate::featurestore {

absl::Status PopularityReader::Scan(
    int64_t oldest_bucket_us, const std::function<void(const PopularityDelta&)>& visit) const {
  const std::string prefix = CounterPrefix(catalog_, CounterTag::kPopularity);
  return core_.ScanPrefix(
      kCounters, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        PopularityDelta counter;
        key.remove_prefix(prefix.size());
        if (!ConsumeInvertedTime(key, counter.bucket_us) || !ConsumeId(key, counter.item_id)) {
          return absl::DataLossError("a stored popularity counter has a damaged key");
        }
        if (counter.bucket_us < oldest_bucket_us - kPopularityBucketUs) return false;
        PALATE_ASSIGN_OR_RETURN(counter.micros, DecodeCount(value));
        visit(counter);
        return true;
      });
}

absl::StatusOr<std::vector<Availability>> PopularityReader::Available(
    const std::vector<std::string>& item_ids) const {
  std::vector<std::string> keys;
  for (const std::string& id : item_ids) keys.push_back(ItemKey(catalog_, id));
  PALATE_ASSIGN_OR_RETURN(const auto records,
                          core_.MultiGetRecords<storage::ItemRecord>(kItems, keys));
  std::vector<Availability> available(item_ids.size());
  for (size_t i = 0; i < records.size(); ++i) {
    if (!records[i].has_value() || records[i]->hidden()) continue;
    available[i].visible = true;
    if (records[i]->has_expire_time_us())
      available[i].expire_time = FromMicros(records[i]->expire_time_us());
  }
  return available;
}

namespace {

absl::Status Validate(const UserContextQuery& query, const UserContextOptions& options,
                      const StoreLimits& limits) {
  const auto within = [](absl::string_view field, int value, int max) -> absl::Status {
    if (value >= 0 && value <= max) return absl::OkStatus();
    return InvalidField(field, absl::StrCat("is ", value), absl::StrCat("from 0 to ", max));
  };
  PALATE_RETURN_IF_ERROR(within("max_events", query.max_events, limits.max_context_events));
  PALATE_RETURN_IF_ERROR(within("max_seen", options.max_seen, 1'000'000));
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

// Builds one answer. Borrows everything; used by one thread. ReadUser() goes before ReadEvents().
class ContextReader {
 public:
  ContextReader(const StoreCore& core, const CatalogState& state, const UserContextQuery& query,
                int max_seen, const rocksdb::ReadOptions& read)
      : core_(core),
        state_(state),
        catalog_(state.Declarations()),
        prefix_(UserPrefix(state.number, query.user_id)),
        query_(query),
        max_seen_(static_cast<size_t>(max_seen)),
        read_(read),
        request_time_(query.request_time == absl::InfiniteFuture() ? core.Now()
                                                                   : query.request_time) {}

  absl::Status ReadUser(UserContext& context) {
    PALATE_ASSIGN_OR_RETURN(
        auto profile, core_.GetRecord<storage::UserRecord>(kUsers, ProfileKey(prefix_), read_));
    if (profile.has_value()) context.user = FromRecord(query_.user_id, *std::move(profile));
    PALATE_ASSIGN_OR_RETURN(const auto aggregate, core_.GetRecord<storage::UserAggregateRecord>(
                                                      kUsers, AggregateKey(prefix_), read_));
    if (!aggregate.has_value()) return absl::OkStatus();
    has_events_ = true;
    if (FromMicros(aggregate->newest_event_us()) > request_time_) {
      // A look into the past: the aggregate already holds what came later.
      PALATE_RETURN_IF_ERROR(MeanOfEarlierRatings());
    } else if (aggregate->num_ratings() > 0) {
      rating_mean_ = aggregate->rating_sum() / static_cast<double>(aggregate->num_ratings());
    }
    return ReadSeen(context);
  }

  absl::Status ReadEvents(UserContext& context) {
    if (!has_events_) return absl::OkStatus();

    PALATE_RETURN_IF_ERROR(ScanEvents([&](int64_t time_us, absl::string_view key,
                                          absl::string_view value) -> absl::StatusOr<bool> {
      if (context.events.size() >= static_cast<size_t>(query_.max_events)) {
        context.has_more_events = true;
        return false;
      }
      PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::EventRecord>(value, "event"));
      std::string event_id;
      if (!ConsumeId(key, event_id)) return absl::DataLossError("a stored event has a damaged key");
      ContextEvent event;
      event.event = FromRecord(query_.user_id, std::move(event_id), time_us, std::move(record));
      event.weight = Weight(event.event);
      context.events.push_back(std::move(event));
      return true;
    }));

    return ReadItems(context);
  }

  absl::Status ReadFresh(UserContext& context) {
    if (query_.num_fresh == 0) return absl::OkStatus();
    const std::string prefix = CounterPrefix(state_.number, CounterTag::kFresh);
    std::string from = prefix;
    AppendInvertedTime(ToMicros(request_time_), from);
    return core_.ScanPrefix(
        kCounters, prefix, from, read_,
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          int64_t created_us = 0;
          ScoredItem fresh;
          key.remove_prefix(prefix.size());
          if (!ConsumeInvertedTime(key, created_us) || !ConsumeId(key, fresh.item_id)) {
            return absl::DataLossError("a stored fresh item has a damaged key");
          }
          uint64_t expire_us = 0;
          if (!value.empty() && !ConsumeBigEndian64(value, expire_us))
            return absl::DataLossError("a stored fresh item is damaged");
          if (expire_us != 0 && FromMicros(static_cast<int64_t>(expire_us)) <= request_time_)
            return true;
          fresh.score = static_cast<double>(created_us) * 1e-6;
          context.fresh.push_back(std::move(fresh));
          return context.fresh.size() < static_cast<size_t>(query_.num_fresh);
        });
  }

  absl::Time request_time() const { return request_time_; }

 private:
  // Events up to the request's time, newest first: time, the key behind the time, value.
  using EventVisitor = std::function<absl::StatusOr<bool>(int64_t time_us, absl::string_view key,
                                                          absl::string_view value)>;
  absl::Status ScanEvents(const EventVisitor& visit) {
    std::string from = prefix_;
    AppendInvertedTime(ToMicros(request_time_), from);
    return core_.ScanPrefix(
        kEvents, prefix_, from, read_,
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          int64_t time_us = 0;
          key.remove_prefix(prefix_.size());
          if (!ConsumeInvertedTime(key, time_us))
            return absl::DataLossError("a stored event has a damaged key");
          return visit(time_us, key, value);
        });
  }

  absl::Status MeanOfEarlierRatings() {
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

  double Weight(const Event& event) const {
    const EventTypeDeclaration* type = FindEventType(*catalog_, event.type);
    if (type == nullptr) return 0;
    if (!type->value_is_rating) return type->weight;
    return rating_mean_.has_value() && event.value.has_value()
               ? type->weight * (*event.value - *rating_mean_)
               : 0;
  }

  absl::Status ReadSeen(UserContext& context) {
    const std::string prefix = SeenPrefix(prefix_);
    return core_.ScanPrefix(kUsers, prefix, "", read_,
                            [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
                              if (context.seen_item_ids.size() >= max_seen_) return false;
                              std::string id;
                              key.remove_prefix(prefix.size());
                              if (!ConsumeId(key, id))
                                return absl::DataLossError("a stored seen item has a damaged key");
                              context.seen_item_ids.push_back(std::move(id));
                              return true;
                            });
  }

  absl::Status ReadItems(UserContext& context) {
    PALATE_ASSIGN_OR_RETURN(
        const StoredItemReader reader,
        StoredItemReader::Create(core_, state_, {.spaces = query_.spaces}, read_));
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

  const StoreCore& core_;
  const CatalogState& state_;
  const std::shared_ptr<const Catalog> catalog_;
  const std::string prefix_;
  const UserContextQuery& query_;
  const size_t max_seen_;
  const rocksdb::ReadOptions read_;
  const absl::Time request_time_;
  bool has_events_ = false;
  std::optional<double> rating_mean_;  // of the user, up to the request's time
};

absl::Status ReadTrending(StoreCore& core, CatalogState& state, int num_trending,
                          absl::Duration half_life, absl::Time request_time, UserContext& context) {
  const int64_t newest_us = state.newest_event_us;
  if (num_trending == 0 || newest_us < 0) return absl::OkStatus();
  const PopularityReader source(core, state.number);
  // A board can be dropped for others between its making and its reading; then it is made again.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (!state.trending.Has(half_life)) {
      // No event may be committed beside: it would be counted twice or never.
      const ExclusiveHold alone(state.lifecycle);
      PALATE_RETURN_IF_ERROR(state.trending.Build(half_life, state.newest_event_us, source));
    }
    absl::StatusOr<std::vector<ScoredItem>> top =
        state.trending.Top(half_life, num_trending, request_time, core.Now(),
                           core.options.trending_refresh, newest_us, source);
    if (top.ok()) {
      context.trending = *std::move(top);
      return absl::OkStatus();
    }
    if (!absl::IsNotFound(top.status())) return top.status();
  }
  return absl::UnavailableError("too many different trending half-lives are asked for at once");
}

}  // namespace

absl::StatusOr<UserContext> FeatureStore::GetUserContext(const UserContextQuery& query,
                                                         const UserContextOptions& options) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(query.catalog));
  CatalogState& state = *access.state;
  // An anonymous session has no id and no rows.
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("user_id", query.user_id, core_->options.limits));
  PALATE_RETURN_IF_ERROR(Validate(query, options, core_->options.limits));

  UserContext context;
  context.catalog = *state.Declarations();
  const Snapshot snapshot(core_->db());
  ContextReader reader(*core_, state, query, options.max_seen, snapshot.read());
  if (!query.user_id.empty()) PALATE_RETURN_IF_ERROR(reader.ReadUser(context));
  PALATE_RETURN_IF_ERROR(reader.ReadEvents(context));
  PALATE_RETURN_IF_ERROR(reader.ReadFresh(context));
  PALATE_RETURN_IF_ERROR(ReadTrending(*core_, state, query.num_trending, options.trending_half_life,
                                      reader.request_time(), context));
  return context;
}

}  // namespace palate::featurestore
