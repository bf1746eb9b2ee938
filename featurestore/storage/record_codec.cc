#include "featurestore/storage/record_codec.h"

#include <bit>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::featurestore {
namespace {

storage::AttributeType ToRecord(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return storage::ATTRIBUTE_TYPE_STRING;
    case AttributeType::kStringList:
      return storage::ATTRIBUTE_TYPE_STRING_LIST;
    case AttributeType::kInt64:
      return storage::ATTRIBUTE_TYPE_INT64;
    case AttributeType::kDouble:
      return storage::ATTRIBUTE_TYPE_DOUBLE;
    case AttributeType::kBool:
      return storage::ATTRIBUTE_TYPE_BOOL;
  }
  return storage::ATTRIBUTE_TYPE_UNSPECIFIED;
}

absl::StatusOr<AttributeType> FromRecord(storage::AttributeType type) {
  switch (type) {
    case storage::ATTRIBUTE_TYPE_STRING:
      return AttributeType::kString;
    case storage::ATTRIBUTE_TYPE_STRING_LIST:
      return AttributeType::kStringList;
    case storage::ATTRIBUTE_TYPE_INT64:
      return AttributeType::kInt64;
    case storage::ATTRIBUTE_TYPE_DOUBLE:
      return AttributeType::kDouble;
    case storage::ATTRIBUTE_TYPE_BOOL:
      return AttributeType::kBool;
    case storage::ATTRIBUTE_TYPE_UNSPECIFIED:
    case storage::AttributeType_INT_MIN_SENTINEL_DO_NOT_USE_:
    case storage::AttributeType_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return absl::DataLossError(
      absl::StrCat("a stored attribute has the unknown type ", static_cast<int>(type)));
}

struct AttributeWriter {
  storage::Attribute* out;
  void operator()(const std::string& value) const { out->set_string_value(value); }
  void operator()(const std::vector<std::string>& values) const {
    storage::StringList* list = out->mutable_string_list_value();
    for (const std::string& value : values) list->add_values(value);
  }
  void operator()(int64_t value) const { out->set_int64_value(value); }
  void operator()(double value) const { out->set_double_value(value); }
  void operator()(bool value) const { out->set_bool_value(value); }
};

template <typename Repeated>
void WriteAttributes(const Attributes& attributes, Repeated* out) {
  for (const auto& [name, value] : attributes) {
    storage::Attribute* attribute = out->Add();
    attribute->set_name(name);
    std::visit(AttributeWriter{attribute}, value);
  }
}

AttributeValue ReadAttribute(storage::Attribute& attribute) {
  switch (attribute.value_case()) {
    case storage::Attribute::kStringListValue: {
      std::vector<std::string> values;
      values.reserve(attribute.string_list_value().values_size());
      for (std::string& value : *attribute.mutable_string_list_value()->mutable_values())
        values.push_back(std::move(value));
      return values;
    }
    case storage::Attribute::kInt64Value:
      return attribute.int64_value();
    case storage::Attribute::kDoubleValue:
      return attribute.double_value();
    case storage::Attribute::kBoolValue:
      return attribute.bool_value();
    default:
      return std::move(*attribute.mutable_string_value());
  }
}

template <typename Repeated>
Attributes ReadAttributes(Repeated* in) {
  Attributes attributes;
  for (storage::Attribute& attribute : *in) {
    // Written in order of name, so each goes to the end.
    attributes.emplace_hint(attributes.end(), std::move(*attribute.mutable_name()),
                            ReadAttribute(attribute));
  }
  return attributes;
}

void AppendSized(absl::string_view text, std::string& out) {
  AppendBigEndian64(text.size(), out);
  out.append(text.data(), text.size());
}

}  // namespace

int64_t ToMicros(absl::Time time) { return absl::ToUnixMicros(time); }
absl::Time FromMicros(int64_t micros) { return absl::FromUnixMicros(micros); }

storage::CatalogRecord ToRecord(const Catalog& catalog, uint32_t number) {
  storage::CatalogRecord record;
  record.set_number(number);
  record.set_display_name(catalog.display_name);

  for (const AttributeDeclaration& attribute : catalog.attributes) {
    storage::AttributeDeclaration* out = record.add_attributes();
    out->set_name(attribute.name);
    out->set_type(ToRecord(attribute.type));
    out->set_filterable(attribute.filterable);
  }
  for (const EventTypeDeclaration& type : catalog.event_types) {
    storage::EventTypeDeclaration* out = record.add_event_types();
    out->set_name(type.name);
    out->set_weight(type.weight);
    out->set_marks_seen(type.marks_seen);
    out->set_value_is_rating(type.value_is_rating);
  }
  for (const SpaceDeclaration& space : catalog.spaces) {
    storage::SpaceDeclaration* out = record.add_spaces();
    out->set_name(space.name);
    out->set_model(space.model);
    out->set_dimensions(space.dimensions);
  }

  record.set_rerank_weight(catalog.rerank_weight);
  record.set_create_time_us(ToMicros(catalog.create_time));
  record.set_revision(catalog.revision);
  return record;
}

