// Keeps the indexes equal to the feature store: lists, then watches the change feed, resumes by
// token, heals by itself.
//
// One thread of its own. Thread-safe. While the store is down, searches go on with what the indexes
// hold; the follower reconnects with a backoff of at most 2 s, so it follows again within 5 s of
// the store's return. Where the feed was trimmed (OutOfRange) or a snapshot is missing, catalogs
// are listed anew: items that the listing does not name are removed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

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
  // How old the oldest change is that is known of and not applied; zero when caught up. Grows while
  // the store is down.
  absl::Duration lag = absl::ZeroDuration();
  int64_t changes = 0;     // feed entries applied since the start
  int64_t listings = 0;    // catalogs listed since the start
  int64_t reconnects = 0;  // times the store was lost
};

class Follower {
 public:
  // Borrows all three; they must outlive the follower.
  Follower(ChangeSource& source, IndexSet& indexes, const Clock& clock,
           FollowerOptions options = {});
  // Stops.
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void Start();
  // Cancels the call in progress and joins the thread; later calls do nothing.
  void Stop();

  bool ready() const;
  FollowerStats GetStats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::retrieval
