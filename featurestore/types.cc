#include "featurestore/types.h"

#include "absl/strings/escaping.h"
#include "base/bytes.h"

namespace palate::featurestore {

std::string UserFeedKey(absl::string_view catalog, absl::string_view user_id) {
  std::string text(catalog);
  text.push_back('\0');
  text.append(user_id.data(), user_id.size());
  return absl::BytesToHexString(Sha256(text));
}

}  // namespace palate::featurestore
