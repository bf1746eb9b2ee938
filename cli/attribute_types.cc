#include "cli/attribute_types.h"

#include "absl/strings/str_cat.h"
#include "base/bytes.h"

namespace palate::services {

std::string TypeWord(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return "string";
    case AttributeType::kStringList:
      return "list";
    case AttributeType::kInt64:
      return "int64";
    case AttributeType::kDouble:
      return "double";
    case AttributeType::kBool:
      return "bool";
  }
  return "unknown";
}

absl::StatusOr<AttributeType> ParseTypeWord(absl::string_view word) {
  for (const AttributeType type :
       {AttributeType::kString, AttributeType::kStringList, AttributeType::kInt64,
        AttributeType::kDouble, AttributeType::kBool}) {
    if (TypeWord(type) == word) return type;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      QuoteForMessage(word), " is no type; must be string, list, int64, double or bool"));
}

}  // namespace palate::services
