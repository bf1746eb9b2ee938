#include "domain/attribute.h"

#include <array>
#include <charconv>
#include <cmath>
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

std::string NumberText(double value) {
  // Without an exponent where people write none: then the text has at most 24 characters.
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-6 && size < 1e16);
  std::array<char, 64> text = {};
  char* const end = text.data() + text.size();
  const std::to_chars_result written =
      plain ? std::to_chars(text.data(), end, value, std::chars_format::fixed)
            : std::to_chars(text.data(), end, value);
  return std::string(text.data(), written.ptr);
}

}  // namespace palate
