// The one place where absl::Status and gRPC's status meet. Codes are the same numbers; field
// violations travel as google.rpc.BadRequest.
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
// Violations come back as base/status.h's.
absl::Status ToAbslStatus(const grpc::Status& status);

google::rpc::Status ToRpcStatus(const absl::Status& status);
absl::Status FromRpcStatus(const google::rpc::Status& status);

palate::types::v1::ItemFailure ToItemFailure(size_t index, const absl::Status& status);

using FailureList = google::protobuf::RepeatedPtrField<palate::types::v1::ItemFailure>;

// Adds the failures of the request's list `list` to `out`, which stays ordered by index. The field
// paths of a failure, relative to its element, become paths in the request: "item.title" ->
// "writes[3].item.title". `positions` leads from a failure's index to that in the request; empty:
// they are the same.
//
//   AddFailures("writes", result.failures, batch.positions, *response.mutable_failures());
void AddFailures(absl::string_view list, const std::vector<ElementFailure>& failures,
                 const std::vector<size_t>& positions, FailureList& out);

}  // namespace palate::services
