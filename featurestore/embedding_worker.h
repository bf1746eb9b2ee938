// The embedding worker: follows the backlog of a feature store in the same process, has its items
// turned into vectors, and stores these. One thread. Nothing is lost while the embedder is
// unavailable: items stay pending in the store and are retried with backoff.
//
// Usage:
//   EmbeddingWorker worker(&store, &embedder);  // embedder: an ItemEmbedder
//   if (!worker.WaitUntilIdle(absl::Now() + absl::Minutes(1))) {
//     return absl::DeadlineExceededError(worker.stats().last_error.ToString());
//   }
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "domain/catalog.h"
#include "domain/item.h"
#include "domain/limits.h"
#include "domain/part_failure.h"
#include "domain/vector.h"
#include "featurestore/feature_store.h"

namespace palate::featurestore {

// The parts of one item that an embedder gets.
struct EmbedItem {
  std::string item_id;
  std::vector<std::string> text_fields;  // field 1: title and attributes; field 2: description;
                                         // absent fields are left out
  std::vector<std::string> images;       // encoded bytes
  // What is beyond EmbedItemLimits, by its path in the item.
  std::vector<PartFailure> left_out = {};
};

// What of one item is embedded, so that it fits into a message of the embedding service.
struct EmbedItemLimits {
  size_t field_bytes = kMaxEmbedFieldBytes;  // of one text field; the rest is not read
  size_t image_bytes = 30u << 20;            // of its first pictures together; others are left out
};

// What an embedder made of one item.
struct EmbeddedItem {
  std::vector<SpaceVector> vectors;
  // Parts without a share in them, by their path in EmbedItem: "fields[0]", "images[1]", "fused".
  std::vector<PartFailure> failed_parts = {};
};

// Title and attributes as one line of text: "Toy Story (1995). genres: Adventure, Animation; year:
// 1995". Attributes by name.
std::string TitleField(const Item& item);
EmbedItem ToEmbedItem(const StoredItem& item, const EmbedItemLimits& limits = {});

// Turns items into vectors. Implemented over EmbeddingService by services/, in process by batch
// tools. Thread-safe: EmbeddingWorker and ActiveModelWorker call it, each from its thread.
class ItemEmbedder {
 public:
  virtual ~ItemEmbedder() = default;

  // The spaces that the catalog's models fill now, with their fingerprints. UNAVAILABLE: tried
  // again later.
  virtual absl::StatusOr<std::vector<SpaceKey>> Spaces(const Catalog& catalog) = 0;

  // By item: its vectors, or why it cannot have any. The outer status fails the call as a whole:
  // every code is tried again later. An element's UNAVAILABLE, RESOURCE_EXHAUSTED,
  // DEADLINE_EXCEEDED, CANCELLED and ABORTED are tried again; INTERNAL and UNKNOWN too, but at most
  // EmbeddingWorkerOptions::item_attempts times; other codes fail the item, or the part of it that
  // has them. An item without vectors is an element of an empty list.
  virtual absl::StatusOr<std::vector<absl::StatusOr<EmbeddedItem>>> Embed(
      const Catalog& catalog, const std::vector<EmbedItem>& items) = 0;

