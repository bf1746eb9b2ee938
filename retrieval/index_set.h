// The indexes of all catalogs, the thread pool that runs their searches, and the background thread
// that merges segments and writes snapshots.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexSet> indexes,
//                           IndexSet::Create({.search_threads = 2}, factory, clock));
//   const IndexSet::UpsertResult shop = indexes->Upsert(config);  // of catalog "shop"
//   PALATE_RETURN_IF_ERROR(shop.index->Apply(updates, {}).status());
//   PALATE_ASSIGN_OR_RETURN(const SearchResponse response, indexes->Search("shop", request));
//
// Thread-safe. Searches run on the pool only, each with one OpenMP thread, and are parallel across
// queries.
#pragma once

#include <functional>
#include <memory>
#include <string>
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
  // Requests that wait for a thread, each as one whatever the number of its queries; one more:
  // ResourceExhausted.
  size_t search_queue_limit = 256;
  IndexOptions index = {};
  // The folder of the snapshots; empty: none are written or read.
  std::string snapshot_dir = {};
  // Time between snapshots of changed indexes; zero: only Save() and the destructor write them.
  absl::Duration snapshot_interval = absl::Minutes(5);
};

struct IndexSetStats {
  std::vector<CatalogStats> catalogs;  // by name
  std::string position;  // the feed position of the indexes; empty before the first listing
  absl::Time last_snapshot = absl::InfinitePast();
  int64_t snapshots_set_aside = 0;  // unreadable files that Create() has renamed
  size_t queued_searches = 0;
};

class IndexSet {
 public:
  // Loads the snapshots of `snapshot_dir`, if any. An unreadable one is logged and renamed, and is
  // not an error. Logs the SIMD level and the BLAS in use. Borrows `factory` (FaissSegments() of
  // retrieval/faiss_segment.h) and `clock`, which must outlive the result. InvalidField for options
  // out of range; an error of the file system when the folder cannot be created or read.
  static absl::StatusOr<std::unique_ptr<IndexSet>> Create(IndexSetOptions options,
                                                          const VectorSegmentFactory& factory,
                                                          const Clock& clock);
  // Stops the background thread, runs the queued searches, and writes a snapshot if snapshots are
  // enabled and the indexes have changed.
  ~IndexSet();
  IndexSet(const IndexSet&) = delete;
  IndexSet& operator=(const IndexSet&) = delete;

  // Queues the search and calls `done` once, on a pool thread, with the result of
  // CatalogIndex::Search. Calls it on this thread with NotFound for an unknown catalog, and with
  // ResourceExhausted when the queue is full.
  using SearchDone = std::function<void(absl::StatusOr<SearchResponse>)>;
  void SearchAsync(const std::string& catalog, SearchRequest request, SearchDone done);
  // Waits for the result of SearchAsync. At the request's deadline it returns what there is: each
  // query that has not ended is DeadlineExceeded, or the request where no query could begin. Must
  // not be called on a thread of the pool.
  absl::StatusOr<SearchResponse> Search(const std::string& catalog, SearchRequest request);

  // NotFound for an unknown catalog.
  absl::StatusOr<std::shared_ptr<CatalogIndex>> Find(const std::string& catalog) const;
  struct UpsertResult {
    std::shared_ptr<CatalogIndex> index;
    bool created = false;
    bool needs_listing = false;  // CatalogIndex::listing_due, after the update
  };
  // Creates the catalog's index or updates its declarations. Replaces the index of a catalog with
  // another create_time.
  UpsertResult Upsert(CatalogConfig config);
  // Removes the catalog's index; the next Save() removes its snapshot. False when there was none.
  bool Drop(const std::string& catalog);
  std::vector<std::string> Catalogs() const;

  // The feed position up to which every change is applied; empty: all catalogs have to be listed.
  std::string position() const;
  void SetPosition(std::string position);
  // The catalogs of the loaded manifest. They are complete up to its position, unless a listing is
  // due.
  std::vector<std::string> RestoredCatalogs() const;

  // Writes snapshots of the changed catalogs and the manifest. Returns the position up to which the
  // snapshots have every change; one that was applied meanwhile may be in them too. Concurrent
  // calls wait for each other. FailedPrecondition without a snapshot_dir; InvalidArgument for a
  // catalog id that is not a valid file name; otherwise as WriteCatalogSnapshot.
  absl::StatusOr<std::string> Save();

  IndexSetStats GetStats() const;

 private:
  struct Impl;
  explicit IndexSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::retrieval
