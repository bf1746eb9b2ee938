// The single owner of the durable state: catalogs, items, users and events, with a change feed, on
// RocksDB.
//
// Usage:
//   StoreOptions options;
//   options.dir = dir;
//   PALATE_ASSIGN_OR_RETURN(const auto store, FeatureStore::Open(options));
//
//   Catalog catalog;
//   catalog.id = "shop";
//   catalog.event_types = {{.name = "view", .weight = 1, .marks_seen = true}};
//   PALATE_RETURN_IF_ERROR(store->CreateCatalog(catalog).status());
//
//   ItemWrite write;
//   write.item.id = "chair";
//   write.item.title = "A chair";
//   PALATE_RETURN_IF_ERROR(store->UpsertItems("shop", {write}).status());
//
//   Event event;
//   event.user_id = "u1";
//   event.item_id = "chair";
//   event.type = "view";
//   event.time = absl::Now();
//   PALATE_RETURN_IF_ERROR(store->WriteEvents("shop", {event}).status());
//
//   return store->GetUserContext({.catalog = "shop", .user_id = "u1"});
//
// Thread safety: every method may be called from any thread at any time. Methods block on disk
// (never longer than their work, except ReadChanges, which waits for its deadline), so call them
// from a blocking-I/O pool, not from an RPC callback.
//
// Ownership: the store owns its directory while open (a lock file names the process) and every
// value that it returns is a copy.
//
// Errors, beyond what each method lists: NOT_FOUND for an unknown catalog; INVALID_ARGUMENT
// (base/status.h InvalidField) for input, naming field, value and limit; DATA_LOSS for corrupt
// files or records; RESOURCE_EXHAUSTED when the disk is full; INTERNAL for other I/O errors;
// UNAVAILABLE after Close(). Batch calls fail as a whole only for those reasons; their elements
// fail alone, with field paths relative to the element.
//
// Durability: when a method returns OK its write survives kill -9, and with Durability::kSync also
// power loss. Each call's writes, with their counters and feed entries, are one atomic batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/user.h"
#include "domain/user_context.h"
#include "domain/vector.h"
#include "featurestore/options.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class FeatureStore {
 public:
  // Opens or creates the store in options.dir; older formats are migrated.
  // FAILED_PRECONDITION: another process has it open (named by pid), or a newer version wrote it.
  // DATA_LOSS: corrupt or missing files.
  static absl::StatusOr<std::unique_ptr<FeatureStore>> Open(StoreOptions options);
  ~FeatureStore();  // closes
  FeatureStore(const FeatureStore&) = delete;
  FeatureStore& operator=(const FeatureStore&) = delete;

  // Wakes waiting readers, waits for running calls and releases the directory; later calls answer
  // UNAVAILABLE. Idempotent.
  absl::Status Close();

  // ---- Catalogs ----

  // The stored catalog: create_time (unless given) and revision filled in. ALREADY_EXISTS.
  absl::StatusOr<Catalog> CreateCatalog(const Catalog& catalog);
  absl::StatusOr<Catalog> GetCatalog(absl::string_view id) const;
  // Replaces the fields of `mask`. An attribute can be added and its `filterable` changed, but
  // neither removed nor given another type (FAILED_PRECONDITION). ABORTED when `expected_revision`
  // is not the stored one. Without a change the revision stays.
  absl::StatusOr<Catalog> UpdateCatalog(const Catalog& catalog, const CatalogUpdateMask& mask,
                                        std::optional<int64_t> expected_revision = std::nullopt);
  // `page_size` 0 means the most that a page holds.
  absl::StatusOr<CatalogPage> ListCatalogs(int page_size, absl::string_view page_token) const;
  // Removes the catalog and everything in it.
  absl::Status DeleteCatalog(absl::string_view id);

  // ---- Items ----

  // Element failures: INVALID_ARGUMENT, ABORTED (expected revision), NOT_FOUND (masked update of an
  // unknown item). When one id occurs several times in a batch the writes apply in order. A picture
  // that is none, or is beyond a limit, costs itself: the item is stored without it.
  absl::StatusOr<UpsertItemsResult> UpsertItems(absl::string_view catalog,
                                                const std::vector<ItemWrite>& writes);
  absl::StatusOr<GetItemsResult> GetItems(absl::string_view catalog,
                                          const std::vector<std::string>& ids,
                                          const ItemReadOptions& options = {}) const;
  // Failures: NOT_FOUND for unknown ids. Pictures that no item shows any more are deleted with
  // them.
  absl::StatusOr<std::vector<ElementFailure>> DeleteItems(absl::string_view catalog,
                                                          const std::vector<std::string>& ids);
  absl::StatusOr<ItemPage> ListItems(absl::string_view catalog, int page_size,
                                     absl::string_view page_token,
                                     const ItemReadOptions& options = {}) const;

  // ---- Vectors and embedding state ----

  // Stores vectors of the item's content as of `revision`. FAILED_PRECONDITION when the content has
  // changed since; NOT_FOUND for the item. Vectors are normalized to unit length; zero, non-finite
  // or wrongly sized ones (against the catalog's declaration or other vectors of the same
  // fingerprint) are refused. `complete`: these are all the vectors that the current models make of
  // the item, so its other vectors of the target fingerprints are removed and it is
  // no longer pending. `failed_parts`, with `complete`, had no share in them: they are recorded
  // until the item or the model changes.
  absl::Status PutVectors(absl::string_view catalog, absl::string_view item_id, int64_t revision,
                          const std::vector<SpaceVector>& vectors, bool complete = false,
                          const std::vector<PartFailure>& failed_parts = {});
  // The item cannot be embedded: recorded, and out of the backlog until the item or the model
  // changes. Refused like PutVectors.
  absl::Status SetEmbeddingFailure(absl::string_view catalog, absl::string_view item_id,
                                   int64_t revision, const absl::Status& failure);
  absl::StatusOr<EmbeddingStatus> GetEmbeddingStatus(absl::string_view catalog,
                                                     absl::string_view item_id) const;
  // Items that wait for vectors, by id, after `after_item_id`: at most `limit`, with together at
  // most `max_image_bytes` of pictures (one item is always returned). They carry their image bytes
  // and no vectors.
  absl::StatusOr<std::vector<StoredItem>> ListPending(absl::string_view catalog, int limit,
                                                      absl::string_view after_item_id = "",
                                                      int64_t max_image_bytes = 16 << 20) const;
  // Those of `item_ids` that can be embedded and have no vector of their present content by the
  // active model of any space that changes to another model. None while no space changes.
  absl::StatusOr<std::vector<std::string>> ItemsWithoutActiveVectors(
      absl::string_view catalog, const std::vector<std::string>& item_ids) const;
  // Items that wait for vectors, over all catalogs; cheap enough for a metric.
  absl::StatusOr<int64_t> EmbeddingBacklog() const;
  // Declares the models that now fill the catalog's spaces. A space without an active fingerprint
  // takes it at once; where it differs every item becomes pending again, the old vectors stay in
  // use, and a space switches over when nothing is pending any more and the new model has made a
  // vector of every item that the old one has; otherwise ActiveSpace says what it lacks.
  absl::Status SetTargetSpaces(absl::string_view catalog, const std::vector<SpaceKey>& targets);
  absl::StatusOr<std::vector<ActiveSpace>> GetActiveSpaces(absl::string_view catalog) const;

  // ---- Events and users ----

  // Element failures: INVALID_ARGUMENT (undeclared type, non-finite value, a rating without a
  // value, a time that is negative, too late or ahead of the clock, …). Events on items that the
  // catalog does not hold are kept. Identity is (user, event_id), derived from the content when the
  // event carries none; an event that is already known changes nothing.
  absl::StatusOr<WriteEventsResult> WriteEvents(absl::string_view catalog,
                                                const std::vector<Event>& events,
                                                const WriteEventsOptions& options = {});
  // A user without any row is not an error: the context is empty but for the catalog, trending and
  // fresh. The user's rows come from one snapshot; items and vectors are as committed then or
  // later; the trending list counts all events up to now, and never holds an item that was hidden
  // or deleted before the call.
  absl::StatusOr<UserContext> GetUserContext(const UserContextQuery& query,
                                             const UserContextOptions& options = {}) const;
  // Replaces whole profiles. update_time is set by the store.
  absl::StatusOr<std::vector<ElementFailure>> UpsertUsers(absl::string_view catalog,
                                                          const std::vector<User>& users);
  // NOT_FOUND when no profile was written.
  absl::StatusOr<User> GetUser(absl::string_view catalog, absl::string_view user_id) const;
  // Removes the user's profile, events, impressions, seen set and part in every counter, and
  // compacts until no file holds the id any more, logs included. Seconds on a large store.
  // Idempotent; a purge that was cut short is completed by the next Open or PurgeUser.
  absl::StatusOr<PurgeReport> PurgeUser(absl::string_view catalog, absl::string_view user_id);
  // Impressions without a user are kept as well, apart from every user.
  absl::Status WriteImpression(absl::string_view catalog, const Impression& impression);
  // Newest first.
  absl::StatusOr<std::vector<Impression>> ListImpressions(absl::string_view catalog,
                                                          absl::string_view user_id,
                                                          int limit) const;

  // ---- Change feed ----
  // Each catalog has its feed; the feed of the empty catalog name reports the creation, change and
  // deletion of catalogs. Tokens are opaque and outlive restarts, but not the history they are of:
  // once a power loss or a restored copy took changes back, a token from after them is
  // OUT_OF_RANGE. To build a view: GetFeedToken, list everything, then read the changes after the
  // token.

  // The feed's end now.
  absl::StatusOr<std::string> GetFeedToken(absl::string_view catalog) const;
  // Changes after `token` ("": from the beginning), at most `max_changes` (1 to 10,000). When
  // there are none it waits for some until `deadline` (InfinitePast: does not wait). OUT_OF_RANGE
  // when changes after the token have been trimmed or lost: list everything again.
  absl::StatusOr<ChangeBatch> ReadChanges(absl::string_view catalog, absl::string_view token,
                                          int max_changes, absl::Time deadline) const;
  // `listener` is called, from a writer's thread and after its commit, whenever a feed has grown:
  // it must not block nor call the store. For watchers that cannot wait in ReadChanges.
  // RemoveFeedListener returns when the listener no longer runs.
  int64_t AddFeedListener(std::function<void()> listener);
  void RemoveFeedListener(int64_t id);
  // Drops the entries past retention. Writers also do this as the feed grows.
  absl::Status TrimFeed();

  // ---- Operation ----

  absl::StatusOr<StoreStats> GetStats() const;
  // Reads every table and verifies every checksum. DATA_LOSS names the file.
  absl::Status VerifyChecksums() const;

 private:
  struct Parts;  // keeps RocksDB out of this header
  explicit FeatureStore(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace palate::featurestore
