// The index of one catalog: its items' vectors in all spaces, and the attributes for filters.
// Searches are exact and see every applied change.
//
// Usage:
//   CatalogConfig config;
//   config.id = "shop";
//   config.spaces = {"text"};
//   CatalogIndex index(config, IndexOptions{}, factory, clock);
//   const SpaceKey space = {.name = "text", .fingerprint = "model-1"};
//   ItemUpdate mug;
//   mug.item_id = "mug";
//   mug.revision = 1;
//   mug.vectors = {{.space = space, .values = {0.6f, 0.8f}}};
//   PALATE_RETURN_IF_ERROR(index.Apply({mug}, {}).status());
//   SearchRequest request;
//   request.queries = {{.vector = {.space = space, .values = {1, 0}}, .k = 10}};
//   PALATE_ASSIGN_OR_RETURN(const SearchResponse response, index.Search(request));
//   PALATE_ASSIGN_OR_RETURN(const std::vector<SearchHit> hits, response.results[0]);
//
// Rows, one for each item, are in immutable segments. Apply() writes the changes into a new small
// segment (small segments are the delta) and marks the rows that it replaces as dead. Maintain()
// merges small segments into large ones in the background and drops dead rows. Each change
// publishes a new state by swapping a shared pointer, so that a search uses one consistent state
// from its first row to its last.
//
// CatalogIndex is thread-safe. Searches never wait for writers or merges. Writers (Apply,
// EndListing, SetCatalog, Restore) wait only for each other; Maintain() merges without the writers'
// lock.
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
#include "domain/item_number_set.h"
#include "domain/limits.h"
#include "domain/vector.h"
#include "retrieval/filter.h"

namespace palate::retrieval {

class RowSegment;
class StateEditor;
class VectorSegmentFactory;
struct IndexState;
struct SegmentView;

// The complete current item of the feature store: it has no vectors in spaces that are absent here.
struct ItemUpdate {
  std::string item_id;
  int64_t revision = 0;  // above 0
  Attributes attributes;
  bool hidden = false;
  std::optional<absl::Time> expire_time;
  std::vector<SpaceVector> vectors;  // unit length
  uint32_t number = 0;               // of the item's id in the feature store; 0: unknown
};

struct ItemDelete {
  std::string item_id;
  int64_t revision = 0;  // of the deletion: removes the item at this and earlier revisions
};

// The counts of one Apply().
struct ApplyResult {
  int64_t applied = 0;    // rows written or removed
  int64_t unchanged = 0;  // changes whose effect the index already had
  int64_t stale = 0;      // changes older than the index or than another change of the call
  int64_t refused_vectors =
      0;  // non-finite, not of unit length, or of another dimension than their space
};

// A catalog's declarations and the active fingerprint of each space in the feature store.
struct CatalogConfig {
  std::string id;
  absl::Time create_time =
      absl::UnixEpoch();  // differs from that of a deleted catalog of the same name
  std::vector<AttributeDeclaration> attributes;
  std::vector<std::string> spaces;  // declared names
  std::map<std::string, std::string>
      active_fingerprints;  // by space name; absent while a space has no vectors
  bool operator==(const CatalogConfig&) const = default;
};

// Vectors to search with, and the restrictions on the results, which all of them share.
struct SearchRequest {
  std::vector<VectorQuery> queries;           // at most kMaxSearchQueries, each with a k of 1 to
                                              // kMaxSearchResults; their spaces may differ
  std::vector<CandidateList> lists;           // at most kMaxCandidateLists, each of at most
                                              // kMaxListedCandidates ids and with such a k; at
                                              // least one where there is no query
  std::shared_ptr<const Filter> filter;       // null: no filter
  std::vector<std::string> exclude_item_ids;  // at most kMaxExcludedItems; may be unknown
  ItemNumberSet exclude_item_numbers;         // in addition; any number
  absl::Time now = absl::InfiniteFuture();    // items with an expire_time at or before it are not
                                              // returned; infinite: the index's clock
  CallContext context;  // checked between pieces of work, against the index's clock
};

struct SearchHit {
  std::string item_id;
  float score = 0;  // inner product of unit vectors
  bool operator==(const SearchHit&) const = default;
};

// The hits of one query, best first, ties by item id; fewer than k only if fewer items may be
// returned. Or the error of the query.
using SearchResult = absl::StatusOr<std::vector<SearchHit>>;

struct SearchResponse {
  std::vector<SearchResult> results;            // one for each query, in order
  std::vector<std::vector<std::string>> lists;  // the allowed items of each list, in its order
  int64_t filter_evaluations = 0;  // number of segments in which the filter was evaluated
};

struct SpaceStats {
  SpaceKey space;
  bool active = false;
  int dimensions = 0;
  int64_t vectors = 0;  // of live items
};

struct CatalogStats {
  std::string catalog;
  int64_t items = 0;         // live ones, including hidden and expired ones
  int64_t segments = 0;      // large ones, without the delta's
  int64_t delta_items = 0;   // live rows of the delta
  int64_t tombstones = 0;    // dead rows that still take memory
  int64_t memory_bytes = 0;  // an estimate
  int64_t applied = 0;       // since the start, as the three below
  int64_t stale = 0;
  int64_t refused_vectors = 0;
  int64_t merges = 0;
  std::vector<SpaceStats> spaces;  // by key
};

struct IndexOptions {
  // A segment with fewer rows belongs to the delta. At least 1.
  int64_t delta_rows = 2048;
  // Segments of like size are merged up to this number of rows.
  int64_t max_segment_rows = 1'000'000;
  // A fingerprint that is no longer active can be searched for this long, for callers that still
  // have vectors of it; then it is dropped.
  absl::Duration retire_after = absl::Minutes(5);
};

// A search whose request has been checked, and whose filter and exclusions have been evaluated once
// for all queries, against one state of the index. The queries can run in parallel: const methods
// are thread-safe.
class PreparedSearch {
 public:
  virtual ~PreparedSearch() = default;
  // The result of queries[query]. Besides the errors of a wrong query (see CatalogIndex::Search):
  // DeadlineExceeded, Cancelled.
  virtual SearchResult Run(size_t query) const = 0;
  // The first k items of lists[list] that may be returned.
  virtual std::vector<std::string> RunList(size_t list) const = 0;
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

