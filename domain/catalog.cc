#include "domain/catalog.h"

#include <algorithm>
#include <iterator>

namespace palate {
namespace {

template <typename Declaration>
const Declaration* FindByName(const std::vector<Declaration>& declarations,
                              absl::string_view name) {
  const auto found =
      std::find_if(declarations.begin(), declarations.end(),
                   [&](const Declaration& declaration) { return declaration.name == name; });
  return found == declarations.end() ? nullptr : &*found;
}

}  // namespace

const CatalogField* FindCatalogField(absl::string_view name) {
  const auto* found = std::find_if(std::begin(kCatalogFields), std::end(kCatalogFields),
                                   [&](const CatalogField& field) { return field.name == name; });
  return found == std::end(kCatalogFields) ? nullptr : found;
}

bool SameDeclarations(const Catalog& a, const Catalog& b) {
  return std::all_of(std::begin(kCatalogFields), std::end(kCatalogFields),
                     [&](const CatalogField& field) { return field.equal(a, b); });
}

std::vector<SpaceDeclaration> DefaultSpaces() {
  std::vector<SpaceDeclaration> spaces;
  for (const char* name : kSpaceNames) spaces.push_back({.name = name, .model = ""});
  return spaces;
}

const AttributeDeclaration* FindAttribute(const Catalog& catalog, absl::string_view name) {
  return FindByName(catalog.attributes, name);
}

const EventTypeDeclaration* FindEventType(const Catalog& catalog, absl::string_view name) {
  return FindByName(catalog.event_types, name);
}

const SpaceDeclaration* FindSpace(const Catalog& catalog, absl::string_view name) {
  return FindByName(catalog.spaces, name);
}

}  // namespace palate
