// The grammar of explanations: which word sequences are sentences whose claims the evidence check
// understands. What it does not parse is refused, however harmless its words are. Internal to the
// evidence check.
//
// Usage:
//   const std::string refusal = RefuseSentences(tokens, /*unfinished=*/false);
//   if (!refusal.empty()) reason = refusal;
//
// A rule lists alternatives of words and of mentions. A mention stands only where its kind may: a
// value where its role does ("made of" takes a material), a title of the history where the user
// did something with it, and the item's title where the item is spoken of.
//
// Pure functions, thread-safe. A parse takes some ten microseconds.
#pragma once

#include <string>
#include <vector>

#include "ranking/explain/evidence_text.h"

namespace palate::ranking {

// The reason why the tokens are not one to three sentences of the grammar; empty if they are. If
// `unfinished`, empty also when further words can complete them.
std::string RefuseSentences(const std::vector<TextToken>& tokens, bool unfinished);

}  // namespace palate::ranking