  // Sets the declarations and active fingerprints. The former active fingerprint of a space retires
  // (IndexOptions::retire_after). True when the items have to be listed again for it, because an
  // attribute became filterable or changed its type, or a dropped fingerprint became active; a
  // listing is then due.
  bool SetCatalog(CatalogConfig config);
  CatalogConfig config() const;
  // As Filter::Parse, with the catalog's declarations.
  absl::StatusOr<Filter> ParseFilter(absl::string_view text) const;

  // Applies the changes atomically: a search sees all of them or none. Of several updates of an
  // item the highest revision counts, and the last one among equals. A revision below that of the
  // index, or not above that of a known deletion, is ignored; one equal to that of the index
  // replaces values that differ. A bad vector is left out and counted; its item is kept.
  // InvalidField for empty ids and revisions below 1, and then nothing is applied.
  absl::StatusOr<ApplyResult> Apply(absl::Span<const ItemUpdate> updates,
                                    absl::Span<const ItemDelete> deletes);

  // Whether the items have to be listed from the store, because the index is new, its declarations
  // need values that it does not hold, or RequireListing() was called. Part of the state and of its
  // snapshot, so that a listing that was interrupted starts again after a restart. Only the end of
  // a listing clears it.
  bool listing_due() const;
  void RequireListing();

  // A listing: BeginListing(), ApplyListed() for each page, EndListing() with all ids. The follower
  // applies no other changes meanwhile. What is listed replaces what the index holds whatever its
  // revision, because a store that was restored from a copy, or has lost its last writes, has older
  // revisions than the index. For the same reason past deletions are forgotten at the start.
  void BeginListing();
  // Otherwise as Apply().
  absl::StatusOr<ApplyResult> ApplyListed(absl::Span<const ItemUpdate> updates);
  // Removes every item whose id is not in `item_ids`, and returns the number of removed items. No
  // listing is due any more.
  int64_t EndListing(const absl::flat_hash_set<std::string>& item_ids);

