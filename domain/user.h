// A user's profile.
//
// Plain values: copyable, no synchronization. They are neither the public messages
// (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert between them.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "domain/attribute.h"

namespace palate {

struct User {
  std::string id;
  std::string profile_text;  // free text about the person; models read it as data, not instruction
  std::string persona;
  Attributes attributes;
  absl::Time update_time = absl::UnixEpoch();
};

}  // namespace palate
