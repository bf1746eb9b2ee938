// Attributes of items and users: the types that a catalog declares, and values of them.
//
// Usage:
//   const Attributes attributes = {{"color", std::string("blue")}, {"price", 12.5}};
//   const bool is_number = TypeOf(attributes.at("price")) == AttributeType::kDouble;
//
// Plain values and pure functions: copyable, no synchronization. They are neither the public
// messages (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert between them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace palate {

// The type that a catalog declares for an attribute. Writes reject values of another type.
enum class AttributeType { kString, kStringList, kInt64, kDouble, kBool };

// A value of the declared type. Doubles are finite.
using AttributeValue = std::variant<std::string, std::vector<std::string>, int64_t, double, bool>;

// Ordered by name, so that text made from attributes is the same in every process.
using Attributes = std::map<std::string, AttributeValue>;

// The type of the value.
AttributeType TypeOf(const AttributeValue& value);

// The type with its article, for messages: "a string", "a list of strings", "an integer", "a
// number" or "a boolean".
absl::string_view AttributeTypeName(AttributeType type);

// The number as text from which the same number can be read back, in as few digits as that takes:
// "12.5", "1234567", "1e+300". Two different numbers have different texts.
std::string NumberText(double value);

}  // namespace palate