  // Runs all queries on the calling thread, one after the other. Servers use IndexSet::Search,
  // which runs them on the search pool. The request fails with InvalidField for a wrong number of
  // queries, lists or exclusions and for a wrong list. A query fails alone: InvalidField, with the
  // path relative to the query, for a wrong vector or k; NotFound for a space that the catalog does
  // not declare; FailedPrecondition when the index serves another fingerprint of the space and has
  // no vectors of this one, with both fingerprints in the message. DeadlineExceeded and Cancelled
  // fail the request before its queries run, and after that each query that has not ended. A
  // declared space without vectors has no hits.
  absl::StatusOr<SearchResponse> Search(const SearchRequest& request) const;

  // The same in two steps. `request` must outlive the result.
  absl::StatusOr<std::unique_ptr<const PreparedSearch>> Prepare(const SearchRequest& request) const;

  // The item's vector. NotFound for an unknown item or one without a vector in the space;
  // FailedPrecondition as in Search. An empty fingerprint means the active one.
  absl::StatusOr<SpaceVector> GetVector(absl::string_view item_id, const SpaceKey& space) const;

  // The active fingerprint of the space; empty while the space has no vectors. NotFound for an
  // undeclared space.
  absl::StatusOr<std::string> ActiveFingerprint(absl::string_view space) const;

  // Does one step of merging or retiring; false when there was nothing to do. Called by one thread
  // at a time.
  absl::StatusOr<bool> Maintain();

  CatalogStats GetStats() const;

  // The current state, for a snapshot (retrieval/snapshot.h).
  std::shared_ptr<const IndexState> state() const;
  // Sets the state from a snapshot. Called before any other change of the index.
  void Restore(std::vector<SegmentView> segments, const std::set<SpaceKey>& retiring,
               const std::set<SpaceKey>& dropped, bool listing_due);

 private:
  // The effects of one Apply(): rows to write, rows to remove, counts.
  struct Accepted;
  // Whether revisions decide between an update and what the index holds.
  enum class Source { kChanges, kListing };

  void Publish(std::shared_ptr<const IndexState> state) ABSL_LOCKS_EXCLUDED(state_mutex_);
  using NewestUpdates = absl::flat_hash_map<absl::string_view, const ItemUpdate*>;  // by item id
  absl::StatusOr<ApplyResult> ApplyFrom(Source source, absl::Span<const ItemUpdate> updates,
                                        absl::Span<const ItemDelete> deletes);
  Accepted Accept(Source source, absl::Span<const ItemUpdate> updates,
                  absl::Span<const ItemDelete> deletes, const StateEditor& editor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void AcceptUpdates(Source source, absl::Span<const ItemUpdate> updates,
                     const NewestUpdates& newest, const StateEditor& editor, Accepted& accepted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void AcceptDeletes(absl::Span<const ItemDelete> deletes, const NewestUpdates& newest,
                     const StateEditor& editor, Accepted& accepted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status FoldDelta(StateEditor& editor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  bool Retire() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void Install(const std::vector<SegmentView>& inputs, std::shared_ptr<const RowSegment> merged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // The highest known revision of a deletion of the item; 0 when none is known.
  int64_t DeletedRevision(absl::string_view item_id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void RecordDeletion(const std::string& item_id, int64_t revision)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  const IndexOptions options_;
  const VectorSegmentFactory& factory_;
  const Clock& clock_;

  Mutex write_mutex_;  // taken before state_mutex_
  // The revisions of deletions, so that an older update that arrives late does not restore an item.
  // The oldest entries are removed.
  absl::flat_hash_map<std::string, int64_t> deleted_revisions_ ABSL_GUARDED_BY(write_mutex_);
  std::deque<std::string> deletion_order_ ABSL_GUARDED_BY(write_mutex_);
  absl::flat_hash_set<const RowSegment*> merging_
      ABSL_GUARDED_BY(write_mutex_);  // inputs of a merge that is running

  mutable Mutex state_mutex_;  // held only to copy or swap a pointer and to update counters
  std::shared_ptr<const IndexState> state_ ABSL_GUARDED_BY(state_mutex_);
  ApplyResult totals_ ABSL_GUARDED_BY(state_mutex_);
  int64_t merges_ ABSL_GUARDED_BY(state_mutex_) = 0;
};

}  // namespace palate::retrieval
