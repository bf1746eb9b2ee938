// Converts between the feature store's public messages and its library types (see
// services/convert/types_convert.h).
#pragma once

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/types.h"
#include "google/protobuf/field_mask.pb.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"
#include "palate/types/v1/types.pb.h"
#include "services/convert/change_convert.h"
#include "services/convert/types_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {

absl::StatusOr<featurestore::ItemWrite> FromProto(const types_pb::ItemWrite& write);
// InvalidField for a path that is not a field of a catalog. An empty mask means every field.
absl::StatusOr<CatalogUpdateMask> FromProto(const google::protobuf::FieldMask& mask);
featurestore::ItemReadOptions FromProto(const store_pb::ItemView& view);

types_pb::ItemRecord ToProto(const featurestore::StoredItem& item);
store_pb::SpaceStats ToProto(const featurestore::ActiveSpace& space);
store_pb::CatalogStats ToProto(const featurestore::CatalogStats& stats);
store_pb::EmbeddingWorkerStats ToProto(const featurestore::EmbeddingWorker::Stats& stats);
// Without the statistics of the embedding worker.
store_pb::GetStatsResponse ToProto(const featurestore::StoreStats& stats);

// The elements of a request that could be converted, with their indexes in the request.
template <typename Value>
struct Batch {
  std::vector<Value> values;
  std::vector<size_t> positions;
};

// Converts the elements of the request's list `list` with `convert`. Adds those that it refuses to
// `failures`.
template <typename Value, typename Elements, typename Convert>
Batch<Value> ConvertBatch(absl::string_view list, const Elements& elements, FailureList& failures,
                          const Convert& convert) {
  Batch<Value> batch;
  std::vector<ElementFailure> refused;
  for (int i = 0; i < elements.size(); ++i) {
    absl::StatusOr<Value> value = convert(elements[i]);
    if (value.ok()) {
      batch.values.push_back(*std::move(value));
      batch.positions.push_back(static_cast<size_t>(i));
    } else {
      refused.push_back({static_cast<size_t>(i), value.status()});
    }
  }

  AddFailures(list, refused, {}, failures);
  return batch;
}

}  // namespace palate::services
