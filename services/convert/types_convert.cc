#include "services/convert/types_convert.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"

namespace palate::services {
namespace {

types_pb::AttributeType ToProto(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return types_pb::ATTRIBUTE_TYPE_STRING;
    case AttributeType::kStringList:
      return types_pb::ATTRIBUTE_TYPE_STRING_LIST;
    case AttributeType::kInt64:
      return types_pb::ATTRIBUTE_TYPE_INT64;
    case AttributeType::kDouble:
      return types_pb::ATTRIBUTE_TYPE_DOUBLE;
    case AttributeType::kBool:
      return types_pb::ATTRIBUTE_TYPE_BOOL;
  }
  return types_pb::ATTRIBUTE_TYPE_UNSPECIFIED;
}

absl::StatusOr<AttributeType> FromProto(types_pb::AttributeType type) {
  switch (type) {
    case types_pb::ATTRIBUTE_TYPE_STRING:
      return AttributeType::kString;
    case types_pb::ATTRIBUTE_TYPE_STRING_LIST:
      return AttributeType::kStringList;
    case types_pb::ATTRIBUTE_TYPE_INT64:
      return AttributeType::kInt64;
    case types_pb::ATTRIBUTE_TYPE_DOUBLE:
      return AttributeType::kDouble;
    case types_pb::ATTRIBUTE_TYPE_BOOL:
      return AttributeType::kBool;
    default:
      return InvalidField("type", absl::StrCat("is ", static_cast<int>(type)), "a type of AttributeType");
  }
}

types_pb::AttributeValue ToProto(const AttributeValue& value) {
  types_pb::AttributeValue out;
  if (const auto* text = std::get_if<std::string>(&value)) out.set_string_value(*text);
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    types_pb::StringList* values = out.mutable_string_list_value();
    for (const std::string& element : *list) values->add_values(element);
  }
  if (const auto* number = std::get_if<int64_t>(&value)) out.set_int64_value(*number);
  if (const auto* number = std::get_if<double>(&value)) out.set_double_value(*number);
  if (const auto* flag = std::get_if<bool>(&value)) out.set_bool_value(*flag);
  return out;
}

absl::StatusOr<AttributeValue> FromProto(const types_pb::AttributeValue& value, const std::string& name) {
  switch (value.value_case()) {
    case types_pb::AttributeValue::kStringValue:
      return AttributeValue(value.string_value());
    case types_pb::AttributeValue::kStringListValue: {
      const auto& values = value.string_list_value().values();
      return AttributeValue(std::vector<std::string>(values.begin(), values.end()));
    }
    case types_pb::AttributeValue::kInt64Value:
      return AttributeValue(value.int64_value());
    case types_pb::AttributeValue::kDoubleValue:
      return AttributeValue(value.double_value());
    case types_pb::AttributeValue::kBoolValue:
      return AttributeValue(value.bool_value());
    case types_pb::AttributeValue::VALUE_NOT_SET:
      break;
  }
  return InvalidField(absl::StrCat("attributes[", QuoteForMessage(name), "]"), "has no value", "one of AttributeValue's alternatives");
}

types_pb::EvidenceKind ToProto(ranking::Evidence::Kind kind) {
  switch (kind) {
    case ranking::Evidence::Kind::kUserEvent:
      return types_pb::EVIDENCE_KIND_USER_EVENT;
    case ranking::Evidence::Kind::kItemFact:
      return types_pb::EVIDENCE_KIND_ITEM_FACT;
    case ranking::Evidence::Kind::kTrend:
      return types_pb::EVIDENCE_KIND_TREND;
  }
  return types_pb::EVIDENCE_KIND_UNSPECIFIED;
}

ranking::Evidence::Kind FromProto(types_pb::EvidenceKind kind) {
  if (kind == types_pb::EVIDENCE_KIND_USER_EVENT) return ranking::Evidence::Kind::kUserEvent;
  if (kind == types_pb::EVIDENCE_KIND_TREND) return ranking::Evidence::Kind::kTrend;
  return ranking::Evidence::Kind::kItemFact;
}

