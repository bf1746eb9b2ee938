// Decides whether an explanation is true: every claim must rest on the plan that it was written
// from.
//
// The rule, in one paragraph. A text is a row of words. Words that spell a title of the user's
// events, the item's title, or a value of the item are mentions. Every other word must be on a
// closed list of plain English words that claim nothing by themselves, or be one of the claim words
// below, whose claim is then proven:
//   a number outside of a mention                      refused
//   an interaction ("bought", "watched")              the title that it is said of must have that
//   interaction a frequency ("often", "keep", "twice")             the values in its clause must
//   have that many events "you" or "your" with a value in the clause         the value must be a
//   liked one, or be said to lie in the user's range and do so a title and a value in one sentence
//   the title's item must have the value too "popular", "new", "search", "similar", "others"    the
//   source that brought the item must be that one "usual", "range" the sentence must hold a number
//   within the user's range "price"                                            the sentence must
//   hold the item's price "made of", "by", "priced at", "pattern", "design"   the value beside them
//   must be what they say it is: a material, a maker, a price, … a taste, then the item, in one
//   sentence            the item is said to have what the taste was said to be for, nothing else a
//   value twice in a clause, or in two sentences      refused form sentences begin with a capital,
//   have no other one outside of mentions, at least
//                                                      three words, and no end in the middle ("It
//                                                      is also in.")
// Anything else is refused: a name, a value of another item, praise ("the best"), a negation.
// Strict on purpose: a refused text costs a template, a false one costs trust.
//
// Linear in the text times the number of facts: some microseconds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/prompt.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

struct EvidenceVerdict {
  bool accepted = false;
  std::string
      reason;        // why it was refused, for people: "says 'brass', which is not in the evidence"
  std::string text;  // the text with its slots filled
  std::vector<Evidence> evidence;  // what an accepted text rests on, each once
};

class MentionMatcher;

// Checks texts that were written from one plan. Immutable, so thread-safe. Borrows the plan.
class EvidenceChecker {
 public:
  explicit EvidenceChecker(const ExplanationPlan& plan);
  ~EvidenceChecker();
  EvidenceChecker(const EvidenceChecker&) = delete;
  EvidenceChecker& operator=(const EvidenceChecker&) = delete;

  // A text with slots (explanation_templates.h). Slots are mentions by construction, the words
  // between them are read like any other text.
  EvidenceVerdict Check(const std::vector<Segment>& text) const;
  // A text without slots, as a larger model writes it. A title that consists of plain words only
  // ("It") is never taken as a mention.
  EvidenceVerdict Check(absl::string_view text) const;
  // Why no way to go on can make the text true; empty while it still may become so. The last word
  // of `text` is taken as complete. A writer that asks before each word or slot never goes on with
  // a sentence that the check must refuse.
  std::string RefuseBeginning(const std::vector<Segment>& text) const;

 private:
  const ExplanationPlan& plan_;
  const std::unique_ptr<const MentionMatcher> matcher_;  // how the plan's facts are spelled
};

}  // namespace palate::ranking
