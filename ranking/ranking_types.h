// Inputs and outputs of the ranker. Training prompts and served prompts are built from the same
// values, so that they cannot differ.
//
// Plain values. All text in them comes from items and users: it is data for the prompt, never an
// instruction.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "domain/attribute.h"
#include "domain/element_failure.h"

namespace palate::ranking {

// The facts about an item that a prompt may use and that an explanation may claim.
struct ItemFacts {
  std::string item_id;
  std::string title;
  std::string description;
  Attributes attributes;
};

// One event of the user, with the facts of its item.
struct HistoryEntry {
  ItemFacts item;
  std::string event_type;
  double weight = 0;  // negative for dislikes
  absl::Time time = absl::UnixEpoch();
};

// A like or dislike with the items that support it.
struct Preference {
  std::string attribute;  // "style"
  std::string value;      // "minimalist"
  double weight = 0;      // signed strength, comparable within one summary
  std::vector<std::string> evidence_item_ids;
};

// Derived from the history by Summarize() (ranking/preferences.h).
struct PreferenceSummary {
  std::vector<Preference> likes;     // strongest first
  std::vector<Preference> dislikes;  // strongest first
  struct Range {
    std::string attribute;  // a numeric attribute: "price"
    double low = 0;
    double high = 0;
  };
  std::vector<Range> ranges;
};

// Text and images to judge: one side of a pair for a pointwise model.
struct RankContent {
  std::string text;
  std::vector<std::string> images = {};  // encoded JPEG, PNG or WebP
};

// How candidates are scored.
enum class RankMode {
  kOfModel,    // the mode that the model supports
  kListwise,   // one prompt with the user's history and all candidates
  kPointwise,  // one (query, document) pair at a time, by a published reranker's protocol
};

// Contains either candidates or documents.
struct RankInput {
  std::string model;                  // configured name; empty: the default
  std::vector<HistoryEntry> history;  // newest first
  std::vector<ItemFacts> candidates;
  std::string instruction;             // a rule from the caller in natural language; may be empty
  RankMode mode = RankMode::kOfModel;  // any other mode than the model's is an error
  // For pointwise models, which do not read the history then. Without a query, one is written from
  // the history (pointwise_text.h).
  std::optional<RankContent> query = std::nullopt;
  std::vector<RankContent> documents = {};  // replaces candidates
};

struct RankOutput {
  // One per candidate or document, in order: log-odds that the user engages, or that the document
  // matches the query. NaN if it could not be scored.
  std::vector<float> scores;
  std::string model_fingerprint;
  int prompt_tokens = 0;      // over all prompts
  int truncated_history = 0;  // items of the history that are not in the prompt
  // Fields of the input that are given and that the model cannot use: "instruction", "query",
  // "history".
  std::vector<std::string> unused_fields = {};
  std::vector<ElementFailure> failures = {};  // candidates or documents without a score, by index
  // For pointwise models only. The published score of each element, the sigmoid of its log-odds.
  std::vector<float> relevance = {};
  int truncated_documents = 0;  // candidates or documents that were truncated
};

enum class ExplanationSource { kTemplate, kLlm };

// Why a text that was asked of a model is a template.
enum class TemplateCause {
  kNone,          // the model wrote the text, or none was asked
  kNoModel,       // no configured model writes
  kNothingToSay,  // the plan has no fact that the model could phrase, so it was not asked
  kOutOfTime,     // the deadline passed first
  kRefused,       // the model's texts failed the evidence check
};

// A fact that an explanation cites.
struct Evidence {
  enum class Kind { kUserEvent, kItemFact, kTrend };
  Kind kind = Kind::kItemFact;
  std::string item_id;    // the event's item, or the explained item
  std::string attribute;  // "title" for a title, "trending" for kTrend
  std::string value;
};

struct ExplainInput {
  std::string model;
  std::vector<HistoryEntry> history;  // newest first
  ItemFacts item;
  std::vector<std::string> reasons;  // the item's candidate sources, by the names of reasons.h
  std::string language;              // BCP 47; texts are in English whatever it is
  // The time since the item became available. Without it nothing is said of newness.
  std::optional<absl::Duration> age = std::nullopt;
  // The item's recent events, weighed and decayed as in UserContext::trending. Without it nothing
  // is said of popularity.
  std::optional<double> popularity = std::nullopt;
  // The user's items to which the item is close, nearest first.
  std::vector<std::string> close_item_ids = {};
};

struct Explanation {
  std::string text;
  ExplanationSource source = ExplanationSource::kTemplate;
  std::vector<Evidence> evidence;
  std::string rejected_reason;  // why the model's text was replaced; empty if it was not
  std::string model_fingerprint;
  TemplateCause cause = TemplateCause::kNone;
};

}  // namespace palate::ranking
