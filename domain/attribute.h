// Attributes of items and users: the types that a catalog declares, and values of them.
//
// Plain values and pure functions: copyable, no synchronization. They are neither the public
// messages (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert at their edges.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace palate {

// The type that a catalog declares for an attribute. A value of another type is refused at the
// write.
enum class AttributeType { kString, kStringList, kInt64, kDouble, kBool };

// Holds the alternative that the declaration names. Doubles are finite.
using AttributeValue = std::variant<std::string, std::vector<std::string>, int64_t, double, bool>;

// Ordered by name, so that text made from attributes is the same in every process.
using Attributes = std::map<std::string, AttributeValue>;

// The type of the alternative that the value holds.
AttributeType TypeOf(const AttributeValue& value);

// The type in a sentence: "a string", "a list of strings", "an integer", "a number" or "a boolean".
absl::string_view AttributeTypeName(AttributeType type);

}  // namespace palate
