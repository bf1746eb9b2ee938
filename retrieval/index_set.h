// The indexes of all catalogs, the pool that searches run on, and the thread that merges in the
// background.
//
// Thread-safe. CPU rule: searches run on the pool only, each with one OpenMP thread, parallel
// across queries.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "retrieval/index.h"

namespace palate::retrieval {

struct IndexSetOptions {
  int search_threads = 2;
  size_t search_queue_limit = 256;  // searches that wait; one more is ResourceExhausted
  IndexOptions index = {};
  // Where snapshots are kept; empty: none are written or read.
  std::string snapshot_dir = {};
  // How often a snapshot is written when something changed; zero: only by Save() and at the end.
  absl::Duration snapshot_interval = absl::Minutes(5);
};

struct IndexSetStats {
  std::vector<CatalogStats> catalogs;  // by name
  std::string
      position;  // the feed position that the indexes have reached; empty before the first listing
  absl::Time last_snapshot = absl::InfinitePast();
  int64_t snapshots_set_aside = 0;  // unreadable files found at start
  size_t queued_searches = 0;
};

class IndexSet {
 public:
  // Loads the snapshots of `snapshot_dir`, if any: unreadable ones are set aside and said, never
  // fatal. Logs the SIMD level and the BLAS in use. Borrows `factory` (FaissSegments() of
  // retrieval/faiss_segment.h) and `clock`. Fails only where the directory cannot be made or read.
  static absl::StatusOr<std::unique_ptr<IndexSet>> Create(IndexSetOptions options,
                                                          const VectorSegmentFactory& factory,
                                                          const Clock& clock);
  // Stops the background thread, runs the searches that wait, and writes a last snapshot.
  ~IndexSet();
  IndexSet(const IndexSet&) = delete;
  IndexSet& operator=(const IndexSet&) = delete;

  // Queues the search; `done` is called once, from a pool thread, or from this one when the request
  // is refused at once: NotFound for an unknown catalog, ResourceExhausted when the queue is full,
  // otherwise as CatalogIndex::Search.
  using SearchDone = std::function<void(absl::StatusOr<SearchResponse>)>;
  void SearchAsync(const std::string& catalog, SearchRequest request, SearchDone done);
  // The same, waiting for the answer. Not to be called from a thread of the pool.
  absl::StatusOr<SearchResponse> Search(const std::string& catalog, SearchRequest request);

  // NotFound for an unknown catalog.
  absl::StatusOr<std::shared_ptr<CatalogIndex>> Find(const std::string& catalog) const;
  struct UpsertResult {
    std::shared_ptr<CatalogIndex> index;
    bool created = false;
    bool needs_listing = false;  // new, or as CatalogIndex::SetCatalog says
  };
  // Makes the catalog's index, or gives it new declarations.
  UpsertResult Upsert(CatalogConfig config);
  // Drops the catalog; its snapshot goes with the next Save(). False when there was none.
  bool Drop(const std::string& catalog);
  std::vector<std::string> Catalogs() const;

  // The feed position up to which every change is applied; empty: none, everything has to be
  // listed.
  std::string position() const;
  void SetPosition(std::string position);
  // Catalogs that came from a snapshot of position(): they need no listing.
  std::vector<std::string> RestoredCatalogs() const;

  // Writes a snapshot of every catalog now. FailedPrecondition without a snapshot_dir. Thread-safe;
  // concurrent calls wait.
  absl::Status Save();

  IndexSetStats GetStats() const;

 private:
  struct Impl;
  explicit IndexSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::retrieval
