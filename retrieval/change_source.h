// The source of the index's content: the feature store's items and its change feed, as the follower
// reads them.
//
// services/clients implements it over FeatureStoreService. The follower's thread calls all methods
// but Cancel(), which any thread may call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "retrieval/index.h"

namespace palate::retrieval {

struct ItemPage {
  std::vector<ItemUpdate> items;  // in any order
  std::string next_page_token;    // empty on the last page
};

// One entry of the feed: it names what changed, never the value.
struct Change {
  enum class Kind {
    kItem,            // an item or its vectors were written
    kDelete,          // an item was deleted
    kCatalog,         // a catalog was created or changed, or a space's active fingerprint switched
    kCatalogDeleted,  // a catalog was deleted; a catalog of the same name is a new one
  };
  Kind kind = Kind::kItem;
  std::string catalog = {};
  std::string item_id = {};                // of kItem and kDelete
  int64_t revision = 0;                    // of the item
  absl::Time time = absl::InfinitePast();  // when it was written; infinite past: unknown
};

struct ChangeBatch {
  std::vector<Change> changes;  // in feed order; may be empty
  std::string next_position;    // resume token after the last change; never empty
};

class ChangeSource {
 public:
  virtual ~ChangeSource() = default;

  // Every catalog with its active fingerprints.
  virtual absl::StatusOr<std::vector<CatalogConfig>> ListCatalogs() = 0;
  // The feed's end as a token: later changes come after it.
  virtual absl::StatusOr<std::string> CurrentPosition() = 0;
  // A page of the catalog's items with all their vectors. An empty token means the first page.
  virtual absl::StatusOr<ItemPage> ListItems(const std::string& catalog,
                                             const std::string& page_token) = 0;
  // The current items, for at most 256 ids a call; items that are not in the catalog are absent.
  // NotFound for an unknown catalog.
  virtual absl::StatusOr<std::vector<ItemUpdate>> GetItems(
      const std::string& catalog, const std::vector<std::string>& item_ids) = 0;
  // Waits until there are changes after `position` or `timeout` has passed (then the batch is
  // empty). OutOfRange when the feed no longer has all changes after `position`, InvalidArgument
  // when it is not a position of this store: the follower then lists all catalogs again.
  virtual absl::StatusOr<ChangeBatch> WatchChanges(const std::string& position,
                                                   absl::Duration timeout) = 0;

  // Makes the call in progress, and every later one, return Cancelled without delay.
  virtual void Cancel() = 0;
};

}  // namespace palate::retrieval
