#include "featurestore/items/item_lists.h"

#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

// The popularity counters and the items' visibility, as a trending board reads them. Thread-safe.
// Borrows the database. Reads what is newest: an item that is hidden before the read does not come
// back.
class PopularityReader final : public PopularitySource {
 public:
  PopularityReader(const Database& database, uint32_t catalog)
      : database_(database), catalog_(catalog) {}

  absl::Status Scan(int64_t oldest_bucket_us,
                    const std::function<void(const PopularityDelta&)>& visit) const override {
    const std::string prefix = CounterPrefix(catalog_, CounterTag::kPopularity);
    return database_.ScanPrefix(
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

  absl::StatusOr<std::vector<Availability>> Available(
      const std::vector<std::string>& item_ids) const override {
    std::vector<std::string> keys;
    for (const std::string& id : item_ids) keys.push_back(ItemKey(catalog_, id));
    PALATE_ASSIGN_OR_RETURN(const auto records,
                            database_.MultiGetRecords<storage::ItemRecord>(kItems, keys));
    std::vector<Availability> available(item_ids.size());
    for (size_t i = 0; i < records.size(); ++i) {
      if (!records[i].has_value() || records[i]->hidden()) continue;
      available[i].visible = true;
      if (records[i]->has_expire_time_us())
        available[i].expire_time = FromMicros(records[i]->expire_time_us());
    }
    return available;
  }

 private:
  const Database& database_;
  const uint32_t catalog_;
};

}  // namespace

absl::StatusOr<std::vector<ScoredItem>> ReadFreshItems(const Database& database,
                                                       const CatalogState& state, int count,
                                                       absl::Time request_time,
                                                       const rocksdb::ReadOptions& read) {
  std::vector<ScoredItem> items;
  if (count == 0) return items;

  const std::string prefix = CounterPrefix(state.number(), CounterTag::kFresh);
  std::string from = prefix;
  AppendInvertedTime(ToMicros(request_time), from);
  PALATE_RETURN_IF_ERROR(database.ScanPrefix(
      kCounters, prefix, from, read,
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
        if (expire_us != 0 && FromMicros(static_cast<int64_t>(expire_us)) <= request_time)
          return true;

        fresh.score = static_cast<double>(created_us) * 1e-6;
        items.push_back(std::move(fresh));
        return items.size() < static_cast<size_t>(count);
      }));
  return items;
}

absl::StatusOr<std::vector<ScoredItem>> ReadTrendingItems(Storage& storage, CatalogState& state,
                                                          int count, absl::Duration half_life,
                                                          absl::Time request_time) {
  const StoreOptions& options = storage.options();
  const int64_t newest_us = state.newest_event_us();
  if (count == 0 || newest_us < 0) return std::vector<ScoredItem>();

  const PopularityReader source(storage.database(), state.number());
  // A board can be dropped for others between its making and its reading; then it is made again.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (!state.trending().Has(half_life)) {
      // No event may be committed meanwhile: it would be counted twice or never.
      const ExclusiveHold alone(state.lifecycle());
      PALATE_RETURN_IF_ERROR(state.trending().Build(half_life, state.newest_event_us(), source));
    }
    absl::StatusOr<std::vector<ScoredItem>> top =
        state.trending().Top(half_life, count, request_time, options.clock->Now(),
                             options.trending_refresh, newest_us, source);
    if (top.ok() || !absl::IsNotFound(top.status())) return top;
  }
  return absl::UnavailableError("too many different trending half-lives are asked for at once");
}

}  // namespace palate::featurestore
