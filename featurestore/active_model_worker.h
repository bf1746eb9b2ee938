// Keeps what is new findable while a catalog changes its model: follows the change feeds of a
// feature store in the same process, and gives new and changed items vectors of the active model,
// with which searches find them until the change ends. EmbeddingWorker makes those of the model
// that a space changes to; it may take hours, hang or fail without delaying this one. One thread.
//
// Usage:
//   ActiveModelWorker active(&store, &embedder);  // beside EmbeddingWorker worker(...)
//   if (active.stats().failed_calls > 0) return active.stats().last_error;
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "domain/catalog.h"
#include "domain/vector.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/feature_store.h"

namespace palate::featurestore {

struct ActiveModelWorkerOptions {
  int batch_items = 32;                                // at most so many items in one EmbedFor call
  absl::Duration retry_min = absl::Milliseconds(100);  // first wait after a failed call; doubles
  absl::Duration retry_max = absl::Seconds(2);
  absl::Duration rescan = absl::Seconds(30);  // the feeds are read at least this often
};

// Thread-safe. Borrows `store` and `embedder`; both must outlive it.
class ActiveModelWorker {
 public:
  struct Stats {
    int64_t embedded = 0;
    int64_t failed_calls = 0;  // tried again later
    absl::Status last_error;
  };

  // Starts at once.
  ActiveModelWorker(FeatureStore* store, ItemEmbedder* embedder,
                    ActiveModelWorkerOptions options = {});
  ~ActiveModelWorker();  // stops after the running EmbedFor call
  ActiveModelWorker(const ActiveModelWorker&) = delete;
  ActiveModelWorker& operator=(const ActiveModelWorker&) = delete;

  Stats stats() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Stopping() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The thread's loop, and the parts of one round. An error: the rest is tried again later.
  void Run();
  absl::Status RunRound();
  absl::Status RunCatalog(const Catalog& catalog);
  // The changes after the catalog's position; from the feed's beginning where there is none, or
  // where it is of another history.
  absl::StatusOr<ChangeBatch> NextChanges(const Catalog& catalog);
  absl::Status Embed(const Catalog& catalog, const std::vector<SpaceKey>& active,
                     const std::vector<std::string>& item_ids) ABSL_LOCKS_EXCLUDED(mutex_);

  FeatureStore* const store_;
  ItemEmbedder* const embedder_;
  const ActiveModelWorkerOptions options_;

  // Used by the thread only: up to where the feeds of catalogs that change have been read, by
  // catalog id. Lost at the end of the process: then the feed is read from its beginning.
  std::map<std::string, std::string> positions_;

  mutable Mutex mutex_;
  mutable CondVar wake_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);

  const int64_t listener_;
  std::thread thread_;  // last, so that it starts when all the rest is there
};

}  // namespace palate::featurestore
