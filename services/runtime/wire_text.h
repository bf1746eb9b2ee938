// Parsing of requests whose text may not be UTF-8.
//
// Protobuf refuses a whole message for one bad text in it, without saying which: one bad item would
// fail its batch, and nobody would learn why. Here the message is parsed nevertheless and the bad
// text is put back as it came, so that the code that checks fields finds it, names it and fails
// only the element that holds it. A bad key of a map, which cannot be put back, has its bad bytes
// replaced by U+FFFD.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace palate::services {

// InvalidArgument when `bytes` are no message of `message`'s type, texts apart.
absl::Status ParseTolerantly(const std::string& bytes, google::protobuf::Message& message);

}  // namespace palate::services
