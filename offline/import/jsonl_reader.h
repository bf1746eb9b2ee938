// Everyone's own data: one JSON object per line.
//
// An item line:
//   {"id": "sku-1", "title": "Walnut lamp", "description": "…", "attributes": {"color": "brown",
//   "price": 49.5, "tags": ["a", "b"]},
//    "images": ["sku-1.jpg"], "hidden": false, "create_time": "2026-01-31T12:00:00Z",
//    "expire_time": "2026-12-31T00:00:00Z"}
// Only "id" is required. Image names are relative to the images folder and may not leave it.
//
// An event line:
//   {"user_id": "u1", "item_id": "sku-1", "type": "purchase", "value": 49.5, "time":
//   "2026-02-01T08:00:00Z",
//    "event_id": "…", "session_id": "…", "recommendation_id": "…"}
// "user_id", "item_id", "type" and "time" are required; "time" may also be a number of seconds
// since 1970.
//
// Unknown keys, wrong types and broken JSON are reported with their line and skipped. Readers are
// used by one thread; files are read line by line, never whole.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/catalog.h"
#include "domain/item.h"
#include "offline/import/source.h"

namespace palate::offline {

// One item line.
struct ItemLine {
  Item item;
  std::vector<std::string> images;  // file names
};

// InvalidArgument saying what is wrong with the line.
absl::StatusOr<ItemLine> ParseItemLine(const std::string& line);
// The bytes of a picture that a line names. InvalidArgument when the name leaves the folder,
// otherwise as ReadFile.
absl::StatusOr<std::string> ReadNamedImage(const std::string& images_folder,
                                           const std::string& name);

// NotFound when the file is missing. `report` outlives the reader.
absl::StatusOr<std::unique_ptr<ItemReader>> OpenItemFile(const std::string& path,
                                                         const std::string& images_folder,
                                                         SourceReport& report);
absl::StatusOr<std::unique_ptr<EventReader>> OpenEventFile(const std::string& path,
                                                           SourceReport& report);

// The declarations that fit every item of the file: an integer that elsewhere has a fraction is a
// double, a string that elsewhere is a list is a list. InvalidArgument naming attribute and line
// when nothing fits.
absl::StatusOr<std::vector<AttributeDeclaration>> InferAttributes(const std::string& path);

// A catalog for data whose owner declared none: the common event types (view, click, like, cart,
// purchase, rating, dislike) and three spaces.
Catalog DefaultCatalog(const std::string& catalog_id, std::vector<AttributeDeclaration> attributes);

}  // namespace palate::offline