  // By item: its vectors of the models `spaces`, whatever the catalog declares now; none of those
  // that no loaded model makes, and none for an item that cannot be embedded. An error is tried
  // again later. An embedder that has only the models of Spaces() makes none.
  virtual absl::StatusOr<std::vector<std::vector<SpaceVector>>> EmbedFor(
      const Catalog& /*catalog*/, const std::vector<SpaceKey>& /*spaces*/,
      const std::vector<EmbedItem>& items) {
    return std::vector<std::vector<SpaceVector>>(items.size());
  }
};

struct EmbeddingWorkerOptions {
  int batch_items = 32;                  // at most so many items in one Embed call
  int64_t batch_image_bytes = 16 << 20;  // nor more encoded bytes; one item is always sent
  absl::Duration retry_min = absl::Milliseconds(100);  // first wait after a failed call; doubles
  absl::Duration retry_max =
      absl::Seconds(2);  // short, so that an embedder that is back is used within 5 s
  // An item that fails with INTERNAL or UNKNOWN may fail because of the model or the device. It is
  // embedded so often in all, with pauses that double; then it has failed until it or the model
  // changes. Other items do not wait for it.
  int item_attempts = 8;
  absl::Duration item_retry_min = absl::Seconds(1);
  absl::Duration item_retry_max = absl::Minutes(1);
  absl::Duration rescan =
      absl::Seconds(30);  // models and backlog are read again at least this often
};

// Thread-safe. Borrows `store` and `embedder`; both must outlive it.
class EmbeddingWorker {
 public:
  struct Stats {
    int64_t embedded = 0;
    int64_t failed = 0;        // items that cannot be embedded
    int64_t failed_calls = 0;  // tried again later
    absl::Status last_error;
  };

  // Starts at once.
  EmbeddingWorker(FeatureStore* store, ItemEmbedder* embedder, EmbeddingWorkerOptions options = {});
  ~EmbeddingWorker();  // stops after the running Embed call
  EmbeddingWorker(const EmbeddingWorker&) = delete;
  EmbeddingWorker& operator=(const EmbeddingWorker&) = delete;

  Stats stats() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until every catalog's backlog is empty; items that failed for good do not count. False
  // when `deadline` passed.
  bool WaitUntilIdle(absl::Time deadline) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // How one pass over the backlog ended.
  enum class Round { kClean, kRetry };

  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Stopping() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The thread's loop, and the parts of one round.
  void Run();
  Round RunRound();
  Round RunCatalog(const Catalog& catalog);
  // Embeds `pending` and stores the results. `stop`: the rest of the catalog has to wait for the
  // next round.
  Round EmbedAndStore(const Catalog& catalog, const std::vector<StoredItem>& pending, bool& stop);
  // Tells the store which models fill the catalog's spaces now.
  absl::Status LearnTargets(const Catalog& catalog);
  // OK also when the item has changed since. Other codes: try again.
  absl::Status Store(const Catalog& catalog, const Item& item,
                     const absl::StatusOr<EmbeddedItem>& embedded);
  // Whether a part of the item is to be tried again. If so, its vectors are stored meanwhile, and
  // `status` says whether that worked.
  bool StoreInPart(const Catalog& catalog, const Item& item, const EmbeddedItem& embedded,
                   absl::Status& status);
  // True when a refusal was about the vectors' fingerprint, not about the item's revision.
  bool StillPending(const std::string& catalog, const Item& item) const;
  // Whether the item's next attempt is due; false for a while after it failed.
  bool IsDue(const std::string& catalog, const Item& item);
  // Notes a failed attempt. True when another one will follow.
  bool TryLater(const std::string& catalog, const Item& item);
  // When the first of the items that failed is due; InfiniteFuture without any.
  absl::Time NextAttempt() const;
  // Counts a failed call.
  Round Retry(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  FeatureStore* const store_;
  ItemEmbedder* const embedder_;
  const EmbeddingWorkerOptions options_;

  // Used by the thread only: the revision at which each catalog's targets were set in the
  // store, by catalog id.
  std::map<std::string, int64_t> targets_known_;
  // Used by the thread only: items that failed and are tried again, by catalog and item id.
  struct Attempts {
    int64_t revision = 0;
    int failed = 0;
    absl::Time next;
  };
  std::map<std::pair<std::string, std::string>, Attempts> attempts_;

  mutable Mutex mutex_;
  mutable CondVar wake_;
  mutable CondVar round_done_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  bool in_round_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);

  const int64_t listener_;
  std::thread thread_;  // last, so that it starts when all the rest is there
};

}  // namespace palate::featurestore
