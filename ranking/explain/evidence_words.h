// What the evidence check knows of English: the words that a text may use, and what some of them
// claim. Internal to ranking/.
//
// Words are lower case. Constants only, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "ranking/explain/explanation_plan.h"

namespace palate::ranking {

// Whether the word is on the closed list or a claim word: what a text may use besides mentions.
bool IsPlainWord(absl::string_view word);

// The words that claim an interaction.
const absl::flat_hash_map<absl::string_view, Interaction>& InteractionWords();

// Words that claim a habit, and how many events it takes.
const absl::flat_hash_map<absl::string_view, int>& FrequencyWords();

// Words that claim a source, any of the given ones.
struct SourceClaim {
  bool trending = false, fresh = false, searched = false, similar = false, neighbors = false;
};
const absl::flat_hash_map<absl::string_view, SourceClaim>& SourceWords();

// Words that no sentence or clause ends with.
const absl::flat_hash_set<absl::string_view>& LeadingWords();
// Whether it may end with `particle` in spite of that, because of the word before: "what you
// searched for".
bool TakesParticle(absl::string_view verb, absl::string_view particle);

// Words around a value that say what kind of thing it is. Empty words stand for any.
struct Frame {
  std::string further;  // two words before the value
  std::string before;
  std::string after;
  std::string beyond;  // two words behind it
  std::string meaning;
  std::vector<PointRole> roles;
};

const std::vector<Frame>& Frames();

}  // namespace palate::ranking
