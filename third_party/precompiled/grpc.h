// Precompiled header for gRPC code: generated messages and stubs, and the services.

#ifndef PALATE_THIRD_PARTY_PRECOMPILED_GRPC_H_
#define PALATE_THIRD_PARTY_PRECOMPILED_GRPC_H_

#include <google/protobuf/extension_set.h>
#include <google/protobuf/generated_message_reflection.h>
#include <google/protobuf/generated_message_util.h>
#include <google/protobuf/map_field_inl.h>
#include <google/protobuf/message.h>
#include <google/protobuf/repeated_field.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include "third_party/precompiled/plain.h"

#endif  // PALATE_THIRD_PARTY_PRECOMPILED_GRPC_H_
