// What is trending in one catalog: items by time-decayed popularity, kept in memory and in order
// with each event.
//
// The truth is on disk (counters by hour and item). A board holds, for one half-life, each item's
// sum of weight * 2^(time / half-life) relative to a reference time. All sums decay alike, so time
// never changes their order: an event moves one item, and nothing has to be aged or ranked again.
// A board keeps the order of its head only. Items that are hidden, deleted or expired leave the
// head; when it runs dry, it is filled anew from the sums, beside the writers.
//
// What is expired by the store's clock is gone from the head, also for a request about an earlier
// time; and all events count, also those after the request's time.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "domain/item.h"
#include "featurestore/storage/locks.h"
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

// Where a board gets the truth from. Used by one call at a time.
class PopularitySource {
 public:
  virtual ~PopularitySource() = default;
  // Fixes the moment whose counters Scan() reads.
  virtual void Pin() = 0;
  // Every counter from `oldest_bucket_us` on, as of Pin().
  virtual absl::Status Scan(int64_t oldest_bucket_us,
                            const std::function<void(const PopularityDelta&)>& visit) const = 0;
  // By element, as of now.
  virtual absl::StatusOr<std::vector<Availability>> Available(
      const std::vector<std::string>& item_ids) const = 0;
};

class TrendingBoards {
 public:
  // The best `num` items that are expired neither at `now` (the store's clock) nor at `at`, as of
  // the last event. Scores are relative to `newest_us`, the time of the catalog's newest event.
  // Makes the board from disk when there is none of this half-life (whole hours). UNAVAILABLE when
  // boards are dropped for others again and again.
  absl::StatusOr<std::vector<ScoredItem>> Top(absl::Duration half_life, int num, absl::Time at,
                                              absl::Time now, int64_t newest_us,
                                              PopularitySource& source)
      ABSL_LOCKS_EXCLUDED(mutex_, build_mutex_);

  // Runs `write`, which commits the deltas to disk, and then applies them. Waits for nobody but a
  // board that fixes the moment from which it is made.
  absl::Status CommitEvents(const std::vector<PopularityDelta>& deltas,
                            absl::FunctionRef<absl::Status()> write) ABSL_LOCKS_EXCLUDED(mutex_);
  // After the commit of a change to the item.
  void ItemChanged(absl::string_view item_id, const Availability& availability)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class Shown : uint8_t { kUnknown, kYes, kNo };
  static constexpr int64_t kNeverUs = std::numeric_limits<int64_t>::max();

  struct Entry {
    std::string item_id;  // never changes
    double score = 0;
    int64_t expire_us = kNeverUs;
    Shown shown = Shown::kUnknown;
    bool in_head = false;
  };
  // An entry at the score that it was ordered by.
  struct Ranked {
    double score = 0;
    Entry* entry = nullptr;  // null: before or after all, by the score
    // Best first, ties by id.
    bool operator<(const Ranked& other) const {
      if (score != other.score) return score > other.score;
      if (entry == nullptr || other.entry == nullptr) return other.entry != nullptr;
      return entry->item_id < other.entry->item_id;
    }
  };
  struct Board {
    int64_t hours = 0;
    int64_t reference_us = 0;
    int64_t halvings = 0;  // how often all scores were halved since the board was made
    int64_t used = 0;
    std::deque<Entry> entries;  // addresses stay
    absl::flat_hash_map<absl::string_view, Entry*> entry_of;
    // The best entries that may be shown or of which that is not known. No other one is before
    // `floor`; `complete`: there is no other one.
    std::set<Ranked> head;
    Ranked floor{std::numeric_limits<double>::infinity(), nullptr};
    bool complete = false;
    // While the head is filled: entries that changed since.
    bool filling = false;
    std::vector<Entry*> touched;
  };
  // One look at the head.
  struct Look {
    std::vector<ScoredItem> top;
    std::vector<std::string> unknown;  // what has to be known first
    bool dry = false;                  // the head has to be filled first
  };

  static void Add(Board& board, const PopularityDelta& delta);
  static void Place(Board& board, Entry& entry);
  static void TakeOut(Board& board, Entry& entry);
  static void SetAvailability(Board& board, Entry& entry, const Availability& availability);
  static void Rebase(Board& board, int64_t reference_us);

  Board* FindLocked(int64_t hours) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Build(int64_t hours, int64_t newest_us, PopularitySource& source)
      ABSL_LOCKS_EXCLUDED(mutex_, build_mutex_);
  // False when the board is gone.
  bool LookAt(int64_t hours, size_t num, int64_t at_us, int64_t now_us, int64_t newest_us,
              Look& look) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Learn(int64_t hours, const std::vector<std::string>& item_ids,
                     const PopularitySource& source) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Fill(int64_t hours, size_t num, int64_t now_us, const PopularitySource& source)
      ABSL_LOCKS_EXCLUDED(mutex_, build_mutex_);
  // Every entry that may be shown, or of which that is not known; collected in short steps.
  std::vector<Ranked> Collect(int64_t hours, int64_t now_us) ABSL_LOCKS_EXCLUDED(mutex_);

  // Shared: from the commit of events to their effect here. Exclusive: the moment from which a
  // board is made.
  RwLock commits_;
  Mutex build_mutex_;    // held while a board is made or a head is filled; taken before the others
  mutable Mutex mutex_;  // held for short steps only: writers take it
  std::vector<std::unique_ptr<Board>> boards_ ABSL_GUARDED_BY(mutex_);
  bool building_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<PopularityDelta> missed_ ABSL_GUARDED_BY(mutex_);  // since the moment of the board
  int64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace palate::featurestore