absl::StatusOr<Catalog> FromRecord(const std::string& id, const storage::CatalogRecord& record) {
  Catalog catalog;
  catalog.id = id;
  catalog.display_name = record.display_name();

  for (const storage::AttributeDeclaration& attribute : record.attributes()) {
    PALATE_ASSIGN_OR_RETURN(const AttributeType type, FromRecord(attribute.type()));
    catalog.attributes.push_back({attribute.name(), type, attribute.filterable()});
  }
  for (const storage::EventTypeDeclaration& type : record.event_types()) {
    catalog.event_types.push_back(
        {type.name(), type.weight(), type.marks_seen(), type.value_is_rating()});
  }
  for (const storage::SpaceDeclaration& space : record.spaces()) {
    catalog.spaces.push_back({space.name(), space.model(), space.dimensions()});
  }

  catalog.rerank_weight = record.rerank_weight();
  catalog.create_time = FromMicros(record.create_time_us());
  catalog.revision = record.revision();
  return catalog;
}

storage::ItemRecord ToRecord(const Item& item, int64_t content_revision) {
  storage::ItemRecord record;
  record.set_title(item.title);
  record.set_description(item.description);
  WriteAttributes(item.attributes, record.mutable_attributes());

  for (const ImageRef& image : item.images) {
    storage::Image* out = record.add_images();
    out->set_sha256(image.sha256);
    out->set_media_type(image.media_type);
    out->set_width(image.width);
    out->set_height(image.height);
    out->set_size_bytes(image.size_bytes);
  }

  for (const PartFailure& refused : item.refused_images) {
    storage::FailedPart* out = record.add_refused_images();
    out->set_part(refused.part);
    out->set_code(static_cast<int>(refused.status.code()));
    out->set_message(std::string(refused.status.message()));
  }

  record.set_hidden(item.hidden);
  if (item.create_time.has_value()) record.set_create_time_us(ToMicros(*item.create_time));
  if (item.expire_time.has_value()) record.set_expire_time_us(ToMicros(*item.expire_time));
  record.set_revision(item.revision);
  record.set_content_revision(content_revision);
  record.set_number(item.number);
  return record;
}

Item FromRecord(std::string id, storage::ItemRecord&& record) {
  Item item;
  item.id = std::move(id);
  item.title = std::move(*record.mutable_title());
  item.description = std::move(*record.mutable_description());
  item.attributes = ReadAttributes(record.mutable_attributes());
  for (storage::Image& image : *record.mutable_images()) {
    item.images.push_back({std::move(*image.mutable_sha256()),
                           std::move(*image.mutable_media_type()), image.width(), image.height(),
                           image.size_bytes()});
  }
  for (const storage::FailedPart& refused : record.refused_images()) {
    item.refused_images.push_back(
        {refused.part(),
         absl::Status(static_cast<absl::StatusCode>(refused.code()), refused.message())});
  }
  item.hidden = record.hidden();
  item.create_time = FromMicros(record.create_time_us());
  if (record.has_expire_time_us()) item.expire_time = FromMicros(record.expire_time_us());
  item.revision = record.revision();
  item.number = record.number();
  return item;
}

storage::UserRecord ToRecord(const User& user) {
  storage::UserRecord record;
  record.set_profile_text(user.profile_text);
  record.set_persona(user.persona);
  WriteAttributes(user.attributes, record.mutable_attributes());
  record.set_update_time_us(ToMicros(user.update_time));
  return record;
}

User FromRecord(std::string id, storage::UserRecord&& record) {
  User user;
  user.id = std::move(id);
  user.profile_text = std::move(*record.mutable_profile_text());
  user.persona = std::move(*record.mutable_persona());
  user.attributes = ReadAttributes(record.mutable_attributes());
  user.update_time = FromMicros(record.update_time_us());
  return user;
}

storage::EventRecord ToRecord(const Event& event, int64_t popularity_micros) {
  storage::EventRecord record;
  record.set_item_id(event.item_id);
  record.set_type(event.type);
  if (event.value.has_value()) record.set_value(*event.value);
  record.set_session_id(event.session_id);
  record.set_recommendation_id(event.recommendation_id);
  record.set_popularity_micros(popularity_micros);
  return record;
}

