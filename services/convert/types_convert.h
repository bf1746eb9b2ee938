// Between the shared public messages (palate.types.v1) and the domain's types (base/types.h, ranking/ranking_types.h).
//
// ToProto never fails. FromProto checks what only the message can get wrong (times out of range, an attribute without a value, vectors of a
// broken length) and returns InvalidField with paths relative to the message; limits and declarations are the libraries' to check.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/attribute.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/user.h"
#include "domain/vector.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/map.h"
#include "google/protobuf/timestamp.pb.h"
#include "palate/types/v1/types.pb.h"
#include "ranking/ranking_types.h"

namespace palate::services {

namespace types_pb = palate::types::v1;

google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);
// `field` names the time in errors. Between 1970 and 9999.
absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& time, absl::string_view field);

using AttributeMap = google::protobuf::Map<std::string, types_pb::AttributeValue>;
void ToProto(const Attributes& attributes, AttributeMap& out);
absl::StatusOr<Attributes> FromProto(const AttributeMap& attributes);

types_pb::Catalog ToProto(const Catalog& catalog);
absl::StatusOr<Catalog> FromProto(const types_pb::Catalog& catalog);

types_pb::Item ToProto(const Item& item);
// Without the images: what a write says of them is services/featurestore's to read.
absl::StatusOr<Item> FromProto(const types_pb::Item& item);
ImageRef FromProto(const types_pb::ItemImage& image);

types_pb::User ToProto(const User& user);
absl::StatusOr<User> FromProto(const types_pb::User& user);

types_pb::Event ToProto(const Event& event);
// A missing event_time is the Unix epoch when `time_required` is false.
absl::StatusOr<Event> FromProto(const types_pb::Event& event, bool time_required);

types_pb::SpaceKey ToProto(const SpaceKey& space);
SpaceKey FromProto(const types_pb::SpaceKey& space);
types_pb::Vector ToProto(const SpaceVector& vector);
// Refuses lengths that are no multiple of four and values that are not finite.
absl::StatusOr<SpaceVector> FromProto(const types_pb::Vector& vector);

types_pb::ItemRecord ToProto(const ItemWithVectors& item);
// With the images' descriptions, without their bytes.
absl::StatusOr<ItemWithVectors> FromProto(const types_pb::ItemRecord& record);

types_pb::Explanation ToProto(const ranking::Explanation& explanation);
ranking::Explanation FromProto(const types_pb::Explanation& explanation);

}  // namespace palate::services
