// The words of the command line for attribute types: string, list, int64, double, bool. Pure
// functions.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "domain/attribute.h"

namespace palate::services {

std::string TypeWord(AttributeType type);
// InvalidArgument naming the word and the words that are known.
absl::StatusOr<AttributeType> ParseTypeWord(absl::string_view word);

}  // namespace palate::services
