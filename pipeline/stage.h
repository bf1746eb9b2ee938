// One step of a request's life, and the state that the steps hand on.
//
// A stage is a small class over the four interfaces of pipeline/interfaces.h. It never fails the
// request for a part that is down: it notes the degradation and goes on; only Hydrate (nothing is
// known without the feature store) and a wrong request do. Stages are const and thread-safe; a
// RequestState belongs to one request and one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "pipeline/interfaces.h"
#include "pipeline/request.h"
#include "pipeline/user_model.h"
#include "retrieval/filter.h"

namespace palate::pipeline {

// An item that may be recommended, with all that the stages learned of it.
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
  absl::Time now;    // the request's time, resolved
  CallContext call;  // until when the answer is wanted
  absl::string_view
      query_user_id;  // borrowed; whose query it is: what is remembered of it belongs to them
  UserContext context;
  std::unique_ptr<retrieval::Filter> filter;  // null: none
  std::set<std::string> excluded;  // the request's list and, unless wanted, what the user has seen
  UserModel user_model;
  std::vector<ItemWithVectors> context_items;
  std::vector<QueryVector> query_vectors;
  std::vector<Candidate> candidates;
  double rerank_weight = 0;
  std::string ranking_fingerprint;
  std::vector<std::string> missing_item_ids;
  std::vector<std::string> filtered_item_ids;
  // Of the running stage.
  StageReport* report = nullptr;

  void Degrade(Degradation degradation, std::string detail);
  void Skip(Degradation why, std::string detail);
};

class Stage {
 public:
  virtual ~Stage() = default;
  virtual StageId id() const = 0;
  // An error ends the request.
  virtual absl::Status Run(RequestState& state) const = 0;
};

// Runs the stage, timed, and appends its report.
absl::Status RunStage(const Stage& stage, RequestState& state, std::vector<StageReport>& reports);

// The user's events as the ranker reads them; events whose item is gone are left out.
std::vector<ranking::HistoryEntry> HistoryForRanking(const RequestState& state, int max_events);
ranking::ItemFacts FactsOf(const Item& item);

// Whether a part is down or out of time, as opposed to a wrong request or a bug.
bool IsOutage(const absl::Status& status);

}  // namespace palate::pipeline
