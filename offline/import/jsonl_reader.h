// Reads items and events from JSON Lines files: one JSON object per line.
//
// An item line (shown on several lines here):
//   {"id": "sku-1", "title": "Walnut lamp", "description": "…",
//    "attributes": {"color": "brown", "price": 49.5, "tags": ["a", "b"]},
//    "images": ["sku-1.jpg"], "hidden": false,
//    "create_time": "2026-01-31T12:00:00Z", "expire_time": "2026-12-31T00:00:00Z"}
// Only "id" is required. Image paths are relative to the images folder and must not leave it.
//
// An event line:
//   {"user_id": "u1", "item_id": "sku-1", "type": "purchase", "value": 49.5,
//    "time": "2026-02-01T08:00:00Z",
//    "event_id": "…", "session_id": "…", "recommendation_id": "…"}
// "user_id", "item_id", "type" and "time" are required. Times may also be numbers of seconds since
// 1970.
//
// Lines with unknown keys, wrong types or malformed JSON are reported with their column and
// skipped. A file that holds no JSON lines at all is refused as a whole. Readers are not
// thread-safe. They read line by line, so memory does not hold the whole file.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(auto attributes, InferAttributes(path));
//   const Catalog wanted = DefaultCatalog("shop", std::move(attributes));
//   SourceReport report;
//   PALATE_ASSIGN_OR_RETURN(const auto reader, OpenItemFile(path, images_folder, report));
#pragma once

#include <map>
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

// InvalidArgument describing what is wrong with the line.
absl::StatusOr<ItemLine> ParseItemLine(const std::string& line);
// Reads a picture that a line names. InvalidArgument when the path leaves the folder; other errors
// are those of ReadFile().
absl::StatusOr<std::string> ReadNamedImage(const std::string& images_folder,
                                           const std::string& name);

// NotFound when the file is missing. `report` outlives the reader.
absl::StatusOr<std::unique_ptr<ItemReader>> OpenItemFile(const std::string& path,
                                                         const std::string& images_folder,
                                                         SourceReport& report);
absl::StatusOr<std::unique_ptr<EventReader>> OpenEventFile(const std::string& path,
                                                           SourceReport& report);

// Reads the whole file and infers the declarations that fit every item of it. An attribute with
// integers and fractions is a double, and so is one of integers whose name has a word like "price"
// or "rating"; one with strings and lists of strings is a list. Attributes in `declared` keep that
// type. InvalidArgument naming attribute, line and column when no type fits all values;
// FailedPrecondition saying why when no line can be imported.
absl::StatusOr<std::vector<AttributeDeclaration>> InferAttributes(
    const std::string& path, const std::map<std::string, AttributeType>& declared = {});

// A catalog with the given attributes, the common event types (view, click, like, cart, purchase,
// rating, dislike) and the three default spaces.
Catalog DefaultCatalog(const std::string& catalog_id, std::vector<AttributeDeclaration> attributes);

}  // namespace palate::offline
