// Between the feature store's public messages and its library types.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "featurestore/types.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"
#include "palate/types/v1/types.pb.h"

namespace palate::services {

absl::StatusOr<featurestore::ItemWrite> FromProto(const palate::types::v1::ItemWrite& write);
// InvalidField for a path that no catalog has. An empty mask means every field.
absl::StatusOr<featurestore::CatalogUpdateMask> CatalogMaskFrom(const google::protobuf::FieldMask& mask);
featurestore::ItemReadOptions FromProto(const palate::featurestore::v1::ItemView& view);

palate::types::v1::ItemRecord ToProto(const featurestore::StoredItem& item);
palate::featurestore::v1::GetStatsResponse ToProto(const featurestore::StoreStats& stats);

// From a field of the library's type to the path that the API has for it, inside the element.
using FieldPath = std::function<std::string(const std::string&)>;
std::string SameField(const std::string& field);
std::string ItemWriteField(const std::string& field);
std::string EventField(const std::string& field);

using FailureList = google::protobuf::RepeatedPtrField<palate::types::v1::ItemFailure>;
// Adds the failures of the request's list `list`. `positions` leads from a failure's index to that in the request; empty: they are the
// same.
void AddFailures(const std::vector<ElementFailure>& failures, const std::vector<size_t>& positions, const std::string& list,
                 const FieldPath& path, FailureList& out);

// The elements of a request that could be converted, with their places in it; the others are failures already.
template <typename Value>
struct Batch {
  std::vector<Value> values;
  std::vector<size_t> positions;
};

template <typename Value, typename Elements, typename Convert>
Batch<Value> ConvertBatch(const Elements& elements, const std::string& list, const FieldPath& path, FailureList& failures,
                          const Convert& convert) {
  Batch<Value> batch;
  for (int i = 0; i < elements.size(); ++i) {
    absl::StatusOr<Value> value = convert(elements[i]);
    if (value.ok()) {
      batch.values.push_back(*std::move(value));
      batch.positions.push_back(static_cast<size_t>(i));
    } else {
      AddFailures({{static_cast<size_t>(i), value.status()}}, {}, list, path, failures);
    }
  }
  return batch;
}

}  // namespace palate::services
