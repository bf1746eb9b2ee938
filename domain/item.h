// An item, its stored images, its vectors, and its score in a list.
//
// Plain values: copyable, no synchronization. They are neither the public messages
// (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/attribute.h"
#include "domain/part_failure.h"
#include "domain/vector.h"

namespace palate {

// A stored image, named by the SHA-256 of its encoded bytes.
struct ImageRef {
  std::string sha256;      // 32 raw bytes
  std::string media_type;  // "image/jpeg", "image/png" or "image/webp"
  int width = 0;
  int height = 0;
  int64_t size_bytes = 0;
  bool operator==(const ImageRef&) const = default;
};

struct Item {
  std::string id;  // 1 to 256 bytes of UTF-8 without control characters
  std::string title;
  std::string description;
  Attributes attributes;
  std::vector<ImageRef> images;
  // Set by the store: pictures of the last write that it could not take, by their place among those
  // that were sent. `images` holds the others, in order.
  std::vector<PartFailure> refused_images;
  bool hidden = false;
  // When the item became available; orders fresh items. Absent means not given; a stored item has
  // one.
  std::optional<absl::Time> create_time;
  std::optional<absl::Time> expire_time;  // not returned at or after this time
  int64_t revision = 0;                   // grows with every change; 0 means never stored
  // The feature store's number for the item's id, the same for ever; no other id of the catalog
  // gets it. 0 means never stored.
  uint32_t number = 0;
};

// An item with its vectors in the requested spaces, as far as it has them.
struct ItemWithVectors {
  Item item;
  std::vector<SpaceVector> vectors;  // by space name, then fingerprint
  // Item::refused_images, and the parts that could not be embedded.
  std::vector<PartFailure> failed_parts = {};
};

struct ScoredItem {
  std::string item_id;
  double score = 0;  // larger is better; comparable within one list only
  bool operator==(const ScoredItem&) const = default;
};

}  // namespace palate
