// Converts between the shared public messages (palate.types.v1) and the domain's types (domain/,
// ranking/ranking_types.h).
//
// Every conversion between messages and our types, here and in the *_convert.h of each service, is
// an overload of two functions:
//
// Usage:
//   const types_pb::Item message = ToProto(item);
//   PALATE_ASSIGN_OR_RETURN(const Item back, PrefixFields(FromProto(message), "item"));
//
// ToProto never fails. FromProto checks what can be wrong only in a message (times out of range, an
// attribute without a value, vectors of a wrong length, unknown enum numbers) and returns
// InvalidField with paths relative to the message; the libraries check limits and declarations.
// Pure functions, thread-safe.
//
// Enums are converted by switches without a default, so that the compiler finds missing values.
// Generated enums have two sentinels for undefined numbers; their cases lead to the error.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "domain/attribute.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/part_failure.h"
#include "domain/user.h"
#include "domain/vector.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/map.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "google/protobuf/timestamp.pb.h"
#include "palate/types/v1/types.pb.h"
#include "ranking/ranking_types.h"

namespace palate::services {

namespace types_pb = palate::types::v1;

google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);
// The time must be between 1970 and 9999; errors name it `field`.
absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& time,
                                     absl::string_view field);

// InvalidField with an empty path for an undefined number of the enum that is named `type`.
absl::Status UnknownValue(int value, absl::string_view type);

types_pb::AttributeType ToProto(AttributeType type);
absl::StatusOr<AttributeType> FromProto(types_pb::AttributeType type);
types_pb::EvidenceKind ToProto(ranking::Evidence::Kind kind);
absl::StatusOr<ranking::Evidence::Kind> FromProto(types_pb::EvidenceKind kind);
types_pb::TemplateCause ToProto(ranking::TemplateCause cause);
ranking::TemplateCause FromProto(types_pb::TemplateCause cause);
types_pb::ExplanationSource ToProto(ranking::ExplanationSource source);
absl::StatusOr<ranking::ExplanationSource> FromProto(types_pb::ExplanationSource source);

types_pb::AttributeValue ToProto(const AttributeValue& value);
absl::StatusOr<AttributeValue> FromProto(const types_pb::AttributeValue& value);

using AttributeMap = google::protobuf::Map<std::string, types_pb::AttributeValue>;
void ToProto(const Attributes& attributes, AttributeMap& out);
// Error paths start with "attributes[...]", the field's name in every message.
absl::StatusOr<Attributes> FromProto(const AttributeMap& attributes);

types_pb::AttributeDeclaration ToProto(const AttributeDeclaration& attribute);
absl::StatusOr<AttributeDeclaration> FromProto(const types_pb::AttributeDeclaration& attribute);
types_pb::EventTypeDeclaration ToProto(const EventTypeDeclaration& type);
EventTypeDeclaration FromProto(const types_pb::EventTypeDeclaration& type);
types_pb::SpaceDeclaration ToProto(const SpaceDeclaration& space);
absl::StatusOr<SpaceDeclaration> FromProto(const types_pb::SpaceDeclaration& space);
types_pb::Catalog ToProto(const Catalog& catalog);
absl::StatusOr<Catalog> FromProto(const types_pb::Catalog& catalog);

types_pb::Item ToProto(const Item& item);
// Without the images; services/featurestore reads those of writes.
absl::StatusOr<Item> FromProto(const types_pb::Item& item);
// Without the image's bytes.
types_pb::ItemImage ToProto(const ImageRef& image);
ImageRef FromProto(const types_pb::ItemImage& image);

types_pb::User ToProto(const User& user);
absl::StatusOr<User> FromProto(const types_pb::User& user);

types_pb::Event ToProto(const Event& event);
// A missing event_time is the Unix epoch when `time_required` is false.
absl::StatusOr<Event> FromProto(const types_pb::Event& event, bool time_required);

types_pb::SpaceKey ToProto(const SpaceKey& space);
SpaceKey FromProto(const types_pb::SpaceKey& space);
types_pb::Vector ToProto(const SpaceVector& vector);
// Refuses lengths that are not a multiple of four bytes, and values that are not finite.
absl::StatusOr<SpaceVector> FromProto(const types_pb::Vector& vector);

types_pb::PartFailure ToProto(const PartFailure& failure);
PartFailure FromProto(const types_pb::PartFailure& failure);

types_pb::ItemRecord ToProto(const ItemWithVectors& item);
// With the images, but without their bytes.
absl::StatusOr<ItemWithVectors> FromProto(const types_pb::ItemRecord& record);

types_pb::Evidence ToProto(const ranking::Evidence& evidence);
absl::StatusOr<ranking::Evidence> FromProto(const types_pb::Evidence& evidence);
types_pb::Explanation ToProto(const ranking::Explanation& explanation);
absl::StatusOr<ranking::Explanation> FromProto(const types_pb::Explanation& explanation);

// Appends the converted elements of a repeated field. Error paths start with the element,
// "list[3]":
//   ConvertList(request.history(), "history", FromProto, out.history)
template <typename Message, typename Value>
absl::Status ConvertList(const google::protobuf::RepeatedPtrField<Message>& elements,
                         absl::string_view list, absl::StatusOr<Value> (*convert)(const Message&),
                         std::vector<Value>& out) {
  out.reserve(out.size() + static_cast<size_t>(elements.size()));
  for (int i = 0; i < elements.size(); ++i) {
    absl::StatusOr<Value> value = convert(elements[i]);
    if (!value.ok()) return PrefixFields(value.status(), absl::StrCat(list, "[", i, "]"));
    out.push_back(*std::move(value));
  }
  return absl::OkStatus();
}

}  // namespace palate::services
