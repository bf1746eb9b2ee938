// Parsing of requests whose text may not be valid UTF-8.
//
// Protobuf refuses a whole message for one invalid string and does not name it, so one bad item
// would fail its batch without a usable error. ParseTolerantly parses the message nevertheless and
// keeps the invalid string, so that the code that checks fields finds it, names it, and fails only
// its element. In map keys, where the string cannot be kept, invalid bytes are replaced by U+FFFD.
//
// Usage:
//   pb::GetCatalogRequest request;
//   PALATE_RETURN_IF_ERROR(ParseTolerantly(bytes, request));
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace palate::services {

// InvalidArgument when `bytes` are not a message of `message`'s type, apart from invalid UTF-8.
absl::Status ParseTolerantly(const std::string& bytes, google::protobuf::Message& message);

}  // namespace palate::services
