// The public API of a running Palate in domain types, for import, evaluation and the demo.
//
// cli/grpc_offline_client.h implements it with gRPC stubs, over TCP or inside the process, so
// import and demo can do only what any client can. Thread-safe. Every call blocks until the server
// responds or `timeout` has passed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "domain/catalog.h"
#include "domain/element_failure.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/part_failure.h"
#include "pipeline/request.h"

namespace palate::offline {

struct ItemUpload {
  Item item;
  std::vector<std::string> images;  // encoded bytes
  // By image: its place in the source's list, when others of the list are not here. Empty: its own.
  std::vector<size_t> positions = {};
  size_t PositionOf(size_t image) const {
    return image < positions.size() ? positions[image] : image;
  }
};

struct UpsertOutcome {
  int64_t changed = 0;  // new or different from before
  int64_t unchanged = 0;
  std::vector<ElementFailure> failures;
  // Pictures without which an item was stored, at "writes[1].item.images[0]".
  std::vector<ElementFailure> part_failures = {};
};

// An item that was stored, but not embedded, or not with all of its parts.
struct FailingItem {
  std::string id;
  std::vector<PartFailure> failed_parts;
};
struct FailingItems {
  std::vector<FailingItem> items;  // by id
  std::string next_page_token;     // empty on the last page
};

struct EventsOutcome {
  int64_t written = 0;
  int64_t duplicates = 0;
  std::vector<ElementFailure> failures;
};

// How much of what was written has been embedded and indexed.
struct CatalogProgress {
  int64_t items = 0;
  int64_t events = 0;
  int64_t pending_embeddings = 0;  // items that wait for vectors
  int64_t failed_embeddings = 0;   // items whose embedding failed
  int64_t failed_parts = 0;        // other items, parts of which failed
  // Whether retrieval certainly has a vector of every item that can have one.
  bool index_current = false;
  // When some items have nothing to embed, no count proves that the index is current. Then a caller
  // waits until the index is idle (every change that retrieval knows of is applied) and the number
  // of its vectors no longer changes.
  bool index_idle = false;
  int64_t index_vectors = 0;
};

// A response as domain values, and as protobuf JSON with proto field names and default-valued
// fields.
struct Answer {
  pipeline::RecommendResult result;
  std::string json;
};

class Client {
 public:
  virtual ~Client() = default;

  virtual absl::Status CreateCatalog(const Catalog& catalog,
                                     absl::Duration timeout) = 0;  // AlreadyExists
  virtual absl::StatusOr<Catalog> GetCatalog(const std::string& id, absl::Duration timeout) = 0;
  virtual absl::Status SetRerankWeight(const std::string& catalog, double weight,
                                       absl::Duration timeout) = 0;
  virtual absl::StatusOr<UpsertOutcome> UpsertItems(const std::string& catalog,
                                                    absl::Span<const ItemUpload> items,
                                                    absl::Duration timeout) = 0;
  // `allow_late` lifts the limit on the age of events, for historical logs.
  virtual absl::StatusOr<EventsOutcome> WriteEvents(const std::string& catalog,
                                                    absl::Span<const Event> events, bool allow_late,
                                                    absl::Duration timeout) = 0;
  virtual absl::StatusOr<CatalogProgress> GetProgress(const std::string& catalog,
                                                      absl::Duration timeout) = 0;
  // A page of the items that count as failed_embeddings or failed_parts.
  virtual absl::StatusOr<FailingItems> ListFailingItems(const std::string& catalog,
                                                        const std::string& page_token,
                                                        absl::Duration timeout) = 0;
  // Names the store behind the server: another name means that what an earlier one acknowledged may
  // be absent. Empty when the server does not say.
  virtual absl::StatusOr<std::string> GetStoreIncarnation(absl::Duration timeout) = 0;
  virtual absl::StatusOr<Answer> Recommend(const pipeline::RecommendQuery& query,
                                           absl::Duration timeout) = 0;
};

}  // namespace palate::offline
