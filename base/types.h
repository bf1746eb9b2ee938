// The domain's nouns, shared by every folder: catalogs, items, users, events, spaces.
//
// Plain values without behaviour: copyable, no thread safety of their own. They are neither the public messages (proto/palate/*/v1) nor
// the records on disk (proto/palate/storage/v1); services/ and featurestore/ convert at their edges.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace palate {

// The type that a catalog declares for an attribute. A value of another type is refused at the write.
enum class AttributeType { kString, kStringList, kInt64, kDouble, kBool };

// Holds the alternative that the declaration names. Doubles are finite.
using AttributeValue = std::variant<std::string, std::vector<std::string>, int64_t, double, bool>;

// Ordered by name, so that text made from attributes is the same in every process.
using Attributes = std::map<std::string, AttributeValue>;

struct AttributeDeclaration {
  std::string name;  // [a-z][a-z0-9_]{0,63}
  AttributeType type = AttributeType::kString;
  bool filterable = true;
  bool operator==(const AttributeDeclaration&) const = default;
};

struct EventTypeDeclaration {
  std::string name;     // [a-z][a-z0-9_]{0,63}
  double weight = 1.0;  // signed strength of one such event; finite
  bool marks_seen = true;
  // The event's value is a rating: its weight is `weight` times (value - the user's own mean value), so below the mean is negative.
  bool value_is_rating = false;
  bool operator==(const EventTypeDeclaration&) const = default;
};

// A named vector space of a catalog: "text", "image" or "fused". The metric is always the inner product of unit vectors.
struct SpaceDeclaration {
  std::string name;
  std::string model;   // the embedding model's configured name; empty means the server's default
  int dimensions = 0;  // 0 means the model's own
  bool operator==(const SpaceDeclaration&) const = default;
};

// Which vectors can be compared: same space of the same model, named by the model's fingerprint.
struct SpaceKey {
  std::string name;
  std::string fingerprint;
  auto operator<=>(const SpaceKey&) const = default;
};

struct SpaceVector {
  SpaceKey space;
  std::vector<float> values;  // [dimensions], unit length
};

struct Catalog {
  std::string id;  // [a-z0-9][a-z0-9_-]{0,62}
  std::string display_name;
  std::vector<AttributeDeclaration> attributes;
  std::vector<EventTypeDeclaration> event_types;
  std::vector<SpaceDeclaration> spaces;
  // Share of the language model's score in the blend with the stage-4 score, 0 (the model is not asked) to 1.
  double rerank_weight = 0.5;
  absl::Time create_time = absl::UnixEpoch();
  int64_t revision = 0;
};

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
  bool hidden = false;
  absl::Time create_time = absl::UnixEpoch();  // when the item became available; orders fresh items
  std::optional<absl::Time> expire_time;       // from then on never returned
  int64_t revision = 0;                        // grows with every change; 0 means never stored
};

struct User {
  std::string id;
  std::string profile_text;  // free text about the person, data and never instruction
  std::string persona;
  Attributes attributes;
  absl::Time update_time = absl::UnixEpoch();
};

struct Event {
  std::string event_id;  // identity within (catalog, user); derived from the content when the caller sends none
  std::string user_id;
  std::string item_id;
  std::string type;             // a declared event type
  std::optional<double> value;  // a rating, an amount, a dwell time; finite
  absl::Time time = absl::UnixEpoch();
  std::string session_id;
  std::string recommendation_id;  // attribution: the answer that led to the event
};

// What a served list showed, kept for attribution and evaluation.
struct Impression {
  std::string recommendation_id;
  std::string user_id;
  std::string scenario;
  std::vector<std::string> item_ids;
  absl::Time time = absl::UnixEpoch();
};

}  // namespace palate
