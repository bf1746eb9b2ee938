// Arguments and results of the feature store, in addition to the types of domain/. Plain values:
// copyable, not synchronized.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/element_failure.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/part_failure.h"
#include "domain/user.h"
#include "domain/vector.h"

namespace palate::featurestore {

// ---- Catalogs ----

struct CatalogPage {
  std::vector<Catalog> catalogs;  // by id
  std::string next_page_token;    // empty on the last page
};

// ---- Items ----

// One picture in a write: the encoded bytes, or the digest of a picture that the
// catalog already holds.
struct ImageInput {
  std::string bytes;   // JPEG, PNG or WebP
  std::string sha256;  // 32 raw bytes; used when `bytes` is empty
};

struct ItemWrite {
  // `images` and `revision` inside are not read. Without a create_time
  // a new item gets the store's time, and a known one keeps its own.
  Item item;
  // The item's pictures, in order. The stored item then holds exactly these.
  std::vector<ImageInput> images;
  // Absent: the whole item is replaced. Present: only these fields change and the item must exist
  // (NOT_FOUND otherwise). Paths: title, description, attributes, attributes.NAME, images, hidden,
  // create_time, expire_time. An attribute path that the item does not carry removes the attribute.
  std::optional<std::vector<std::string>> update_mask;
  // ABORTED unless the stored revision is this one; 0 means "must not exist yet".
  std::optional<int64_t> expected_revision;
};

struct UpsertItemsResult {
  // By element: the item's revision after the call; 0 where the element failed. Writing the
  // same content again makes no new revision.
  std::vector<int64_t> revisions;
  std::vector<ElementFailure> failures;  // by index
  // Pictures without which an element was stored, by index of the element; an element may have
  // several. Their field is "item.images[1]".
  std::vector<ElementFailure> part_failures;
  int num_changed = 0;
};

// Which vectors and pictures are read with an item.
struct ItemReadOptions {
  // Names of spaces (kSpaceNames) whose vectors are wanted; empty: none. A space that the catalog
  // does not declare has none.
  std::vector<std::string> spaces = {};
  bool all_spaces = false;
  // False: only vectors of each space's active fingerprint. True: also those of a model that is
  // being switched to.
  bool all_fingerprints = false;
  bool image_bytes = false;
  bool only_failing = false;  // lists only: leave out items without failed parts
};

struct StoredItem : ItemWithVectors {
  std::vector<std::string> image_bytes;  // parallel to item.images when asked for, else empty
};

struct GetItemsResult {
  // By element of the request; absent where it failed.
  std::vector<std::optional<StoredItem>> items;
  std::vector<ElementFailure> failures;  // NOT_FOUND for unknown ids; RESOURCE_EXHAUSTED where the
                                         // answer would hold too many image bytes
};

struct ItemPage {
  std::vector<StoredItem> items;  // by id, hidden and expired ones included
  std::string next_page_token;    // empty on the last page
};

// ---- Embedding state ----

enum class EmbeddingState {
  kNothingToEmbed,  // the item has neither text nor pictures
  kPending,
  kDone,
  kFailed,  // for good, until the item or the model changes
};

struct EmbeddingStatus {
  EmbeddingState state = EmbeddingState::kNothingToEmbed;
  absl::Status failure;                        // why, when kFailed
  std::vector<PartFailure> failed_parts = {};  // see ItemWithVectors
};

// A space of a catalog and the models that fill it.
struct ActiveSpace {
  std::string name;
  std::string active_fingerprint;  // what searches use
  std::string target_fingerprint;  // equal to the active one unless a switch-over runs
  // Why the target is not active, though no item waits for vectors; empty otherwise.
  std::string switch_refusal = {};
};

// ---- Events and users ----

struct WriteEventsOptions {
  // Imports of old logs skip the lateness bound of StoreOptions.
  bool skip_lateness_bound = false;
};

struct WriteEventsResult {
  int num_written = 0;     // new events
  int num_duplicates = 0;  // already known, counted once
  std::vector<ElementFailure> failures;
};

// How GetUserContext reads what its query asks for.
struct UserContextOptions {
  // Halves an event's part in the trending score; measured from the catalog's newest event. At
  // least an hour.
  absl::Duration trending_half_life = absl::Hours(7 * 24);
};

struct PurgeReport {
  int64_t events = 0;
  int64_t impressions = 0;
  bool had_profile = false;
};

// ---- Change feed ----

enum class ChangeKind {
  kItemUpserted,
  kItemDeleted,
  kVectorsChanged,  // key: the item's id
  kUserChanged,     // key: UserFeedKey(), never the id, so that a purge has nothing to rewrite
  kUserPurged,
  kCatalogChanged,  // key: the catalog's id
  kCatalogDeleted,
  kSpacesSwitched,  // key: the catalog's id; another fingerprint became active
};

// The change feed's key for a user: a digest of catalog and user id. Code that knows the id can
// match it; the feed never holds the id.
std::string UserFeedKey(absl::string_view catalog, absl::string_view user_id);

struct Change {
  ChangeKind kind = ChangeKind::kItemUpserted;
  std::string key;
  int64_t revision = 0;
  absl::Time write_time = absl::UnixEpoch();
};

struct ChangeBatch {
  std::vector<Change> changes;  // in commit order; empty when the deadline passed
  std::string next_token;       // where the next read continues
};

// ---- Statistics ----

struct CatalogStats {
  std::string catalog;
  int64_t items = 0;
  int64_t users = 0;  // with a profile or an event
  int64_t events = 0;
  int64_t embedding_backlog = 0;  // items that wait for vectors
  int64_t embedding_failed = 0;
  int64_t items_with_failed_parts = 0;  // without those that failed as a whole
  int64_t feed_entries = 0;
  std::vector<ActiveSpace> spaces;
};

struct StoreStats {
  std::vector<CatalogStats> catalogs;
  int64_t disk_bytes = 0;    // tables, blobs and logs
  int64_t memory_bytes = 0;  // memtables and caches
  int format_version = 0;
  std::string incarnation;  // random; another one after each Open
};

}  // namespace palate::featurestore
