// The searchable vectors of one catalog, in every space, with what filters need: exact, live, never
// blocking readers.
//
// Rows (one per item) live in immutable segments. Apply() puts what changed into a new small
// segment (the delta: searched exactly) and marks the rows it replaces as dead; Maintain(), in the
// background, merges small segments into large ones and drops dead rows. Each change publishes a
// new state by swapping a shared pointer, so a search works on one consistent state from its first
// to its last row.
//
// CatalogIndex is thread-safe. Searches never wait for writers or merges. Writers (Apply, Erase,
// RetainOnly, SetCatalog) wait for one another only; Maintain() does its long work without the
// writers' lock.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/call_context.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "domain/attribute.h"
#include "domain/catalog.h"
#include "domain/limits.h"
#include "domain/vector.h"
#include "retrieval/filter.h"

namespace palate::retrieval {

class RowSegment;
class StateEditor;
class VectorSegmentFactory;
struct IndexState;
struct SegmentView;

// An item as the feature store has it now: the whole of it, a space that is absent here has no
// vector any more.
struct ItemUpdate {
  std::string item_id;
  int64_t revision = 0;  // above 0
  Attributes attributes;
  bool hidden = false;
  std::optional<absl::Time> expire_time;
  std::vector<SpaceVector> vectors;  // unit length
};

struct ItemDelete {
  std::string item_id;
  int64_t revision = 0;  // of the deletion: older and equal revisions of the item vanish
};

// What one Apply() did.
struct ApplyResult {
  int64_t applied = 0;    // rows written or removed
  int64_t unchanged = 0;  // already so
  int64_t stale = 0;      // the index holds a newer revision
  int64_t refused_vectors =
      0;  // non-finite, not of unit length, or of another dimension than their space
};

// A catalog's declarations and, by space name, the fingerprint that the feature store has made the
// active one.
struct CatalogConfig {
  std::string id;
  absl::Time create_time =
      absl::UnixEpoch();  // tells a catalog from a deleted one of the same name
  std::vector<AttributeDeclaration> attributes;
  std::vector<std::string> spaces;  // declared names
  std::map<std::string, std::string>
      active_fingerprints;  // a declared space may be missing: nothing is embedded yet
  bool operator==(const CatalogConfig&) const = default;
};

// Many vectors to search with, and which items the request may see: the same for all of them.
struct SearchRequest {
  std::vector<VectorQuery> queries;           // 1 to kMaxSearchQueries, each with a k of 1 to
                                              // kMaxSearchResults; their spaces may differ
  std::shared_ptr<const Filter> filter;       // null: no filter
  std::vector<std::string> exclude_item_ids;  // at most kMaxExcludedItems; unknown ids do no harm
  absl::Time now = absl::InfiniteFuture();    // items with an expire_time at or before it are not
                                              // returned; infinite: the index's clock
  CallContext context;  // checked between pieces of work, against the index's clock
};

struct SearchHit {
  std::string item_id;
  float score = 0;  // inner product of unit vectors
  bool operator==(const SearchHit&) const = default;
};

// What one query found: best first, ties by item id, fewer than k only where fewer items may be
// returned. Or why the query failed.
using SearchResult = absl::StatusOr<std::vector<SearchHit>>;

struct SearchResponse {
  std::vector<SearchResult> results;  // one for each query, in order
  int64_t filter_evaluations = 0;     // segments whose rows the filter was evaluated on
};

struct SpaceStats {
  SpaceKey space;
  bool active = false;
  int dimensions = 0;
  int64_t vectors = 0;  // of live items
};

struct CatalogStats {
  std::string catalog;
  int64_t items = 0;         // live, hidden and expired ones too
  int64_t segments = 0;      // large ones
  int64_t delta_items = 0;   // live rows outside of the large segments
  int64_t tombstones = 0;    // dead rows that still take memory
  int64_t memory_bytes = 0;  // an estimate
  int64_t applied = 0;       // since the start
  int64_t stale = 0;
  int64_t refused_vectors = 0;
  int64_t merges = 0;
  std::vector<SpaceStats> spaces;  // by key
};

struct IndexOptions {
  // A segment with fewer rows belongs to the delta. At least 1.
  int64_t delta_rows = 2048;
  // Merging never makes a segment with more rows.
  int64_t max_segment_rows = 1'000'000;
  // A fingerprint that is no longer the active one is searched for this long, for callers that
  // still hold its vectors, then dropped.
  absl::Duration retire_after = absl::Minutes(5);
};

// A search whose request was checked and whose filter and exclusions were evaluated against one
// state of the index, once for all queries, which can then run in parallel. Const methods are
// thread-safe.
class PreparedSearch {
 public:
  virtual ~PreparedSearch() = default;
  // The result of queries[query]. Besides the errors of a wrong query (see CatalogIndex::Search):
  // DeadlineExceeded, Cancelled.
  virtual SearchResult Run(size_t query) const = 0;
  // As SearchResponse::filter_evaluations.
  virtual int64_t filter_evaluations() const = 0;
};

class CatalogIndex {
 public:
  // Borrows `factory` and `clock`; both must outlive the index.
  CatalogIndex(CatalogConfig config, IndexOptions options, const VectorSegmentFactory& factory,
               const Clock& clock);
  ~CatalogIndex();
  CatalogIndex(const CatalogIndex&) = delete;
  CatalogIndex& operator=(const CatalogIndex&) = delete;

