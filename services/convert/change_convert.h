// Between the feature store's change feed (featurestore.v1) and the types of both of its ends: the
// store, which writes it, and the retrieval follower, which reads it (see
// services/convert/types_convert.h).
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "featurestore/types.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"
#include "retrieval/change_source.h"
#include "services/convert/types_convert.h"

namespace palate::services {

namespace store_pb = palate::featurestore::v1;

store_pb::ChangeKind ToProto(featurestore::ChangeKind kind);
// `catalog` is whose feed the change is of.
store_pb::Change ToProto(const featurestore::Change& change, const std::string& catalog);

// What an index has to do about the change; nullopt: nothing.
absl::StatusOr<std::optional<retrieval::Change::Kind>> FromProto(store_pb::ChangeKind kind);
absl::StatusOr<std::optional<retrieval::Change>> FromProto(const store_pb::Change& change);

// What an index holds of an item. Fills an empty update.
absl::Status FromProto(const types_pb::ItemRecord& record, retrieval::ItemUpdate& out);

}  // namespace palate::services
