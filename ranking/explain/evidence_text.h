// Splits a text into words, breaks and mentions of a plan's facts. Internal to the evidence check.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/prompt.h"

namespace palate::ranking {

// A fact of the plan that the text names.
struct Mention {
  enum class Kind { kName, kEvent, kValue };
  Kind kind = Kind::kValue;
  int event = -1;         // kEvent: index into the plan's events
  int point = -1;         // kValue: index into the plan's points; -1 for other facts of the item
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
  bool capital = false;  // a word with an initial upper-case ASCII letter
};

// Words are runs of letters and digits with inner hyphens, apostrophes, and points or commas
// between digits; "'s" is a separate word. Bytes beyond ASCII count as letters, except typographic
// quotes and dashes, which count as their ASCII forms.
std::vector<TextToken> TokenizeText(absl::string_view text);

// Recognizes spelled mentions; the longest match at each position wins. Facts that consist of words
// for which `plain` is true are excluded. Immutable, thread-safe.
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
  // The longest pattern at the start of `text`, or null. REQUIRES: `text` is not empty.
  const Pattern* Find(absl::Span<const TextToken> text) const;
  void Add(const std::string& spelling, Mention mention, bool (*plain)(absl::string_view));

  // By their first word, the longest first.
  absl::flat_hash_map<std::string, std::vector<Pattern>> patterns_;
};

// The mention of a slot. REQUIRES: the plan fills the slot.
Mention MentionOfSlot(const ExplanationPlan& plan, const Segment& slot);

}  // namespace palate::ranking
