// A catalog and its declarations: attributes, event types and vector spaces.
//
// Usage:
//   Catalog catalog;
//   catalog.id = "shop";
//   catalog.event_types = {{.name = "purchase", .weight = 5}};
//   catalog.spaces = DefaultSpaces();
//   const EventTypeDeclaration* purchase = FindEventType(catalog, "purchase");
//
// Plain values and pure functions: copyable, no synchronization. They are neither the public
// messages (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert between them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/attribute.h"
#include "domain/limits.h"

namespace palate {

// The spaces that a catalog may declare.
inline constexpr char kTextSpace[] = "text";
inline constexpr char kImageSpace[] = "image";
inline constexpr char kFusedSpace[] = "fused";  // text and image in one vector
inline constexpr const char* kSpaceNames[] = {kTextSpace, kImageSpace, kFusedSpace};

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
  // The event's value is a rating: the event's weight is `weight` times (value - the baseline of
  // the user's ratings, domain/rating.h), so that a rating below it is negative.
  bool value_is_rating = false;
  bool operator==(const EventTypeDeclaration&) const = default;
};

// A named vector space of a catalog. The metric is always the inner product of unit vectors.
struct SpaceDeclaration {
  std::string name;    // one of kSpaceNames
  std::string model;   // the embedding model's configured name; empty means the server's default
  int dimensions = 0;  // 0 means the model's number of dimensions
  bool operator==(const SpaceDeclaration&) const = default;
};

struct Catalog {
  std::string id;  // [a-z0-9][a-z0-9_-]{0,62}
  std::string display_name;
  std::vector<AttributeDeclaration> attributes;
  std::vector<EventTypeDeclaration> event_types;
  std::vector<SpaceDeclaration> spaces;
  // The weight of the language model's score in the blend with the first-stage score, 0 to 1; with
  // 0 the model is not called.
  double rerank_weight = kDefaultRerankWeight;
  absl::Time create_time = absl::UnixEpoch();
  int64_t revision = 0;
};

// A field of a catalog that an update can replace.
struct CatalogField {
  const char* name;  // as update masks spell it
  void (*copy)(const Catalog& from, Catalog& to);
  bool (*equal)(const Catalog& a, const Catalog& b);
};

template <auto Member>
constexpr CatalogField CatalogFieldOf(const char* name) {
  return {name, [](const Catalog& from, Catalog& to) { to.*Member = from.*Member; },
          [](const Catalog& a, const Catalog& b) { return a.*Member == b.*Member; }};
}

// Every field that an update can replace: update masks and the comparison of declarations follow
// this list.
inline constexpr CatalogField kCatalogFields[] = {
    CatalogFieldOf<&Catalog::display_name>("display_name"),
    CatalogFieldOf<&Catalog::attributes>("attributes"),
    CatalogFieldOf<&Catalog::event_types>("event_types"),
    CatalogFieldOf<&Catalog::spaces>("spaces"),
    CatalogFieldOf<&Catalog::rerank_weight>("rerank_weight"),
};

// The fields that one update replaces, of kCatalogFields.
using CatalogUpdateMask = std::vector<const CatalogField*>;

// The field with that name, or nullptr.
const CatalogField* FindCatalogField(absl::string_view name);

// Whether all fields of kCatalogFields are equal.
bool SameDeclarations(const Catalog& a, const Catalog& b);

// Every space of kSpaceNames, with the server's default model.
std::vector<SpaceDeclaration> DefaultSpaces();

// The declaration with that name, or nullptr. It points into the catalog.
const AttributeDeclaration* FindAttribute(const Catalog& catalog, absl::string_view name);
const EventTypeDeclaration* FindEventType(const Catalog& catalog, absl::string_view name);
const SpaceDeclaration* FindSpace(const Catalog& catalog, absl::string_view name);

}  // namespace palate
