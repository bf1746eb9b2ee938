// The resume token of WatchChanges: the position in each catalog's feed, in one opaque string.
//
// Layout: a format byte 1, then for each feed two length-prefixed strings (32-bit big-endian
// lengths): the catalog's id, empty for the feed of created, changed and deleted catalogs, and the
// store's token. Other kinds of positions can use the same format.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::services {

// The store's token by catalog id.
using FeedPositions = std::map<std::string, std::string>;

std::string EncodeFeedToken(const FeedPositions& positions);
// InvalidField("resume_token", …) for a token that EncodeFeedToken did not make.
absl::StatusOr<FeedPositions> DecodeFeedToken(absl::string_view token);

}  // namespace palate::services
