#include "featurestore/validate.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "domain/text.h"

namespace palate::featurestore {
namespace {

bool IsName(absl::string_view name, size_t max_size) {
  if (name.empty() || name.size() > max_size || name[0] < 'a' || name[0] > 'z') return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

absl::Status ValidateName(absl::string_view field, absl::string_view name) {
  if (IsName(name, kMaxNameBytes)) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("is ", QuoteForMessage(name)),
                      "of the form [a-z][a-z0-9_]{0,63}");
}

absl::Status ValidateCatalogId(absl::string_view id) {
  bool good = !id.empty() && id.size() <= kMaxCatalogIdBytes && id[0] != '_' && id[0] != '-';
  for (const char c : id)
    good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-');
  if (good) return absl::OkStatus();
  return InvalidField("id", absl::StrCat("is ", QuoteForMessage(id)),
                      "of the form [a-z0-9][a-z0-9_-]{0,62}");
}

// Names are well formed, none occurs twice, and there are at most `max`.
template <typename Declaration>
absl::Status ValidateDeclaredNames(absl::string_view field,
                                   const std::vector<Declaration>& declarations, size_t max) {
  if (declarations.size() > max) {
    return InvalidField(field, absl::StrCat("has ", declarations.size(), " entries"),
                        absl::StrCat("at most ", max));
  }
  std::set<absl::string_view> seen;
  for (size_t i = 0; i < declarations.size(); ++i) {
    const std::string path = absl::StrCat(field, "[", i, "].name");
    PALATE_RETURN_IF_ERROR(ValidateName(path, declarations[i].name));
    if (!seen.insert(declarations[i].name).second) {
      return InvalidField(path,
                          absl::StrCat("is ", QuoteForMessage(declarations[i].name), " again"),
                          "declared once");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateAttributeValue(absl::string_view field, const AttributeValue& value,
                                    const StoreLimits& limits) {
  if (const auto* text = std::get_if<std::string>(&value))
    return ValidateText(field, *text, limits.max_attribute_bytes);
  if (const auto* number = std::get_if<double>(&value);
      number != nullptr && !std::isfinite(*number)) {
    return InvalidField(field, absl::StrCat("is ", NumberText(*number)), "finite");
  }

  const auto* list = std::get_if<std::vector<std::string>>(&value);
  if (list == nullptr) return absl::OkStatus();
  if (list->size() > static_cast<size_t>(limits.max_list_values)) {
    return InvalidField(field, absl::StrCat("has ", list->size(), " values"),
                        absl::StrCat("at most ", limits.max_list_values));
  }

  for (size_t i = 0; i < list->size(); ++i) {
    PALATE_RETURN_IF_ERROR(
        ValidateText(absl::StrCat(field, "[", i, "]"), (*list)[i], limits.max_attribute_bytes));
  }
  return absl::OkStatus();
}

absl::Status ValidateTime(absl::string_view field, absl::Time time) {
  // What 64 bits of microseconds hold, less a margin for arithmetic on it; far beyond the years
  // that protobuf's Timestamp allows.
  const absl::Time end = absl::FromUnixSeconds(kMaxUnixSeconds + 1);  // year 10000
  if (time < absl::UnixEpoch())
    return InvalidField(field, absl::StrCat("is ", absl::FormatTime(time)), "not before 1970");
  if (time >= end)
    return InvalidField(field, absl::StrCat("is ", absl::FormatTime(time)),
                        "before the year 10000");
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateText(absl::string_view field, absl::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return InvalidField(field, absl::StrCat("has ", text.size(), " bytes"),
                        absl::StrCat("at most ", max_bytes));
  }
  if (!IsValidUtf8(text)) return InvalidField(field, "has bytes that are not UTF-8", "valid UTF-8");
  if (const size_t nul = text.find('\0'); nul != absl::string_view::npos) {
    return InvalidField(field, absl::StrCat("has a NUL character at byte ", nul + 1),
                        "without NUL");
  }
  return absl::OkStatus();
}

absl::Status ValidateOptionalId(absl::string_view field, absl::string_view id,
                                const StoreLimits& limits) {
  PALATE_RETURN_IF_ERROR(ValidateText(field, id, limits.max_id_bytes));
  if (HasControlCharacter(id)) {
    return InvalidField(field, absl::StrCat("is ", QuoteForMessage(id)),
                        "without control characters");
  }
  return absl::OkStatus();
}

absl::Status ValidateId(absl::string_view field, absl::string_view id, const StoreLimits& limits) {
  if (id.empty())
    return InvalidField(field, "is empty", absl::StrCat("of 1 to ", limits.max_id_bytes, " bytes"));
  return ValidateOptionalId(field, id, limits);
}

absl::Status ValidateBatchSize(absl::string_view field, size_t size, int max) {
  if (size == 0) return InvalidField(field, "is empty", absl::StrCat("of 1 to ", max, " elements"));
  if (size > static_cast<size_t>(max)) {
    return InvalidField(field, absl::StrCat("has ", size, " elements"),
                        absl::StrCat("of at most ", max));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> ValidatePageSize(int page_size, const StoreLimits& limits) {
  if (page_size < 0 || page_size > limits.max_page) {
    return InvalidField("page_size", absl::StrCat("is ", page_size),
                        absl::StrCat("from 0 to ", limits.max_page));
  }
  return page_size == 0 ? limits.max_page : page_size;
}

absl::Status ValidateCatalog(const Catalog& catalog) {
  PALATE_RETURN_IF_ERROR(ValidateCatalogId(catalog.id));
  PALATE_RETURN_IF_ERROR(ValidateText("display_name", catalog.display_name, kMaxDisplayNameBytes));
  PALATE_RETURN_IF_ERROR(ValidateDeclaredNames("attributes", catalog.attributes, kMaxAttributes));
  PALATE_RETURN_IF_ERROR(ValidateDeclaredNames("event_types", catalog.event_types, kMaxEventTypes));

  for (size_t i = 0; i < catalog.event_types.size(); ++i) {
    const double weight = catalog.event_types[i].weight;
    if (!std::isfinite(weight) || std::abs(weight) > kMaxEventWeight) {
      return InvalidField(
          absl::StrCat("event_types[", i, "].weight"), absl::StrCat("is ", NumberText(weight)),
          absl::StrCat("finite and from ", -kMaxEventWeight, " to ", kMaxEventWeight));
    }
  }

  for (size_t i = 0; i < catalog.spaces.size(); ++i) {
    const SpaceDeclaration& space = catalog.spaces[i];
    const std::string path = absl::StrCat("spaces[", i, "]");
    if (std::find(std::begin(kSpaceNames), std::end(kSpaceNames), space.name) ==
        std::end(kSpaceNames)) {
      return InvalidField(absl::StrCat(path, ".name"),
                          absl::StrCat("is ", QuoteForMessage(space.name)), "text, image or fused");
    }
    if (space.dimensions < 0 || space.dimensions > kMaxDimensions) {
      return InvalidField(absl::StrCat(path, ".dimensions"), absl::StrCat("is ", space.dimensions),
                          absl::StrCat("from 0 to ", kMaxDimensions));
    }
    PALATE_RETURN_IF_ERROR(
        ValidateText(absl::StrCat(path, ".model"), space.model, kMaxModelNameBytes));
  }

  PALATE_RETURN_IF_ERROR(ValidateDeclaredNames("spaces", catalog.spaces, kMaxSpaces));
  if (!(catalog.rerank_weight >= 0 && catalog.rerank_weight <= 1)) {
    return InvalidField("rerank_weight", absl::StrCat("is ", NumberText(catalog.rerank_weight)),
                        "from 0 to 1");
  }
  return ValidateTime("create_time", catalog.create_time);
}

absl::Status ValidateCatalogChange(const Catalog& before, const Catalog& now) {
  for (const AttributeDeclaration& old : before.attributes) {
    const AttributeDeclaration* kept = FindAttribute(now, old.name);
    if (kept == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("attribute ", QuoteForMessage(old.name),
                       " cannot be removed: items may carry it; declare it with filterable false"));
    }
    if (kept->type != old.type) {
      return absl::FailedPreconditionError(absl::StrCat(
          "attribute ", QuoteForMessage(old.name), " is ", AttributeTypeName(old.type),
          " and cannot become ", AttributeTypeName(kept->type), ": declare another attribute"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateItem(const Item& item, const Catalog& catalog, const StoreLimits& limits) {
  PALATE_RETURN_IF_ERROR(ValidateId("id", item.id, limits));
  PALATE_RETURN_IF_ERROR(ValidateText("title", item.title, limits.max_title_bytes));
  PALATE_RETURN_IF_ERROR(
      ValidateText("description", item.description, limits.max_description_bytes));

  for (const auto& [name, value] : item.attributes) {
    const std::string path = absl::StrCat("attributes[", QuoteForMessage(name), "]");
    const AttributeDeclaration* declared = FindAttribute(catalog, name);
    if (declared == nullptr)
      return InvalidField(path, "is not declared",
                          absl::StrCat("an attribute of catalog ", catalog.id));
    if (TypeOf(value) != declared->type) {
      return InvalidField(path, absl::StrCat("is ", AttributeTypeName(TypeOf(value))),
                          absl::StrCat(AttributeTypeName(declared->type), ", as declared"));
    }
    PALATE_RETURN_IF_ERROR(ValidateAttributeValue(path, value, limits));
  }

  if (item.create_time.has_value())
    PALATE_RETURN_IF_ERROR(ValidateTime("create_time", *item.create_time));
  if (item.expire_time.has_value())
    PALATE_RETURN_IF_ERROR(ValidateTime("expire_time", *item.expire_time));
  return absl::OkStatus();
}

absl::Status ValidateSpaceKey(absl::string_view field, const SpaceKey& space,
                              const Catalog& catalog, const StoreLimits& limits) {
  if (FindSpace(catalog, space.name) == nullptr) {
    return InvalidField(absl::StrCat(field, ".name"),
                        absl::StrCat("is ", QuoteForMessage(space.name)),
                        absl::StrCat("a space that catalog ", catalog.id, " declares"));
  }
  PALATE_RETURN_IF_ERROR(
      ValidateId(absl::StrCat(field, ".fingerprint"), space.fingerprint, limits));
  return ValidateText(absl::StrCat(field, ".fingerprint"), space.fingerprint, kMaxFingerprintBytes);
}

absl::Status ValidateUser(const User& user, const StoreLimits& limits) {
  PALATE_RETURN_IF_ERROR(ValidateId("id", user.id, limits));
  PALATE_RETURN_IF_ERROR(ValidateText("profile_text", user.profile_text, limits.max_profile_bytes));
  PALATE_RETURN_IF_ERROR(ValidateText("persona", user.persona, limits.max_id_bytes));
  if (user.attributes.size() > kMaxAttributes) {
    return InvalidField("attributes", absl::StrCat("has ", user.attributes.size(), " entries"),
                        absl::StrCat("at most ", kMaxAttributes));
  }
  for (const auto& [name, value] : user.attributes) {
    const std::string path = absl::StrCat("attributes[", QuoteForMessage(name), "]");
    PALATE_RETURN_IF_ERROR(ValidateName(path, name));
    PALATE_RETURN_IF_ERROR(ValidateAttributeValue(path, value, limits));
  }
  return absl::OkStatus();
}

absl::Status ValidateEvent(const Event& event, const Catalog& catalog,
                           const EventTimeBounds& bounds, const StoreLimits& limits) {
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("event_id", event.event_id, limits));
  PALATE_RETURN_IF_ERROR(ValidateId("user_id", event.user_id, limits));
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", event.item_id, limits));
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("session_id", event.session_id, limits));
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("recommendation_id", event.recommendation_id, limits));

  const EventTypeDeclaration* type = FindEventType(catalog, event.type);
  if (type == nullptr) {
    return InvalidField("event_type", absl::StrCat("is ", QuoteForMessage(event.type)),
                        absl::StrCat("an event type that catalog ", catalog.id, " declares"));
  }
  if (event.value.has_value() && !std::isfinite(*event.value))
    return InvalidField("value", absl::StrCat("is ", NumberText(*event.value)), "finite");
  if (type->value_is_rating && !event.value.has_value())
    return InvalidField("value", "is absent", "given: the event is a rating");

  PALATE_RETURN_IF_ERROR(ValidateTime("event_time", event.time));
  if (event.time > bounds.latest) {
    return InvalidField("event_time", absl::StrCat("is ", absl::FormatTime(event.time)),
                        absl::StrCat("at most ", absl::FormatTime(bounds.latest)));
  }
  if (event.time < bounds.earliest) {
    return InvalidField(
        "event_time", absl::StrCat("is ", absl::FormatTime(event.time)),
        absl::StrCat("at least ", absl::FormatTime(bounds.earliest), "; imports skip this bound"));
  }
  return absl::OkStatus();
}

absl::Status ValidateImpression(const Impression& impression, const StoreLimits& limits) {
  PALATE_RETURN_IF_ERROR(ValidateId("recommendation_id", impression.recommendation_id, limits));
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("user_id", impression.user_id, limits));
  PALATE_RETURN_IF_ERROR(ValidateOptionalId("scenario", impression.scenario, limits));
  PALATE_RETURN_IF_ERROR(
      ValidateBatchSize("item_ids", impression.item_ids.size(), limits.max_batch));
  for (size_t i = 0; i < impression.item_ids.size(); ++i) {
    PALATE_RETURN_IF_ERROR(
        ValidateId(absl::StrCat("item_ids[", i, "]"), impression.item_ids[i], limits));
  }
  return ValidateTime("time", impression.time);
}

}  // namespace palate::featurestore
