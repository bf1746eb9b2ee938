// Protobuf JSON as the command line prints it: with proto field names and default-valued fields.
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace palate::services {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

}  // namespace palate::services
