// Vectors and the spaces in which they can be compared.
//
// Plain values: copyable, no thread safety of their own. They are neither the public messages (proto/palate/*/v1) nor the records on
// disk (proto/palate/storage/v1); services/ and featurestore/ convert at their edges.
#pragma once

#include <string>
#include <vector>

namespace palate {

// Which vectors can be compared: same space of the same model, named by the model's fingerprint.
struct SpaceKey {
  std::string name;
  std::string fingerprint;
  auto operator<=>(const SpaceKey&) const = default;
};

struct SpaceVector {
  SpaceKey space;
  std::vector<float> values;  // [dimensions], unit length
};

}  // namespace palate
