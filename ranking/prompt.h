// Builds the RANK and EXPLAIN prompts of the language model. Training and serving share this code,
// so that their prompts cannot differ.
//
// Usage:
//   const RankPrompt prompt = BuildRankPrompt(input, Summarize(input.history));
//   for (const std::vector<Segment>& candidate : prompt.candidates)
//     num_segments += candidate.size();
//
// A prompt is a list of segments. Text segments contain words of items and users and are encoded
// with special tokens disabled; special segments are tokens of special_tokens.h. Every word in a
// text segment follows one space, so that a word is the same token everywhere and the model can
// match a preference to an item by copying.
//
// The RANK prompt in the built-in style (line breaks are for reading only):
//
//   <|user|> <|like6|> walnut <|like5|> minimalist <|like1|> plain <|dislike4|> brass
//   <|inside|> price                     the summary, strongest first
//   <|history|>                          events, oldest first
//   <|item|> <|inside|> price <|like6|> walnut lamp <|dislike4|> brass <|label|> <|no|>
//   …
//   and for each candidate, separately:
//   <|item|> <|above|> price <|like6|> walnut <|like5|> minimalist chair <|label|>
//
// A value of the summary has the same mark in item lines. Numbers are written as their relation to
// the user's range, because small models cannot compare numbers. The logits of kYes and kNo at a
// <|label|> are the score of that line.
//
// Isolation: every candidate attends only to the prefix and itself, and its positions continue from
// the end of the prefix as if it were the only one. Scores therefore depend neither on the other
// candidates nor on their order; up to rounding, candidates may be split over any number of
// forwards with the same scores, and the prefix is computed once. The number of candidates has no
// limit here.
//
// Truncation to max_prefix_tokens drops, in this order: history entries, oldest first; ranges; the
// weakest preference of the longer of likes and dislikes, repeatedly. An item line beyond
// max_item_tokens loses its last words, unmarked ones first. Truncation is never an error.
//
// RankInput::instruction is not part of the built-in style, whose model is not trained to follow
// one.
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
  std::string text;  // words, or the text of the special token

  static Segment Text(std::string text) { return {Kind::kText, std::move(text)}; }
  static Segment Special(SpecialToken token) { return {Kind::kSpecial, SpecialTokenText(token)}; }
  bool Is(SpecialToken token) const {
    return kind == Kind::kSpecial && text == SpecialTokenText(token);
  }
  bool operator==(const Segment&) const = default;
};

// The number of tokens of a text segment, special tokens disabled. Must not throw.
using TokenCounter = std::function<int(const std::string& text)>;

// One token per started four bytes of each word: a conservative estimate without a tokenizer.
int EstimateTokens(const std::string& text);

struct PromptOptions {
  int max_prefix_tokens = 512;  // summary and history together
  int max_item_tokens = 48;     // one item line, <|item|> and <|label|> included
  int max_history = 12;         // entries in the prompt; the summary reads all of them
  bool mark_matches = true;     // mark values of the summary in item lines
  bool include_title = false;   // write titles in item lines; distracts small models
  // Attributes whose values are written only if the summary names them, because nearly every item
  // has a different value.
  std::vector<std::string> named_only = {"artist",       "author", "brand", "maker",
                                         "manufacturer", "seller", "vendor"};
};

struct RankPrompt {
  std::vector<Segment> prefix;
  // The labels of the history entries, in prompt order: kYes, kNo, or kSeen (not a training
  // target).
  std::vector<SpecialToken> history_labels;
  // One per candidate, in candidate order; the last segment of each is <|label|>.
  std::vector<std::vector<Segment>> candidates;
  int truncated_history = 0;  // items of the history that the prompt omits
};

// `summary` is Summarize(input.history). `count` defaults to EstimateTokens.
RankPrompt BuildRankPrompt(const RankInput& input, const PreferenceSummary& summary,
                           const PromptOptions& options = {},
                           const TokenCounter& count = EstimateTokens);

// The EXPLAIN prompt in the built-in style (line breaks are for reading only):
//
//   <|explain|> <|name|>
//   <|value1|> material <|often|> <|value2|> price <|inside|> <|value3|> color
//   <|event|> <|title1|> bought <|value1|>
//   <|reason|> trending
//   <|write|>
//
// The model then writes words and slots ("You often go for <|value1|>, and this one …") up to
// <|end|>; FillSlots (explanation_templates.h) inserts the plan's facts. The model refers to facts
// by slots, so a small model cannot misspell a title. The prompt contains roles instead of catalog
// words, so training on one catalog transfers to others. <|name|> is present only if
// plan.name_sayable.
std::vector<Segment> BuildExplainPrompt(const ExplanationPlan& plan);

// The prompt style of a checkpoint folder: "prompt_style" in its palate.json. Part of the served
// fingerprint.
enum class PromptStyle { kBuiltIn };
inline constexpr char kBuiltInStyleName[] = "palate-1";

}  // namespace palate::ranking
