#include "domain/attribute.h"

#include <type_traits>

namespace palate {
namespace {

// TypeOf relies on AttributeValue having its alternatives in the order of AttributeType.
template <AttributeType type, typename Value>
constexpr bool kHolds =
    std::is_same_v<std::variant_alternative_t<static_cast<size_t>(type), AttributeValue>, Value>;
static_assert(kHolds<AttributeType::kString, std::string>);
static_assert(kHolds<AttributeType::kStringList, std::vector<std::string>>);
static_assert(kHolds<AttributeType::kInt64, int64_t>);
static_assert(kHolds<AttributeType::kDouble, double>);
static_assert(kHolds<AttributeType::kBool, bool>);
static_assert(std::variant_size_v<AttributeValue> == 5);

}  // namespace

AttributeType TypeOf(const AttributeValue& value) {
  return static_cast<AttributeType>(value.index());
}

absl::string_view AttributeTypeName(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return "a string";
    case AttributeType::kStringList:
      return "a list of strings";
    case AttributeType::kInt64:
      return "an integer";
    case AttributeType::kDouble:
      return "a number";
    case AttributeType::kBool:
      return "a boolean";
  }
  return "of an unknown type";
}

}  // namespace palate
