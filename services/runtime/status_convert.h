// The one place where absl::Status and gRPC's status meet. Codes are the same numbers; field violations travel as google.rpc.BadRequest.
#pragma once

#include <grpcpp/support/status.h>

#include <cstddef>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"
#include "palate/types/v1/types.pb.h"

namespace palate::services {

grpc::Status ToGrpcStatus(const absl::Status& status);
// Violations come back as base/status.h's.
absl::Status ToAbslStatus(const grpc::Status& status);

google::rpc::Status ToRpcStatus(const absl::Status& status);
absl::Status FromRpcStatus(const google::rpc::Status& status);

palate::types::v1::ItemFailure ToItemFailure(size_t index, const absl::Status& status);

}  // namespace palate::services
