// Conversions between absl::Status, gRPC's status and google.rpc.Status. The codes are equal; field
// violations become google.rpc.BadRequest details.
//
// Usage:
//   const grpc::Status sent = ToGrpcStatus(InvalidField("k", "is 0", "1 to 1000"));
//   const absl::Status received = ToAbslStatus(sent);
#pragma once

#include <grpcpp/support/status.h>

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "domain/element_failure.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "google/rpc/status.pb.h"
#include "palate/types/v1/types.pb.h"

namespace palate::services {

grpc::Status ToGrpcStatus(const absl::Status& status);
// google.rpc.BadRequest details become the field violations of base/status.h.
absl::Status ToAbslStatus(const grpc::Status& status);

google::rpc::Status ToRpcStatus(const absl::Status& status);
absl::Status FromRpcStatus(const google::rpc::Status& status);

palate::types::v1::ItemFailure ToItemFailure(size_t index, const absl::Status& status);

using FailureList = google::protobuf::RepeatedPtrField<palate::types::v1::ItemFailure>;

// Adds the failures of the request's list `list` to `out`, which stays ordered by index. The field
// paths of a failure, relative to its element, become paths in the request: "item.title" ->
// "writes[3].item.title". `positions` maps a failure's index to the index in the request; empty
// means that they are equal.
//
//   AddFailures("writes", result.failures, batch.positions, *response.mutable_failures());
void AddFailures(absl::string_view list, const std::vector<ElementFailure>& failures,
                 const std::vector<size_t>& positions, FailureList& out);

}  // namespace palate::services