  // Takes new declarations and active fingerprints. The former active fingerprint of a space
  // retires (IndexOptions::retire_after). True when the items have to be listed anew to be searched
  // as declared: an attribute became filterable, or a dropped fingerprint active again.
  bool SetCatalog(CatalogConfig config);
  CatalogConfig config() const;
  absl::StatusOr<Filter> ParseFilter(absl::string_view text) const;

  // Applies the changes as one: a search sees all of them or none. Later entries of one item win. A
  // revision below the one held is ignored, also that of an item deleted since; an equal one
  // replaces what differs. A bad vector is left out (and counted), its item is kept. InvalidField
  // for empty ids and revisions below 1 (nothing is applied then).
  absl::StatusOr<ApplyResult> Apply(absl::Span<const ItemUpdate> updates,
                                    absl::Span<const ItemDelete> deletes);

  // Removes every item whose id is not in `item_ids`, and forgets past deletions: the end of a full
  // listing.
  int64_t RetainOnly(const absl::flat_hash_set<std::string>& item_ids);

  // All queries one after the other on the calling thread, which must belong to the search pool
  // (IndexSet::Search does that). The request fails with InvalidField for a wrong number of queries
  // or exclusions. A query fails alone with InvalidField, the path relative to the query, for a
  // wrong vector or k; NotFound for a space that the catalog does not declare; FailedPrecondition,
  // naming both, when the index serves another fingerprint of the space. DeadlineExceeded and
  // Cancelled fail the request before its queries run, then each query that has not ended. A
  // declared space in which nothing is embedded yet has no hits.
  absl::StatusOr<SearchResponse> Search(const SearchRequest& request) const;

  // The same in two steps. `request` must outlive the result.
  absl::StatusOr<std::unique_ptr<const PreparedSearch>> Prepare(const SearchRequest& request) const;

  // The item's vector. NotFound for an unknown item or one without a vector in the space;
  // FailedPrecondition as in Search. An empty fingerprint means the active one.
  absl::StatusOr<SpaceVector> GetVector(absl::string_view item_id, const SpaceKey& space) const;

  // The fingerprint that searches of the space use now; empty when nothing is embedded yet.
  // NotFound for an undeclared space.
  absl::StatusOr<std::string> ActiveFingerprint(absl::string_view space) const;

  // One step of merging and retiring; false when there was nothing to do. Called from one thread at
  // a time.
  absl::StatusOr<bool> Maintain();

  CatalogStats GetStats() const;

  // The state to save, and the state taken from a snapshot (retrieval/snapshot.h): before anything
  // else is done with the index.
  std::shared_ptr<const IndexState> state() const;
  void Restore(std::vector<SegmentView> segments, const std::set<SpaceKey>& retiring,
               const std::set<SpaceKey>& dropped);

 private:
  // Updates and deletes of one Apply(), one per item, and what became of them.
  struct Accepted;

  void Publish(std::shared_ptr<const IndexState> state) ABSL_LOCKS_EXCLUDED(state_mutex_);
  using NewestUpdates = absl::flat_hash_map<absl::string_view, const ItemUpdate*>;  // by item id
  Accepted Accept(absl::Span<const ItemUpdate> updates, absl::Span<const ItemDelete> deletes,
                  const StateEditor& editor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void AcceptUpdates(absl::Span<const ItemUpdate> updates, const NewestUpdates& newest,
                     const StateEditor& editor, Accepted& accepted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void AcceptDeletes(absl::Span<const ItemDelete> deletes, const NewestUpdates& newest,
                     const StateEditor& editor, Accepted& accepted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status FoldDelta(StateEditor& editor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  bool Retire() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void Install(const std::vector<SegmentView>& inputs, std::shared_ptr<const RowSegment> merged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // The highest revision at which the item is known to be deleted; 0 when it is not.
  int64_t DeletedRevision(absl::string_view item_id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void RecordDeletion(const std::string& item_id, int64_t revision)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  const IndexOptions options_;
  const VectorSegmentFactory& factory_;
  const Clock& clock_;

  Mutex write_mutex_;  // taken before state_mutex_
  // Deleted items with their revision, so that a late, older update does not bring one back; the
  // oldest are forgotten.
  absl::flat_hash_map<std::string, int64_t> deleted_revisions_ ABSL_GUARDED_BY(write_mutex_);
  std::deque<std::string> deletion_order_ ABSL_GUARDED_BY(write_mutex_);
  absl::flat_hash_set<const RowSegment*> merging_
      ABSL_GUARDED_BY(write_mutex_);  // being read by Maintain()

  mutable Mutex state_mutex_;  // held for the copy of a pointer and for counters only
  std::shared_ptr<const IndexState> state_ ABSL_GUARDED_BY(state_mutex_);
  ApplyResult totals_ ABSL_GUARDED_BY(state_mutex_);
  int64_t merges_ ABSL_GUARDED_BY(state_mutex_) = 0;
};

}  // namespace palate::retrieval
