// The resume token of WatchChanges: how far each catalog's feed was followed, in one opaque text.
//
// Layout: a format byte 1, then for each feed two length-prefixed texts (32-bit big-endian
// lengths): the catalog's id, empty for the feed of catalogs coming and going, and the store's own
// token. A vector of positions of another kind fits the same form.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::services {

// The store's token by catalog id.
using FeedPositions = std::map<std::string, std::string>;

std::string EncodeFeedToken(const FeedPositions& positions);
// InvalidField("resume_token", …) for what EncodeFeedToken did not make.
absl::StatusOr<FeedPositions> DecodeFeedToken(absl::string_view token);

}  // namespace palate::services