// Fills the declarations of attributes, event types and spaces.
absl::Status DeclarationsFrom(const types_pb::Catalog& in, Catalog& out) {
  for (int i = 0; i < in.attributes_size(); ++i) {
    const types_pb::AttributeDeclaration& attribute = in.attributes(i);
    const absl::StatusOr<AttributeType> type = FromProto(attribute.type());
    if (!type.ok()) return PrefixFields(type.status(), absl::StrCat("attributes[", i, "]"));
    out.attributes.push_back({attribute.name(), *type, !attribute.has_filterable() || attribute.filterable()});
  }
  for (const types_pb::EventTypeDeclaration& type : in.event_types()) {
    out.event_types.push_back(
        {type.name(), type.has_weight() ? type.weight() : 1.0, !type.has_marks_seen() || type.marks_seen(), type.value_is_rating()});
  }
  for (int i = 0; i < in.spaces_size(); ++i) {
    const types_pb::SpaceDeclaration& space = in.spaces(i);
    if (space.metric() != types_pb::METRIC_UNSPECIFIED && space.metric() != types_pb::METRIC_INNER_PRODUCT) {
      return InvalidField(absl::StrCat("spaces[", i, "].metric"), absl::StrCat("is ", static_cast<int>(space.metric())),
                          "METRIC_INNER_PRODUCT or unset");
    }
    out.spaces.push_back({space.name(), space.model(), space.dimensions()});
  }
  return absl::OkStatus();
}

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  const int64_t seconds = absl::ToUnixSeconds(time);
  out.set_seconds(seconds);
  out.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return out;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(absl::ToInt64Seconds(duration));
  out.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration - absl::Seconds(out.seconds()))));
  return out;
}

absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& time, absl::string_view field) {
  if (time.seconds() < 0 || time.seconds() > kMaxUnixSeconds) {
    return InvalidField(field, absl::StrCat("is ", time.seconds(), " s"), "between 1970-01-01 and 9999-12-31");
  }
  if (time.nanos() < 0 || time.nanos() > 999'999'999) {
    return InvalidField(field, absl::StrCat("has ", time.nanos(), " nanoseconds"), "0 to 999999999");
  }
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

void ToProto(const Attributes& attributes, AttributeMap& out) {
  for (const auto& [name, value] : attributes) out[name] = ToProto(value);
}

absl::StatusOr<Attributes> FromProto(const AttributeMap& attributes) {
  Attributes out;
  for (const auto& [name, value] : attributes) {
    PALATE_ASSIGN_OR_RETURN(out[name], FromProto(value, name));
  }
  return out;
}

types_pb::Catalog ToProto(const Catalog& catalog) {
  types_pb::Catalog out;
  out.set_id(catalog.id);
  out.set_display_name(catalog.display_name);
  for (const AttributeDeclaration& attribute : catalog.attributes) {
    types_pb::AttributeDeclaration* declaration = out.add_attributes();
    declaration->set_name(attribute.name);
    declaration->set_type(ToProto(attribute.type));
    declaration->set_filterable(attribute.filterable);
  }
  for (const EventTypeDeclaration& type : catalog.event_types) {
    types_pb::EventTypeDeclaration* declaration = out.add_event_types();
    declaration->set_name(type.name);
    declaration->set_weight(type.weight);
    declaration->set_marks_seen(type.marks_seen);
    declaration->set_value_is_rating(type.value_is_rating);
  }
  for (const SpaceDeclaration& space : catalog.spaces) {
    types_pb::SpaceDeclaration* declaration = out.add_spaces();
    declaration->set_name(space.name);
    declaration->set_model(space.model);
    declaration->set_dimensions(space.dimensions);
    declaration->set_metric(types_pb::METRIC_INNER_PRODUCT);
  }
  out.set_rerank_weight(catalog.rerank_weight);
  *out.mutable_create_time() = ToProto(catalog.create_time);
  out.set_revision(catalog.revision);
  return out;
}

absl::StatusOr<Catalog> FromProto(const types_pb::Catalog& catalog) {
  Catalog out;
  out.id = catalog.id();
  out.display_name = catalog.display_name();
  PALATE_RETURN_IF_ERROR(DeclarationsFrom(catalog, out));
  if (catalog.has_rerank_weight()) out.rerank_weight = catalog.rerank_weight();
  if (catalog.has_create_time()) {
    PALATE_ASSIGN_OR_RETURN(out.create_time, FromProto(catalog.create_time(), "create_time"));
  }
  out.revision = catalog.revision();
  return out;
}

types_pb::Item ToProto(const Item& item) {
  types_pb::Item out;
  out.set_id(item.id);
  out.set_title(item.title);
  out.set_description(item.description);
  ToProto(item.attributes, *out.mutable_attributes());
  for (const ImageRef& image : item.images) {
    types_pb::ItemImage* reference = out.add_images();
    reference->set_sha256(image.sha256);
    reference->set_media_type(image.media_type);
    reference->set_width(image.width);
    reference->set_height(image.height);
    reference->set_size_bytes(image.size_bytes);
  }
  out.set_hidden(item.hidden);
  *out.mutable_create_time() = ToProto(item.create_time);
  if (item.expire_time.has_value()) *out.mutable_expire_time() = ToProto(*item.expire_time);
  out.set_revision(item.revision);
  return out;
}

absl::StatusOr<Item> FromProto(const types_pb::Item& item) {
  Item out;
  out.id = item.id();
  out.title = item.title();
  out.description = item.description();
  PALATE_ASSIGN_OR_RETURN(out.attributes, FromProto(item.attributes()));
  out.hidden = item.hidden();
  if (item.has_create_time()) {
    PALATE_ASSIGN_OR_RETURN(out.create_time, FromProto(item.create_time(), "create_time"));
  }
  if (item.has_expire_time()) {
    PALATE_ASSIGN_OR_RETURN(out.expire_time, FromProto(item.expire_time(), "expire_time"));
  }
  out.revision = item.revision();
  return out;
}

ImageRef FromProto(const types_pb::ItemImage& image) {
  return {image.sha256(), image.media_type(), image.width(), image.height(), image.size_bytes()};
}

types_pb::User ToProto(const User& user) {
  types_pb::User out;
  out.set_id(user.id);
  out.set_profile_text(user.profile_text);
  out.set_persona(user.persona);
  ToProto(user.attributes, *out.mutable_attributes());
  *out.mutable_update_time() = ToProto(user.update_time);
  return out;
}

absl::StatusOr<User> FromProto(const types_pb::User& user) {
  User out;
  out.id = user.id();
  out.profile_text = user.profile_text();
  out.persona = user.persona();
  PALATE_ASSIGN_OR_RETURN(out.attributes, FromProto(user.attributes()));
  if (user.has_update_time()) {
    PALATE_ASSIGN_OR_RETURN(out.update_time, FromProto(user.update_time(), "update_time"));
  }
  return out;
}

types_pb::Event ToProto(const Event& event) {
  types_pb::Event out;
  out.set_event_id(event.event_id);
  out.set_user_id(event.user_id);
  out.set_item_id(event.item_id);
  out.set_event_type(event.type);
  if (event.value.has_value()) out.set_value(*event.value);
  *out.mutable_event_time() = ToProto(event.time);
  out.set_session_id(event.session_id);
  out.set_recommendation_id(event.recommendation_id);
  return out;
}

absl::StatusOr<Event> FromProto(const types_pb::Event& event, bool time_required) {
  Event out;
  out.event_id = event.event_id();
  out.user_id = event.user_id();
  out.item_id = event.item_id();
  out.type = event.event_type();
  if (event.has_value()) out.value = event.value();
  if (event.has_event_time()) {
    PALATE_ASSIGN_OR_RETURN(out.time, FromProto(event.event_time(), "event_time"));
  } else if (time_required) {
    return InvalidField("event_time", "is missing", "set");
  }
  out.session_id = event.session_id();
  out.recommendation_id = event.recommendation_id();
  return out;
}

types_pb::SpaceKey ToProto(const SpaceKey& space) {
  types_pb::SpaceKey out;
  out.set_name(space.name);
  out.set_fingerprint(space.fingerprint);
  return out;
}

SpaceKey FromProto(const types_pb::SpaceKey& space) { return {space.name(), space.fingerprint()}; }

types_pb::Vector ToProto(const SpaceVector& vector) {
  types_pb::Vector out;
  *out.mutable_space() = ToProto(vector.space);
  out.set_values(FloatsToBytes(vector.values));
  return out;
}

absl::StatusOr<SpaceVector> FromProto(const types_pb::Vector& vector) {
  SpaceVector out;
  out.space = FromProto(vector.space());
  if (out.space.name.empty()) return InvalidField("space.name", "is empty", "the name of a space");
  if (vector.values().empty() || vector.values().size() % 4 != 0) {
    return InvalidField("values", absl::StrCat("has ", vector.values().size(), " bytes"), "a multiple of 4 above 0");
  }
  PALATE_ASSIGN_OR_RETURN(out.values, FloatsFromBytes(vector.values()));
  for (size_t i = 0; i < out.values.size(); ++i) {
    if (!std::isfinite(out.values[i])) return InvalidField("values", absl::StrCat("is ", out.values[i], " at dimension ", i), "finite");
  }
  return out;
}

types_pb::ItemRecord ToProto(const ItemWithVectors& item) {
  types_pb::ItemRecord out;
  *out.mutable_item() = ToProto(item.item);
  for (const SpaceVector& vector : item.vectors) *out.add_vectors() = ToProto(vector);
  return out;
}

absl::StatusOr<ItemWithVectors> FromProto(const types_pb::ItemRecord& record) {
  ItemWithVectors out;
  absl::StatusOr<Item> item = FromProto(record.item());
  if (!item.ok()) return PrefixFields(item.status(), "item");
  out.item = *std::move(item);
  for (const types_pb::ItemImage& image : record.item().images()) out.item.images.push_back(FromProto(image));

  out.vectors.reserve(static_cast<size_t>(record.vectors_size()));
  for (int i = 0; i < record.vectors_size(); ++i) {
    absl::StatusOr<SpaceVector> vector = FromProto(record.vectors(i));
    if (!vector.ok()) return PrefixFields(vector.status(), absl::StrCat("vectors[", i, "]"));
    out.vectors.push_back(*std::move(vector));
  }
  return out;
}

types_pb::Explanation ToProto(const ranking::Explanation& explanation) {
  types_pb::Explanation out;
  out.set_text(explanation.text);
  out.set_source(explanation.source == ranking::ExplanationSource::kLlm ? types_pb::EXPLANATION_SOURCE_LLM
                                                                        : types_pb::EXPLANATION_SOURCE_TEMPLATE);
  for (const ranking::Evidence& evidence : explanation.evidence) {
    types_pb::Evidence* cited = out.add_evidence();
    cited->set_kind(ToProto(evidence.kind));
    cited->set_item_id(evidence.item_id);
    cited->set_attribute(evidence.attribute);
    cited->set_value(evidence.value);
  }
  out.set_rejected_reason(explanation.rejected_reason);
  out.set_model_fingerprint(explanation.model_fingerprint);
  return out;
}

ranking::Explanation FromProto(const types_pb::Explanation& explanation) {
  ranking::Explanation out;
  out.text = explanation.text();
  out.source =
      explanation.source() == types_pb::EXPLANATION_SOURCE_LLM ? ranking::ExplanationSource::kLlm : ranking::ExplanationSource::kTemplate;
  for (const types_pb::Evidence& cited : explanation.evidence()) {
    out.evidence.push_back({FromProto(cited.kind()), cited.item_id(), cited.attribute(), cited.value()});
  }
  out.rejected_reason = explanation.rejected_reason();
  out.model_fingerprint = explanation.model_fingerprint();
  return out;
}

}  // namespace palate::services
