#include "featurestore/items/item_lists.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

// The popularity counters and the items' visibility, as a trending board reads them.
// Borrows the database. Availability is what is newest: an item that is hidden before the read does
// not come back.
class PopularityReader final : public PopularitySource {
 public:
  PopularityReader(const Database& database, uint32_t catalog)
      : database_(database), catalog_(catalog) {}

  void Pin() override { pinned_.emplace(database_); }

  absl::Status Scan(int64_t oldest_bucket_us,
                    const std::function<void(const PopularityDelta&)>& visit) const override {
    const std::string prefix = CounterPrefix(catalog_, CounterTag::kPopularity);
    return database_.ScanPrefix(
        kCounters, prefix, "", pinned_.has_value() ? pinned_->read() : rocksdb::ReadOptions(),
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
  std::optional<Snapshot> pinned_;
};

// Walks over the rows of fresh items, newest first. Skips runs of expired rows that are known, and
// notes those that it found.
class FreshScan {
 public:
  FreshScan(Storage& storage, CatalogState& state, int count, absl::Time at, int64_t begun,
            const rocksdb::ReadOptions& read)
      : database_(storage.database()),
        runs_(state.expired_fresh()),
        prefix_(CounterPrefix(state.number(), CounterTag::kFresh)),
        count_(static_cast<size_t>(count)),
        at_us_(ToMicros(at)),
        now_us_(ToMicros(storage.options().clock->Now())),
        begun_(begun),
        read_(read) {}

  absl::StatusOr<std::vector<ScoredItem>> Run() {
    std::string from = prefix_;
    AppendInvertedTime(at_us_, from);
    do {
      next_.clear();
      PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
          kCounters, prefix_, from, read_,
          [this](absl::string_view key, absl::string_view value) { return Visit(key, value); }));
      from = next_;
    } while (!next_.empty());
    if (items_.size() < count_) EndRun(PrefixEnd(prefix_));
    return std::move(items_);
  }

 private:
  // Shorter runs cost less to walk over than to remember.
  static constexpr int kMinNewRows = 64;

  absl::StatusOr<bool> Visit(absl::string_view key, absl::string_view value) {
    int64_t created_us = 0;
    ScoredItem fresh;
    absl::string_view rest = key.substr(prefix_.size());
    if (!ConsumeInvertedTime(rest, created_us) || !ConsumeId(rest, fresh.item_id))
      return absl::DataLossError("a stored fresh item has a damaged key");
    uint64_t expire_us = 0;
    if (!value.empty() && !ConsumeBigEndian64(value, expire_us))
      return absl::DataLossError("a stored fresh item is damaged");

    if (expire_us != 0 && static_cast<int64_t>(expire_us) <= at_us_)
      return PassOver(key, static_cast<int64_t>(expire_us));
    EndRun(key);
    fresh.score = static_cast<double>(created_us) * 1e-6;
    items_.push_back(std::move(fresh));
    return items_.size() < count_;
  }

  // False when the scan goes on at next_.
  bool PassOver(absl::string_view key, int64_t expire_us) {
    if (run_.first.empty()) run_ = {.first = std::string(key), .end = "", .expired_by_us = 0};
    if (const auto known = runs_.Find(key, at_us_); known.has_value()) {
      run_.expired_by_us = std::max(run_.expired_by_us, known->expired_by_us);
      next_ = known->end;
      return false;
    }
    run_.expired_by_us = std::max(run_.expired_by_us, expire_us);
    ++new_rows_;
    return true;
  }

  void EndRun(absl::string_view end) {
    // What a request about the future passes over may have to be found now.
    if (new_rows_ >= kMinNewRows && run_.expired_by_us <= now_us_) {
      run_.end = std::string(end);
      runs_.Add(begun_, std::move(run_));
    }
    run_ = {};
    new_rows_ = 0;
  }

  const Database& database_;
  ExpiredRuns& runs_;
  const std::string prefix_;
  const size_t count_;
  const int64_t at_us_;
  const int64_t now_us_;
  const int64_t begun_;
  const rocksdb::ReadOptions& read_;
  std::vector<ScoredItem> items_;
  ExpiredRuns::Run run_;  // the one that the scan is in
  int new_rows_ = 0;      // of it, that were not known
  std::string next_;
};

}  // namespace

absl::StatusOr<std::vector<ScoredItem>> ReadFreshItems(Storage& storage, CatalogState& state,
                                                       int count, absl::Time request_time,
                                                       int64_t begun,
                                                       const rocksdb::ReadOptions& read) {
  if (count == 0) return std::vector<ScoredItem>();
  FreshScan scan(storage, state, count, request_time, begun, read);
  return scan.Run();
}

absl::StatusOr<std::vector<ScoredItem>> ReadTrendingItems(Storage& storage, CatalogState& state,
                                                          int count, absl::Duration half_life,
                                                          absl::Time request_time) {
  const int64_t newest_us = state.newest_event_us();
  if (count == 0 || newest_us < 0) return std::vector<ScoredItem>();

  PopularityReader source(storage.database(), state.number());
  return state.trending().Top(half_life, count, request_time, storage.options().clock->Now(),
                              newest_us, source);
}

}  // namespace palate::featurestore
