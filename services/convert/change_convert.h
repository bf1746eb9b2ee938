// Converts the feature store's change feed (featurestore.v1) from the types of the store, which
// writes it, and to the types of the retrieval follower, which reads it (see
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
// `catalog` is the catalog of the feed that has the change.
store_pb::Change ToProto(const featurestore::Change& change, const std::string& catalog);

// The change to an index; nullopt when the index is not affected.
absl::StatusOr<std::optional<retrieval::Change::Kind>> FromProto(store_pb::ChangeKind kind);
absl::StatusOr<std::optional<retrieval::Change>> FromProto(const store_pb::Change& change);

// Fills `out`, which must be empty, with what an index stores of an item.
absl::Status FromProto(const types_pb::ItemRecord& record, retrieval::ItemUpdate& out);

}  // namespace palate::services
