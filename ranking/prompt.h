// Builds the prompts of the language model: RANK and EXPLAIN. Training and serving build them here,
// so that they cannot differ.
//
// A prompt is a list of segments. Text segments carry words of items and users and are encoded with
// special tokens disabled; special segments are tokens of special_tokens.h. Every word in a text
// segment stands behind one space, so that a word is the same token wherever it stands: matching a
// taste to an item is a copy.
//
// The RANK prompt, built-in style (line breaks are for reading only):
//
//   <|user|> <|like6|> walnut <|like5|> minimalist <|like1|> plain <|dislike4|> brass <|inside|>
//   price      the summary, strongest first
//   <|history|> events, oldest first
//   <|item|> <|inside|> price <|like6|> walnut lamp <|dislike4|> brass <|label|> <|no|>
//   …
//   and for each candidate, on its own:
//   <|item|> <|above|> price <|like6|> walnut <|like5|> minimalist chair <|label|>
//
// A value that the summary names carries its mark, in the item line as in the summary; numbers are
// said as their relation to the user's range, because small models cannot compare numbers. The
// logits over kYes and kNo at a <|label|> are that line's score.
//
// Isolation: every candidate sees the prefix and itself only, and its positions continue from the
// prefix's end as if it were the only one. So a score depends neither on the other candidates nor
// on their order, candidates may be split over any number of forwards with exactly the same scores,
// and the prefix is computed once. A candidate count therefore has no limit here.
//
// Truncation, in this order, until the prefix fits max_prefix_tokens: history entries, oldest
// first; then ranges; then the weakest dislikes and likes in turn. An item line beyond
// max_item_tokens loses its last words, unmarked ones first. Never an error.
//
// RankInput::instruction is not part of the built-in style: its model has not been trained to
// follow one.
//
// All functions are pure and thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ranking/explain/explanation_plan.h"
#include "ranking/ranking_types.h"
#include "ranking/special_tokens.h"

namespace palate::ranking {

struct Segment {
  enum class Kind { kText, kSpecial };
  Kind kind = Kind::kText;
  std::string text;  // words, or the special token's text in the vocabulary

  static Segment Text(std::string text) { return {Kind::kText, std::move(text)}; }
  static Segment Special(SpecialToken token) { return {Kind::kSpecial, SpecialTokenText(token)}; }
  bool Is(SpecialToken token) const {
    return kind == Kind::kSpecial && text == SpecialTokenText(token);
  }
  bool operator==(const Segment&) const = default;
};

// Tokens that a text segment takes, specials disabled. Must not throw.
using TokenCounter = std::function<int(const std::string& text)>;

// Counts a token per started four bytes of each word: a safe guess when no tokenizer is at hand.
int EstimateTokens(const std::string& text);

struct PromptOptions {
  int max_prefix_tokens = 512;  // summary and history together
  int max_item_tokens = 48;     // one item line, <|item|> and <|label|> included
  int max_history = 12;         // entries in the prompt; the summary reads all of them
  bool mark_matches = true;     // values that the summary names carry its mark in item lines
  bool include_title = false;   // title words in item lines: noise to a small model
  // Values of these attributes are written only where the summary names them: nearly every item has
  // its own.
  std::vector<std::string> named_only = {"artist",       "author", "brand", "maker",
                                         "manufacturer", "seller", "vendor"};
};

struct RankPrompt {
  std::vector<Segment> prefix;
  // What the history's label slots hold, in prompt order: kYes, kNo, or kSeen (not a training
  // target).
  std::vector<SpecialToken> history_labels;
  // One per candidate, in candidate order; the last segment of each is <|label|>.
  std::vector<std::vector<Segment>> candidates;
  int truncated_history = 0;  // events of the input that the prompt does not show
};

// `summary` is Summarize(input.history). `count` defaults to EstimateTokens.
RankPrompt BuildRankPrompt(const RankInput& input, const PreferenceSummary& summary,
                           const PromptOptions& options = {},
                           const TokenCounter& count = EstimateTokens);

// The EXPLAIN prompt, built-in style (line breaks are for reading only):
//
//   <|explain|> <|name|>
//   <|value1|> material <|often|> <|value2|> price <|inside|> <|value3|> color
//   <|event|> <|title1|> bought <|value1|>
//   <|reason|> trending
//   <|write|>
//
// The model then writes words and slots ("You often go for <|value1|>, and this one …") up to
// <|end|>; FillSlots (explanation_templates.h) puts the plan's facts in. A slot is pointed at,
// never spelled: a small model cannot misspell a title, and since the prompt holds roles instead of
// words, what it learned on one catalog holds on every other. <|name|> stands there only when the
// item's title may be said.
std::vector<Segment> BuildExplainPrompt(const ExplanationPlan& plan);

// How a checkpoint folder wants to be asked: its palate.json's "prompt_style". Part of the served
// fingerprint.
enum class PromptStyle { kBuiltIn };
inline constexpr char kBuiltInStyleName[] = "palate-1";

}  // namespace palate::ranking
