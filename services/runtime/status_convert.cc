#include "services/runtime/status_convert.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "google/rpc/error_details.pb.h"

namespace palate::services {

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status out;
  out.set_code(static_cast<int>(status.code()));
  out.set_message(std::string(status.message()));

  const std::vector<FieldViolation> violations = FieldViolations(status);
  if (violations.empty()) return out;
  google::rpc::BadRequest detail;
  for (const FieldViolation& violation : violations) {
    google::rpc::BadRequest::FieldViolation* field = detail.add_field_violations();
    field->set_field(violation.field);
    field->set_description(violation.description);
  }

  out.add_details()->PackFrom(detail);
  return out;
}

absl::Status FromRpcStatus(const google::rpc::Status& status) {
  for (const google::protobuf::Any& any : status.details()) {
    google::rpc::BadRequest detail;
    if (!any.UnpackTo(&detail)) continue;
    std::vector<FieldViolation> violations;
    for (const auto& field : detail.field_violations())
      violations.push_back({field.field(), field.description()});
    return InvalidFields(status.message(), violations);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), rpc.message(),
                      rpc.details().empty() ? std::string() : rpc.SerializeAsString());
}

absl::Status ToAbslStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status rpc;
  if (!status.error_details().empty() && rpc.ParseFromString(status.error_details()))
    return FromRpcStatus(rpc);

  // gRPC sends no message when a server lacks the service or the method.
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED && status.error_message().empty()) {
    return absl::UnimplementedError("the server has no such service or method");
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

palate::types::v1::ItemFailure ToItemFailure(size_t index, const absl::Status& status) {
  palate::types::v1::ItemFailure failure;
  failure.set_index(static_cast<int>(index));
  *failure.mutable_status() = ToRpcStatus(status);
  return failure;
}

void AddFailures(absl::string_view list, const std::vector<ElementFailure>& failures,
                 const std::vector<size_t>& positions, FailureList& out) {
  for (const ElementFailure& failure : failures) {
    const size_t index = positions.empty() ? failure.index : positions[failure.index];
    *out.Add() =
        ToItemFailure(index, PrefixFields(failure.status, absl::StrCat(list, "[", index, "]")));
  }

  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.index() < b.index(); });
}

}  // namespace palate::services
