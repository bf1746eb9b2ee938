#include "services/convert/types_convert.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/runtime/status_convert.h"

namespace palate::services {

absl::Status UnknownValue(int value, absl::string_view type) {
  return InvalidField("", absl::StrCat("is ", value), absl::StrCat("a value of ", type));
}

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
    case types_pb::ATTRIBUTE_TYPE_UNSPECIFIED:
    case types_pb::AttributeType_INT_MIN_SENTINEL_DO_NOT_USE_:
    case types_pb::AttributeType_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(type, "AttributeType");
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

absl::StatusOr<ranking::Evidence::Kind> FromProto(types_pb::EvidenceKind kind) {
  switch (kind) {
    case types_pb::EVIDENCE_KIND_USER_EVENT:
      return ranking::Evidence::Kind::kUserEvent;
    case types_pb::EVIDENCE_KIND_ITEM_FACT:
      return ranking::Evidence::Kind::kItemFact;
    case types_pb::EVIDENCE_KIND_TREND:
      return ranking::Evidence::Kind::kTrend;
    case types_pb::EVIDENCE_KIND_UNSPECIFIED:
    case types_pb::EvidenceKind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case types_pb::EvidenceKind_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(kind, "EvidenceKind");
}

types_pb::TemplateCause ToProto(ranking::TemplateCause cause) {
  switch (cause) {
    case ranking::TemplateCause::kNone:
      return types_pb::TEMPLATE_CAUSE_UNSPECIFIED;
    case ranking::TemplateCause::kNoModel:
      return types_pb::TEMPLATE_CAUSE_NO_MODEL;
    case ranking::TemplateCause::kNothingToSay:
      return types_pb::TEMPLATE_CAUSE_NOTHING_TO_SAY;
    case ranking::TemplateCause::kOutOfTime:
      return types_pb::TEMPLATE_CAUSE_OUT_OF_TIME;
    case ranking::TemplateCause::kRefused:
      return types_pb::TEMPLATE_CAUSE_REFUSED;
  }

  return types_pb::TEMPLATE_CAUSE_UNSPECIFIED;
}

// A cause of a newer server is none that this one knows.
ranking::TemplateCause FromProto(types_pb::TemplateCause cause) {
  switch (cause) {
    case types_pb::TEMPLATE_CAUSE_NO_MODEL:
      return ranking::TemplateCause::kNoModel;
    case types_pb::TEMPLATE_CAUSE_NOTHING_TO_SAY:
      return ranking::TemplateCause::kNothingToSay;
    case types_pb::TEMPLATE_CAUSE_OUT_OF_TIME:
      return ranking::TemplateCause::kOutOfTime;
    case types_pb::TEMPLATE_CAUSE_REFUSED:
      return ranking::TemplateCause::kRefused;
    case types_pb::TEMPLATE_CAUSE_UNSPECIFIED:
    case types_pb::TemplateCause_INT_MIN_SENTINEL_DO_NOT_USE_:
    case types_pb::TemplateCause_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return ranking::TemplateCause::kNone;
}

types_pb::ExplanationSource ToProto(ranking::ExplanationSource source) {
  switch (source) {
    case ranking::ExplanationSource::kTemplate:
      return types_pb::EXPLANATION_SOURCE_TEMPLATE;
    case ranking::ExplanationSource::kLlm:
      return types_pb::EXPLANATION_SOURCE_LLM;
  }

  return types_pb::EXPLANATION_SOURCE_UNSPECIFIED;
}

absl::StatusOr<ranking::ExplanationSource> FromProto(types_pb::ExplanationSource source) {
  switch (source) {
    case types_pb::EXPLANATION_SOURCE_TEMPLATE:
      return ranking::ExplanationSource::kTemplate;
    case types_pb::EXPLANATION_SOURCE_LLM:
      return ranking::ExplanationSource::kLlm;
    case types_pb::EXPLANATION_SOURCE_UNSPECIFIED:
    case types_pb::ExplanationSource_INT_MIN_SENTINEL_DO_NOT_USE_:
    case types_pb::ExplanationSource_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(source, "ExplanationSource");
}

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  const int64_t seconds = absl::ToUnixSeconds(time);
  out.set_seconds(seconds);
  out.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return out;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(absl::ToInt64Seconds(duration));
  out.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(duration - absl::Seconds(out.seconds()))));
  return out;
}

absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& time,
                                     absl::string_view field) {
  if (time.seconds() < 0 || time.seconds() > kMaxUnixSeconds) {
    return InvalidField(field, absl::StrCat("is ", time.seconds(), " s"),
                        "between 1970-01-01 and 9999-12-31");
  }
  if (time.nanos() < 0 || time.nanos() > 999'999'999) {
    return InvalidField(field, absl::StrCat("has ", time.nanos(), " nanoseconds"),
                        "0 to 999999999");
  }

  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
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

absl::StatusOr<AttributeValue> FromProto(const types_pb::AttributeValue& value) {
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

  return InvalidField("", "has no value", "one of AttributeValue's alternatives");
}

void ToProto(const Attributes& attributes, AttributeMap& out) {
  for (const auto& [name, value] : attributes) out[name] = ToProto(value);
}

absl::StatusOr<Attributes> FromProto(const AttributeMap& attributes) {
  Attributes out;
  for (const auto& [name, value] : attributes) {
    absl::StatusOr<AttributeValue> converted = FromProto(value);
    if (!converted.ok())
      return PrefixFields(converted.status(),
                          absl::StrCat("attributes[", QuoteForMessage(name), "]"));
    out[name] = *std::move(converted);
  }
  return out;
}

types_pb::AttributeDeclaration ToProto(const AttributeDeclaration& attribute) {
  types_pb::AttributeDeclaration out;
  out.set_name(attribute.name);
  out.set_type(ToProto(attribute.type));
  out.set_filterable(attribute.filterable);
  return out;
}

absl::StatusOr<AttributeDeclaration> FromProto(const types_pb::AttributeDeclaration& attribute) {
  AttributeDeclaration out;
  out.name = attribute.name();
  PALATE_ASSIGN_OR_RETURN(out.type, PrefixFields(FromProto(attribute.type()), "type"));
  out.filterable = !attribute.has_filterable() || attribute.filterable();
  return out;
}

types_pb::EventTypeDeclaration ToProto(const EventTypeDeclaration& type) {
  types_pb::EventTypeDeclaration out;
  out.set_name(type.name);
  out.set_weight(type.weight);
  out.set_marks_seen(type.marks_seen);
  out.set_value_is_rating(type.value_is_rating);
  return out;
}

EventTypeDeclaration FromProto(const types_pb::EventTypeDeclaration& type) {
  return {type.name(), type.has_weight() ? type.weight() : 1.0,
          !type.has_marks_seen() || type.marks_seen(), type.value_is_rating()};
}

types_pb::SpaceDeclaration ToProto(const SpaceDeclaration& space) {
  types_pb::SpaceDeclaration out;
  out.set_name(space.name);
  out.set_model(space.model);
  out.set_dimensions(space.dimensions);
  out.set_metric(types_pb::METRIC_INNER_PRODUCT);
  return out;
}

absl::StatusOr<SpaceDeclaration> FromProto(const types_pb::SpaceDeclaration& space) {
  switch (space.metric()) {
    case types_pb::METRIC_UNSPECIFIED:
    case types_pb::METRIC_INNER_PRODUCT:
      return SpaceDeclaration{space.name(), space.model(), space.dimensions()};
    case types_pb::Metric_INT_MIN_SENTINEL_DO_NOT_USE_:
    case types_pb::Metric_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return InvalidField("metric", absl::StrCat("is ", static_cast<int>(space.metric())),
                      "METRIC_INNER_PRODUCT or unset");
}

types_pb::Catalog ToProto(const Catalog& catalog) {
  types_pb::Catalog out;
  out.set_id(catalog.id);
  out.set_display_name(catalog.display_name);
  for (const AttributeDeclaration& attribute : catalog.attributes)
    *out.add_attributes() = ToProto(attribute);
  for (const EventTypeDeclaration& type : catalog.event_types)
    *out.add_event_types() = ToProto(type);
  for (const SpaceDeclaration& space : catalog.spaces) *out.add_spaces() = ToProto(space);
  out.set_rerank_weight(catalog.rerank_weight);
  *out.mutable_create_time() = ToProto(catalog.create_time);
  out.set_revision(catalog.revision);
  return out;
}

absl::StatusOr<Catalog> FromProto(const types_pb::Catalog& catalog) {
  Catalog out;
  out.id = catalog.id();
  out.display_name = catalog.display_name();
  PALATE_RETURN_IF_ERROR(
      ConvertList(catalog.attributes(), "attributes", FromProto, out.attributes));
  for (const types_pb::EventTypeDeclaration& type : catalog.event_types())
    out.event_types.push_back(FromProto(type));
  PALATE_RETURN_IF_ERROR(ConvertList(catalog.spaces(), "spaces", FromProto, out.spaces));
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
  for (const ImageRef& image : item.images) *out.add_images() = ToProto(image);
  out.set_hidden(item.hidden);
  if (item.create_time.has_value()) *out.mutable_create_time() = ToProto(*item.create_time);
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

types_pb::ItemImage ToProto(const ImageRef& image) {
  types_pb::ItemImage out;
  out.set_sha256(image.sha256);
  out.set_media_type(image.media_type);
  out.set_width(image.width);
  out.set_height(image.height);
  out.set_size_bytes(image.size_bytes);
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
    return InvalidField("values", absl::StrCat("has ", vector.values().size(), " bytes"),
                        "a multiple of 4 above 0");
  }

  PALATE_ASSIGN_OR_RETURN(out.values, FloatsFromBytes(vector.values()));
  for (size_t i = 0; i < out.values.size(); ++i) {
    if (!std::isfinite(out.values[i]))
      return InvalidField("values", absl::StrCat("is ", out.values[i], " at dimension ", i),
                          "finite");
  }
  return out;
}

types_pb::ItemRecord ToProto(const ItemWithVectors& item) {
  types_pb::ItemRecord out;
  *out.mutable_item() = ToProto(item.item);
  for (const SpaceVector& vector : item.vectors) *out.add_vectors() = ToProto(vector);
  out.set_number(item.item.number);
  for (const PartFailure& failure : item.failed_parts) *out.add_failed_parts() = ToProto(failure);
  return out;
}

types_pb::PartFailure ToProto(const PartFailure& failure) {
  types_pb::PartFailure out;
  out.set_part(failure.part);
  *out.mutable_status() = ToRpcStatus(failure.status);
  return out;
}

PartFailure FromProto(const types_pb::PartFailure& failure) {
  return {failure.part(), FromRpcStatus(failure.status())};
}

absl::StatusOr<ItemWithVectors> FromProto(const types_pb::ItemRecord& record) {
  ItemWithVectors out;
  PALATE_ASSIGN_OR_RETURN(out.item, PrefixFields(FromProto(record.item()), "item"));
  for (const types_pb::ItemImage& image : record.item().images())
    out.item.images.push_back(FromProto(image));
  out.item.number = record.number();
  for (const types_pb::PartFailure& failure : record.failed_parts())
    out.failed_parts.push_back(FromProto(failure));

  PALATE_RETURN_IF_ERROR(ConvertList(record.vectors(), "vectors", FromProto, out.vectors));
  return out;
}

types_pb::Evidence ToProto(const ranking::Evidence& evidence) {
  types_pb::Evidence out;
  out.set_kind(ToProto(evidence.kind));
  out.set_item_id(evidence.item_id);
  out.set_attribute(evidence.attribute);
  out.set_value(evidence.value);
  return out;
}

absl::StatusOr<ranking::Evidence> FromProto(const types_pb::Evidence& evidence) {
  PALATE_ASSIGN_OR_RETURN(const ranking::Evidence::Kind kind,
                          PrefixFields(FromProto(evidence.kind()), "kind"));
  return ranking::Evidence{kind, evidence.item_id(), evidence.attribute(), evidence.value()};
}

types_pb::Explanation ToProto(const ranking::Explanation& explanation) {
  types_pb::Explanation out;
  out.set_text(explanation.text);
  out.set_source(ToProto(explanation.source));
  for (const ranking::Evidence& evidence : explanation.evidence)
    *out.add_evidence() = ToProto(evidence);
  out.set_rejected_reason(explanation.rejected_reason);
  out.set_model_fingerprint(explanation.model_fingerprint);
  out.set_template_cause(ToProto(explanation.cause));
  return out;
}

absl::StatusOr<ranking::Explanation> FromProto(const types_pb::Explanation& explanation) {
  ranking::Explanation out;
  out.text = explanation.text();
  PALATE_ASSIGN_OR_RETURN(out.source, PrefixFields(FromProto(explanation.source()), "source"));
  PALATE_RETURN_IF_ERROR(ConvertList(explanation.evidence(), "evidence", FromProto, out.evidence));
  out.rejected_reason = explanation.rejected_reason();
  out.model_fingerprint = explanation.model_fingerprint();
  out.cause = FromProto(explanation.template_cause());
  return out;
}

}  // namespace palate::services
