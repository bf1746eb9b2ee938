// One step of a request, and the state that the steps share.
//
// Usage:
//   class HeadStage final : public Stage {
//    public:
//     StageId id() const override { return StageId::kDiversify; }
//     absl::Status Run(RequestState& state) const override {
//       if (state.candidates.empty()) {
//         state.Skip(Degradation::kNoCandidates, "there is nothing to cut");
//         return absl::OkStatus();
//       }
//       state.candidates.resize(1);
//       return absl::OkStatus();
//     }
//   };
//
//   std::vector<StageReport> reports;
//   PALATE_RETURN_IF_ERROR(RunStage(HeadStage(), state, reports));
//
// A stage calls the interfaces of pipeline/interfaces.h. When embedding, retrieval or ranking is
// down it does not fail the request: it notes the degradation and continues. It fails for a wrong
// request, and where the feature store is down, without which nothing can be recommended. Stages
// are const and thread-safe; a RequestState belongs to one request and one thread at a time.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "domain/item_number_set.h"
#include "pipeline/interfaces.h"
#include "pipeline/request.h"
#include "pipeline/user_model.h"
#include "retrieval/filter.h"

namespace palate::pipeline {

// An item that may be recommended, with the results of the stages so far.
struct Candidate {
  std::string item_id;
  std::vector<Reason> reasons;
  ItemWithVectors record;  // empty until the filter stage has fetched the facts
  double relevance_score = 0;
  std::optional<double> rerank_score;
  double score = 0;
  std::optional<ranking::Explanation> explanation;

  // The vector in `space`, or null.
  const std::vector<float>* FindVector(const SpaceKey& space) const;
};

struct RequestState {
  // Borrows `query`, which must outlive this object.
  explicit RequestState(const RecommendQuery& query) : query(query), query_user_id(query.user_id) {}
  explicit RequestState(RecommendQuery&&) = delete;

  const RecommendQuery& query;
  absl::Time now;                   // the request's time, resolved
  CallContext call;                 // deadline and cancellation of the request
  absl::string_view query_user_id;  // borrowed; the user under whom the query's vectors are cached
  UserContext context;
  std::unique_ptr<retrieval::Filter> filter;  // null: none
  // The request's list and the context items.
  std::set<std::string> excluded;
  // Numbers of the seen items, unless the request includes them. The sources exclude them in the
  // index; the filter drops those that trending and fresh still hold.
  ItemNumberSet excluded_numbers;
  UserModel user_model;
  // Whether trending and fresh items are wanted, as candidates or as signals.
  bool wants_lists = true;
  std::vector<ItemWithVectors> context_items;
  std::vector<QueryVector> query_vectors;
  // Searches that retrieval answered, and the last error of one that it could not answer or for
  // which there was no vector.
  int num_searches = 0;
  absl::Status search_error;
  std::vector<Candidate> candidates;
  double rerank_weight = 0;
  std::string ranking_fingerprint;
  std::vector<std::string> missing_item_ids;
  std::vector<std::string> filtered_item_ids;
  // Of the running stage, whose outcome and notes the two functions below set.
  StageReport* report = nullptr;

  void Degrade(Degradation degradation, std::string detail);
  void Skip(Degradation why, std::string detail);
  // Adds a note without a change of the outcome.
  void Note(Degradation degradation, std::string detail);
};

class Stage {
 public:
  virtual ~Stage() = default;
  virtual StageId id() const = 0;
  // An error ends the request.
  virtual absl::Status Run(RequestState& state) const = 0;
};

// Runs the stage, measures its duration, and appends its report, also when it fails.
absl::Status RunStage(const Stage& stage, RequestState& state, std::vector<StageReport>& reports);

// The user's `max_events` newest events in the ranker's form, without events whose item is no
// longer in the catalog.
std::vector<ranking::HistoryEntry> HistoryForRanking(const RequestState& state, int max_events);
ranking::ItemFacts FactsOf(const Item& item);

bool IsAnyChanging(const std::vector<SpaceModels>& spaces);
// Leaves the item one vector in each space: that of the active model or, where there is none, of
// the model that the space changes to.
void KeepOneModel(const std::vector<SpaceModels>& spaces, ItemWithVectors& item);

// Whether the error means that a service is down, overloaded, broken or out of time, or that the
// call was cancelled, as opposed to a wrong request.
bool IsOutage(const absl::Status& status);

}  // namespace palate::pipeline
