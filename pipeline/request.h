// The requests and the results of the pipeline: the domain's form of RecommenderService's messages.
//
// Plain values: copyable, no synchronization. Times are absolute; scores are unitless and
// comparable within one result list only. pipeline/validate.h checks the limits.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/limits.h"
#include "ranking/ranking_types.h"

namespace palate::pipeline {

enum class ExplainMode { kNone, kTemplate, kLlm };

// The source that found a candidate.
// kCatalog: any item that may be shown, where the other sources found too few.
enum class Source { kContent, kContext, kQuery, kTrending, kFresh, kCaller, kCatalog };
// The source's name in ranking/reasons.h.
const char* SourceName(Source source);

struct Reason {
  Source source = Source::kContent;
  double score = 0;   // the source's score for the item
  std::string space;  // for vector sources: the space that found it
  std::vector<std::string>
      item_ids;  // the user's items behind it: the interest centroid's strongest members, at most 3
};

// The stages of a request, in the order in which they run. Recording the impression is not one of
// them: it is queued when the response is ready, happens in the background and has no report.
enum class StageId { kHydrate, kSource, kFilter, kScore, kRerank, kDiversify, kExplain };
const char* StageName(StageId id);

enum class StageOutcome { kRan, kSkipped, kDegraded };

// Why a stage did less than it could have.
enum class Degradation {
  kNone,
  kRetrievalUnavailable,  // at least one vector search failed because retrieval is down
  kEmbeddingUnavailable,  // the query was not embedded, so it finds no candidates
  kSpaceUnavailable,      // a space has no vectors, or those of another model
  kRankingUnavailable,    // the results have the first-stage order
  kDeadlineShort,         // too little time was left
  kWeightZero,            // the catalog gives the language model no weight
  kNoHistory,             // the user has no informative events for the language model
  kLittleHistory,         // the user has informative events, but too few for the language model
  kNotRequested,          // the request did not ask for the stage
  kTemplateFallback,      // template texts replace texts of the language model
  kFewerThanRequested,    // too few candidates passed the filters and the caps
  kNoCandidates,
  kInputNotUsed,  // the model cannot use a part of the request, which the note names
  kOverloaded,    // a service refused the stage's work because it is at its capacity
  kIndexBehind,   // the index has not heard of the catalog, the space or an attribute yet
};
const char* DegradationName(Degradation degradation);

struct StageNote {
  Degradation degradation = Degradation::kNone;
  std::string detail;
};

struct StageReport {
  StageId id = StageId::kHydrate;
  StageOutcome outcome = StageOutcome::kRan;
  absl::Duration duration = absl::ZeroDuration();
  std::vector<StageNote> notes;
};

struct Diversity {
  double mmr_lambda = 0;  // 0 keeps the order, 1 looks only at difference; in [0, 1]
  // At most so many results per value of the attribute; 1 to kMaxCappedResults, for at most
  // kMaxAttributeCaps.
  std::map<std::string, int> attribute_caps = {};
  double exploration_share =
      0;  // share of the results drawn from below the cut; 0 to kMaxExplorationShare
};

struct SearchInput {
  std::string text;
  std::string image;  // encoded bytes
  bool empty() const { return text.empty() && image.empty(); }
};

struct RecommendQuery {
  std::string catalog;
  std::string scenario;
  std::string user_id;                // empty for an anonymous request
  std::vector<Event> session_events;  // of an anonymous or a known user, not stored
  std::vector<std::string> context_item_ids;
  SearchInput query;
  std::string filter;
  std::vector<std::string> exclude_item_ids;
  bool include_seen = false;
  int num_results = kDefaultResults;
  ExplainMode explain = ExplainMode::kNone;
  Diversity diversity;
  absl::Time request_time = absl::InfiniteFuture();  // infinite means now
  std::string language;     // BCP 47 tag of the explanations' language; empty: the default
  std::string instruction;  // a rule for the language model in words; empty: none
  bool debug = false;
};

struct ResultItem {
  Item item;
  double score = 0;
  double relevance_score = 0;
  std::optional<double> rerank_score;  // the language model's log-odds
  std::vector<Reason> reasons;         // strongest first
  std::optional<ranking::Explanation> explanation;
};

struct RecommendResult {
  std::string recommendation_id;
  std::vector<ResultItem> results;
  std::vector<StageReport> stages;
  double rerank_weight = 0;  // the weight of the language model's score in this result
  std::string ranking_fingerprint;
  std::vector<std::string> missing_item_ids;  // of Rank: ids that are not in the catalog
  // Of Rank: ids of items that are hidden, expired or outside the filter.
  std::vector<std::string> filtered_item_ids;
  std::map<std::string, std::string> debug;  // counts for people; only if the query has `debug`
};

struct SearchQuery {
  std::string catalog;
  std::string user_id;  // the user who searches; the results do not depend on it
  SearchInput query;
  std::string filter;
  std::vector<std::string> exclude_item_ids;
  int num_results = kDefaultResults;
  absl::Time request_time = absl::InfiniteFuture();
};

struct SimilarQuery {
  std::string catalog;
  std::string item_id;
  std::string space;  // empty: `fused`, or `text` where the catalog has no fused vectors
  std::string filter;
  std::vector<std::string> exclude_item_ids;
  int num_results = kDefaultResults;
  absl::Time request_time = absl::InfiniteFuture();
};

struct RankQuery {
  std::string catalog;
  std::string user_id;
  std::vector<Event> session_events;
  std::vector<std::string> item_ids;  // the caller's list, 1 to kMaxRankedItems distinct ids
  std::string filter;
  ExplainMode explain = ExplainMode::kNone;
  absl::Time request_time = absl::InfiniteFuture();
  std::string language;
  std::string instruction;
};

}  // namespace palate::pipeline
