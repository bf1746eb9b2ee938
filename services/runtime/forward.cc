#include "services/runtime/forward.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

bool IsSameField(const FieldDescriptor& one, const FieldDescriptor& other) {
  return one.name() == other.name() && one.type() == other.type() && one.label() == other.label() &&
         one.has_optional_keyword() == other.has_optional_keyword() &&
         one.message_type() == other.message_type() && one.enum_type() == other.enum_type();
}

}  // namespace

ForwardTarget::ForwardTarget(ChannelProvider channel, std::string service_name)
    : channel_(std::move(channel)), service_name_(std::move(service_name)) {}

grpc::GenericStub& ForwardTarget::stub() {
  absl::call_once(once_, [this] { stub_ = std::make_unique<grpc::GenericStub>(channel_()); });
  return *stub_;
}

absl::Status ForwardTarget::Call(const std::string& method, const grpc::ByteBuffer& request,
                                 grpc::ByteBuffer& response, const CallContext& context) {
  BoundContext bound(context);
  StatusWaiter waiter;
  stub().UnaryCall(bound.get(), absl::StrCat("/", service_name_, "/", method), grpc::StubOptions(),
                   &request, &response, [&waiter](grpc::Status status) { waiter.Set(status); });
  return waiter.Wait();
}

absl::Status CheckSameFields(const Descriptor& one, const Descriptor& other) {
  if (one.field_count() != other.field_count()) {
    return absl::FailedPreconditionError(absl::StrCat(one.full_name(), " has ", one.field_count(),
                                                      " fields, ", other.full_name(), " has ",
                                                      other.field_count()));
  }
  for (int i = 0; i < one.field_count(); ++i) {
    const FieldDescriptor& field = *one.field(i);
    const FieldDescriptor* same = other.FindFieldByNumber(field.number());
    if (same == nullptr || !IsSameField(field, *same)) {
      return absl::FailedPreconditionError(
          absl::StrCat(other.full_name(), " has no field like ", field.full_name()));
    }
  }
  return absl::OkStatus();
}

}  // namespace palate::services
