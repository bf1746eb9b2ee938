// Keeps the indexes equal to the feature store: lists the catalogs once, then watches the change
// feed and resumes it by token.
//
// Usage:
//   Follower follower(source, indexes, clock);
//   follower.Start();
//   const FollowerStats stats = follower.GetStats();
//   if (!stats.connected) spdlog::warn("searches are {} behind", absl::FormatDuration(stats.lag));
//   follower.Stop();
//
// Thread-safe; the work happens on one background thread. While the store is down, searches use the
// items that are indexed. The follower reconnects with a backoff of at most 2 s, so that it follows
// the feed again within 5 s of the store's return. When the feed was trimmed, or its history is not
// the one that was followed (OutOfRange), or a snapshot is missing, it lists the catalogs again:
// the indexes then have what the store has, also where the store has gone back. A listing that was
// interrupted, by a restart too, starts again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "retrieval/change_source.h"
#include "retrieval/index_set.h"

namespace palate::retrieval {

struct FollowerOptions {
  absl::Duration watch_timeout = absl::Seconds(10);
  absl::Duration min_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(2);
};

struct FollowerStats {
  bool ready = false;      // every catalog was listed, or loaded from a snapshot, once
  bool connected = false;  // the last call to the store succeeded
  std::string last_error;  // empty while connected
  // The age of the oldest known change that is not applied yet; zero when there is none. Grows
  // while the store is down.
  absl::Duration lag = absl::ZeroDuration();
  int64_t changes = 0;     // feed entries applied since the start
  int64_t listings = 0;    // catalogs listed since the start
  int64_t reconnects = 0;  // how often the connection to the store was lost
};

class Follower {
 public:
  // Borrows all three; they must outlive the follower.
  Follower(ChangeSource& source, IndexSet& indexes, const Clock& clock,
           FollowerOptions options = {});
  // Calls Stop().
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  // Starts the thread. Called once.
  void Start();
  // Cancels the call in progress and joins the thread; later calls do nothing.
  void Stop();

  // As FollowerStats::ready.
  bool ready() const;
  FollowerStats GetStats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::retrieval
