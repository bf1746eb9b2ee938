// What the ranker is told and what it answers. The same values feed training prompts and served
// prompts, so that they cannot differ.
//
// Plain values. All text in them comes from items and users: data for the prompt, never
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

// One event of the user with the item's facts.
struct HistoryEntry {
  ItemFacts item;
  std::string event_type;
  double weight = 0;  // signed: below zero is a dislike
  absl::Time time = absl::UnixEpoch();
};

// A like or dislike that the history shows, with the events that show it.
struct Preference {
  std::string attribute;  // "style"
  std::string value;      // "minimalist"
  double weight = 0;      // signed strength, comparable within one summary
  std::vector<std::string> evidence_item_ids;
};

// The history in a few words, derived from it alone by Summarize() (ranking/preferences.h).
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

// Text and pictures to be judged: one side of a pair for a pointwise model.
struct RankContent {
  std::string text;
  std::vector<std::string> images = {};  // encoded JPEG, PNG or WebP
};

// How candidates are scored.
enum class RankMode {
  kOfModel,    // as the model does it
  kListwise,   // one prompt over the user's history and all candidates
  kPointwise,  // one (query, document) pair at a time, by the protocol that a published reranker
               // was trained with
};

// Either candidates or documents are given.
struct RankInput {
  std::string model;                  // configured name; empty means the server's default
  std::vector<HistoryEntry> history;  // newest first
  std::vector<ItemFacts> candidates;
  std::string instruction;             // the caller's standing rule in words; may be empty
  RankMode mode = RankMode::kOfModel;  // another mode than the model's is an error
  // The rest is for pointwise models. Without a query, one is written from the history
  // (pointwise_text.h).
  std::optional<RankContent> query = std::nullopt;
  std::vector<RankContent> documents = {};  // in place of candidates: their exact content
};

struct RankOutput {
  // One per candidate or document, in order: log-odds that the user engages, or that the document
  // meets the query. NaN where it failed.
  std::vector<float> scores;
  std::string model_fingerprint;
  int prompt_tokens = 0;      // of all prompts together
  int truncated_history = 0;  // events left out to keep the prompt within its budget
  // The rest is a pointwise model's.
  std::vector<float> relevance =
      {};  // as many as scores: the published score, which is the sigmoid of the log-odds
  int truncated_documents = 0;  // candidates or documents that lost their end to the model's limit
  std::vector<ElementFailure> failures =
      {};  // candidates or documents that could not be scored, by index
};

enum class ExplanationSource { kTemplate, kLlm };

// One thing that an explanation rests on.
struct Evidence {
  enum class Kind { kUserEvent, kItemFact, kTrend };
  Kind kind = Kind::kItemFact;
  std::string item_id;  // the event's item, or the explained item
  std::string
      attribute;  // the fact's attribute; "title" or "description" where the text cites those
  std::string value;
};

struct ExplainInput {
  std::string model;
  std::vector<HistoryEntry> history;  // newest first
  ItemFacts item;
  std::vector<std::string>
      reasons;           // the candidate sources that brought the item, by the names of reasons.h
  std::string language;  // BCP 47; empty means English
};

struct Explanation {
  std::string text;
  ExplanationSource source = ExplanationSource::kTemplate;
  std::vector<Evidence> evidence;
  std::string rejected_reason;  // why the model's own text was replaced; empty when it was not
  std::string model_fingerprint;
};

}  // namespace palate::ranking
