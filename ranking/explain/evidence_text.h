// Cuts a text into words, breaks and mentions of a plan's facts. Internal to the evidence check.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/prompt.h"

namespace palate::ranking {

// Something of the plan that the text names.
struct Mention {
  enum class Kind { kName, kEvent, kValue };
  Kind kind = Kind::kValue;
  int event = -1;         // kEvent: index into the plan's events
  int point = -1;         // kValue: index into the plan's points; -1 for another fact of the item
  std::string attribute;  // kValue
  std::string value;      // kValue, as the item spells it
};

struct TextToken {
  enum class Kind {
    kWord,           // lower case; numbers too
    kClauseBreak,    // , : ; ( ) - and quotation marks
    kSentenceBreak,  // . ! ?
    kSign,           // any other character
    kMention,
  };
  Kind kind = Kind::kWord;
  std::string word;
  Mention mention;
  bool capital = false;  // a word that began with an upper-case ASCII letter
};

// Words are runs of letters and digits with inner hyphens, apostrophes and decimal points; "'s" is
// a word of its own. Bytes beyond ASCII are letters, apart from typographic quotes and dashes,
// which count as their ASCII forms.
std::vector<TextToken> TokenizeText(absl::string_view text);

// The mentions that a text may spell out: the longest at each place wins. Facts that consist of
// plain words only (`plain`) are left out.
class MentionMatcher {
 public:
  MentionMatcher(const ExplanationPlan& plan, bool (*plain)(absl::string_view));
  // Replaces every spelled mention by one kMention token.
  std::vector<TextToken> Match(std::vector<TextToken> tokens) const;

 private:
  struct Pattern {
    std::vector<TextToken> tokens;
    Mention mention;
  };
  // The longest pattern that `text`, which is not empty, begins with; null when there is none.
  const Pattern* Find(absl::Span<const TextToken> text) const;
  void Add(const std::string& spelling, Mention mention, bool (*plain)(absl::string_view));

  // By the word that they begin with, the longest first.
  absl::flat_hash_map<std::string, std::vector<Pattern>> patterns_;
};

// The mention that a slot stands for. The slot is one that the plan fills.
Mention MentionOfSlot(const ExplanationPlan& plan, const Segment& slot);

}  // namespace palate::ranking
