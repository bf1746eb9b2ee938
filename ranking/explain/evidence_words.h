// The vocabulary of the evidence check: the English words that a text may use, and the claims of
// some of them. Internal to ranking/.
//
// Words are in lower case. Constants and pure functions; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "ranking/explain/explanation_plan.h"

namespace palate::ranking {

// Whether the word is a plain word or a claim word; a text may use no others outside mentions.
bool IsPlainWord(absl::string_view word);

// The words that claim an interaction.
const absl::flat_hash_map<absl::string_view, Interaction>& InteractionWords();

// Words that claim a habit, with the number of events that they require.
const absl::flat_hash_map<absl::string_view, int>& FrequencyWords();

// Verbs that claim a choice of the user: more than a look. "pick" is one after "you" only.
const absl::flat_hash_set<absl::string_view>& ChoiceWords();

// Words that claim a candidate source; any of the listed sources proves the claim.
struct SourceClaim {
  bool trending = false, fresh = false, searched = false, similar = false, neighbors = false;
};
const absl::flat_hash_map<absl::string_view, SourceClaim>& SourceWords();

// Words that cannot end a sentence or clause.
const absl::flat_hash_set<absl::string_view>& LeadingWords();
// Whether `particle` may end it after all, because of the preceding verb: "what you searched for".
bool TakesParticle(absl::string_view verb, absl::string_view particle);

// Words around a value that claim what kind of value it is. Empty words match any word.
struct Frame {
  std::string further;  // the second word before the value
  std::string before;
  std::string after;
  std::string beyond;  // the second word after the value
  std::string meaning;
  std::vector<PointRole> roles;
};

const std::vector<Frame>& Frames();

}  // namespace palate::ranking
