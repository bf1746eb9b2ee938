// Decides whether an explanation is true: every claim must be supported by the plan from which it
// was written.
//
// Usage:
//   const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
//   const EvidenceChecker checker(plan);
//   const EvidenceVerdict verdict = checker.Check("It is made of walnut.");
//   if (!verdict.accepted) reason = verdict.reason;
//
// A text is a sequence of words. Words that spell a title of the user's events, the item's title,
// or a value of the item are mentions. Every other word must be on a closed list of plain English
// words that claim nothing by themselves, or be one of the claim words below, whose claim must be
// proven:
//
//   a number outside a mention         refused
//   an interaction                     the title that it refers to must have that interaction
//     ("bought", "watched")
//   a frequency                        the values in its clause must have that many events
//     ("often", "keep", "twice")
//   "you" or "your" with a value       the value must be a liked one, or be described as within the
//     in the clause                    user's range and lie in it
//   a title and a value in one         the title's item must have the value too
//     sentence
//   "popular", "new", "search",        the item must come from that candidate source
//     "similar", "others"
//   "range"                            the sentence must contain a number within the user's range
//   "usual", "usually"                 proven like "range", or like a frequency
//   "price"                            the sentence must contain the item's price
//   "made of", "by", "priced at",      the value next to them must be of that kind: a material, a
//     "pattern", "design"              maker, a price, …
//   a preference, then the item,       the item may only be said to have what the preference is for
//     in one sentence
//   a value twice in a clause, or      refused
//     in two sentences
//   form                               sentences begin with a capital, have no other capital
//                                      outside mentions, have at least three words, and do not end
//                                      in the middle ("It is also in.")
//
// Anything else is refused: a name, a value of another item, praise ("the best"), a negation. The
// check is strict on purpose: a refused text costs a template, a false one costs trust.
//
// Linear in the length of the text times the number of facts: a few microseconds.
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
  std::string reason;  // of a refusal, for humans: "says 'brass', which is not in the evidence"
  std::string text;    // with its slots filled
  std::vector<Evidence> evidence;  // the facts that an accepted text cites, each once
};

class MentionMatcher;

// Checks texts that were written from one plan. Immutable, thread-safe. Borrows the plan.
class EvidenceChecker {
 public:
  explicit EvidenceChecker(const ExplanationPlan& plan);
  ~EvidenceChecker();
  EvidenceChecker(const EvidenceChecker&) = delete;
  EvidenceChecker& operator=(const EvidenceChecker&) = delete;

  // Checks a text with slots (explanation_templates.h). Slots are mentions by construction; the
  // words between them are read like any other text.
  EvidenceVerdict Check(const std::vector<Segment>& text) const;
  // Checks a text without slots, as a larger model writes it. A title that consists of plain words
  // only ("It") is not recognized as a mention.
  EvidenceVerdict Check(absl::string_view text) const;
  // The reason why no continuation can make the text true; empty if one may. The last word of
  // `text` is taken as complete. A writer that checks before each word or slot never starts a
  // sentence that the check must refuse.
  std::string RefuseBeginning(const std::vector<Segment>& text) const;

 private:
  const ExplanationPlan& plan_;
  const std::unique_ptr<const MentionMatcher> matcher_;  // the spellings of the plan's facts
};

}  // namespace palate::ranking
