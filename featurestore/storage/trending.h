// What is trending in one catalog: items by time-decayed popularity, kept in memory and brought up
// to date with each event.
//
// The truth is on disk (counters by hour and item). A board holds, for one half-life, each item's
// sum of weight * 2^(time / half-life) relative to a reference time, so that an event adds to one
// number and nothing has to be aged; ranks are taken again at most once in a refresh interval. An
// item that is hidden, expired or deleted leaves the list at once.
//
// Thread-safe, except that Build() must not run beside ApplyEvents(): an event would count twice or
// never.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "domain/item.h"
#include "featurestore/types.h"

namespace palate::featurestore {

inline constexpr int64_t kPopularityBucketUs = int64_t{3600} * 1'000'000;
// The start of the bucket that holds `time_us`.
inline int64_t PopularityBucket(int64_t time_us) { return time_us - time_us % kPopularityBucketUs; }

struct PopularityDelta {
  std::string item_id;
  int64_t bucket_us = 0;
  int64_t micros = 0;  // millionths of an event's weight; negative when a purge takes it back
};

// May the item be shown, and until when.
struct Availability {
  bool visible = false;
  std::optional<absl::Time> expire_time;
};

// Where a board gets the truth from.
class PopularitySource {
 public:
  virtual ~PopularitySource() = default;
  // Every counter from `oldest_bucket_us` on.
  virtual absl::Status Scan(int64_t oldest_bucket_us,
                            const std::function<void(const PopularityDelta&)>& visit) const = 0;
  // By element.
  virtual absl::StatusOr<std::vector<Availability>> Available(
      const std::vector<std::string>& item_ids) const = 0;
};

class TrendingBoards {
 public:
  // Whether a board of this half-life (whole hours) is kept.
  bool Has(absl::Duration half_life) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes the board from disk. `newest_us`: the catalog's newest event.
  absl::Status Build(absl::Duration half_life, int64_t newest_us, const PopularitySource& source)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The best `num` items that are not expired at `at`. `now` (the store's clock) decides whether
  // ranks are older than `refresh`. NOT_FOUND when there is no such board: it was dropped for
  // others, build it again.
  absl::StatusOr<std::vector<ScoredItem>> Top(absl::Duration half_life, int num, absl::Time at,
                                              absl::Time now, absl::Duration refresh,
                                              int64_t newest_us, const PopularitySource& source)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // After the commit of events, or of their removal.
  void ApplyEvents(const std::vector<PopularityDelta>& deltas) ABSL_LOCKS_EXCLUDED(mutex_);
  // After the commit of a change to the item.
  void ItemChanged(absl::string_view item_id, const Availability& availability)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    std::string item_id;
    double score = 0;
    std::optional<absl::Time> expire_time;
  };
  using List = std::vector<Entry>;
  struct Board {
    int64_t hours = 0;
    int64_t reference_us = 0;
    absl::flat_hash_map<std::string, double> scores;
    size_t wanted = 0;  // the most items ever asked for
    bool stale = true;
    absl::Time ranked = absl::InfinitePast();
    absl::Time used = absl::InfinitePast();
    std::shared_ptr<const List> list;
  };

  // Lists are short-lived behind their own lock, so that readers do not wait while ranks are taken.
  struct Published {
    int64_t hours = 0;
    std::shared_ptr<const List> list;
    size_t wanted = 0;
    bool stale = true;
    absl::Time ranked = absl::InfinitePast();
  };

  Board* FindLocked(int64_t hours) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RankLocked(Board& board, int64_t newest_us, const PopularitySource& source)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PublishLocked(const Board& board) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::vector<Board> boards_ ABSL_GUARDED_BY(mutex_);
  mutable Mutex published_mutex_ ABSL_ACQUIRED_AFTER(mutex_);
  std::vector<Published> published_ ABSL_GUARDED_BY(published_mutex_);
  bool ranking_ ABSL_GUARDED_BY(published_mutex_) = false;
};

}  // namespace palate::featurestore
