// The one place where absl::Status and gRPC's status meet. Codes are the same numbers; field violations travel as google.rpc.BadRequest.
#pragma once

#include <grpcpp/support/status.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
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

// Adds the failures of the request's list `list` to `out`, which stays ordered by index. Each of `failures` has an `index` and a `status`
// with field paths relative to the element; here they become paths in the request: "item.title" -> "writes[3].item.title". `positions`
// leads from a failure's index to that in the request; empty: they are the same.
//
//   AddFailures("writes", result.failures, batch.positions, *response.mutable_failures());
template <typename Failure>
void AddFailures(absl::string_view list, const std::vector<Failure>& failures, const std::vector<size_t>& positions, FailureList& out) {
  for (const Failure& failure : failures) {
    const size_t index = positions.empty() ? failure.index : positions[failure.index];
    *out.Add() = ToItemFailure(index, PrefixFields(failure.status, absl::StrCat(list, "[", index, "]")));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.index() < b.index(); });
}

}  // namespace palate::services