Event FromRecord(std::string user_id, std::string event_id, int64_t time_us,
                 storage::EventRecord&& record) {
  Event event;
  event.event_id = std::move(event_id);
  event.user_id = std::move(user_id);
  event.item_id = std::move(*record.mutable_item_id());
  event.type = std::move(*record.mutable_type());
  if (record.has_value()) event.value = record.value();
  event.time = FromMicros(time_us);
  event.session_id = std::move(*record.mutable_session_id());
  event.recommendation_id = std::move(*record.mutable_recommendation_id());
  return event;
}

storage::ChangeKind ToRecord(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kItemUpserted:
      return storage::CHANGE_KIND_ITEM_UPSERTED;
    case ChangeKind::kItemDeleted:
      return storage::CHANGE_KIND_ITEM_DELETED;
    case ChangeKind::kVectorsChanged:
      return storage::CHANGE_KIND_VECTORS_CHANGED;
    case ChangeKind::kUserChanged:
      return storage::CHANGE_KIND_USER_CHANGED;
    case ChangeKind::kUserPurged:
      return storage::CHANGE_KIND_USER_PURGED;
    case ChangeKind::kCatalogChanged:
      return storage::CHANGE_KIND_CATALOG_CHANGED;
    case ChangeKind::kCatalogDeleted:
      return storage::CHANGE_KIND_CATALOG_DELETED;
    case ChangeKind::kSpacesSwitched:
      return storage::CHANGE_KIND_SPACES_SWITCHED;
  }

  return storage::CHANGE_KIND_UNSPECIFIED;
}

absl::StatusOr<ChangeKind> FromRecord(storage::ChangeKind kind) {
  switch (kind) {
    case storage::CHANGE_KIND_ITEM_UPSERTED:
      return ChangeKind::kItemUpserted;
    case storage::CHANGE_KIND_ITEM_DELETED:
      return ChangeKind::kItemDeleted;
    case storage::CHANGE_KIND_VECTORS_CHANGED:
      return ChangeKind::kVectorsChanged;
    case storage::CHANGE_KIND_USER_CHANGED:
      return ChangeKind::kUserChanged;
    case storage::CHANGE_KIND_USER_PURGED:
      return ChangeKind::kUserPurged;
    case storage::CHANGE_KIND_CATALOG_CHANGED:
      return ChangeKind::kCatalogChanged;
    case storage::CHANGE_KIND_CATALOG_DELETED:
      return ChangeKind::kCatalogDeleted;
    case storage::CHANGE_KIND_SPACES_SWITCHED:
      return ChangeKind::kSpacesSwitched;
    case storage::CHANGE_KIND_UNSPECIFIED:
    case storage::ChangeKind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case storage::ChangeKind_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return absl::DataLossError(
      absl::StrCat("a stored change has the unknown kind ", static_cast<int>(kind)));
}

std::string EncodeCount(int64_t value) {
  std::string bytes;
  AppendBigEndian64(static_cast<uint64_t>(value), bytes);
  return bytes;
}

absl::StatusOr<int64_t> DecodeCount(absl::string_view bytes) {
  uint64_t value = 0;
  if (!ConsumeBigEndian64(bytes, value) || !bytes.empty())
    return absl::DataLossError("a stored counter is damaged");
  return static_cast<int64_t>(value);
}

std::string EncodePageToken(absl::string_view last_id) {
  storage::PageToken token;
  token.set_last_id(std::string(last_id));
  return absl::WebSafeBase64Escape(token.SerializeAsString());
}

absl::StatusOr<std::string> DecodePageToken(absl::string_view token) {
  std::string bytes;
  storage::PageToken parsed;
  if (token.empty()) return std::string();
  if (!absl::WebSafeBase64Unescape(token, &bytes) || !parsed.ParseFromString(bytes) ||
      parsed.last_id().empty()) {
    return InvalidField("page_token", absl::StrCat("is ", QuoteForMessage(token)),
                        "a token from the page before");
  }
  return parsed.last_id();
}

std::string DeriveEventId(const Event& event) {
  std::string content;
  AppendSized(event.user_id, content);
  AppendSized(event.item_id, content);
  AppendSized(event.type, content);
  content.push_back(event.value.has_value() ? 1 : 0);
  AppendBigEndian64(std::bit_cast<uint64_t>(event.value.value_or(0.0)), content);
  AppendBigEndian64(static_cast<uint64_t>(ToMicros(event.time)), content);
  AppendSized(event.session_id, content);
  AppendSized(event.recommendation_id, content);
  return absl::BytesToHexString(Sha256(content).substr(0, 16));
}

}  // namespace palate::featurestore
