// Entry point of the ranking library: several named models behind one Rank and one Explain. Explain
// works without a model too.
//
// Usage:
//   RankerConfig config;
//   config.models = {{.name = "shopper", .folder = folder}};
//   PALATE_ASSIGN_OR_RETURN(const auto ranker, Ranker::Create(config));
//   PALATE_ASSIGN_OR_RETURN(const RankOutput ranking, ranker->Rank(input, {.deadline = deadline}));
//
// Thread-safe after Create. Calls block until the result or the deadline; engine/llm_engine.h and
// engine/pointwise_reranker.h describe the threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "ranking/engine/llm_engine.h"
#include "ranking/engine/open_model.h"
#include "ranking/engine/pointwise_reranker.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

struct RankerConfig {
  struct Model {
    std::string name;                    // the name in requests; unique, not empty
    std::string folder;                  // engine/open_model.h describes its content
    RankMode mode = RankMode::kOfModel;  // kOfModel: recognized from the folder
  };
  std::vector<Model> models;      // may be empty
  std::string default_model;      // one of the names; empty means the first
  EngineOptions engine = {};      // for each listwise model
  RerankerOptions reranker = {};  // for each pointwise model
};

struct RankerModelInfo {
  std::string name;
  bool is_default = false;
  std::string fingerprint;
  int max_prompt_tokens = 0;
  RankMode mode = RankMode::kListwise;
  bool reads_images = false;
};

class Ranker {
 public:
  // Loads every model. Returns the first error, which names the model; InvalidArgument when a name
  // is empty or duplicated, or the default is unknown.
  static absl::StatusOr<std::unique_ptr<Ranker>> Create(const RankerConfig& config);
  ~Ranker();
  Ranker(const Ranker&) = delete;
  Ranker& operator=(const Ranker&) = delete;

  // Scores in the order of candidates or documents. NotFound for an unknown model name,
  // FailedPrecondition when no model is configured, InvalidArgument for a mode that the model does
  // not support; else as RankingModel::Rank.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) const;

  // One explanation per input, in order. All inputs must name the same model (InvalidArgument
  // otherwise). If they name none, the default model writes, or else the first by name that can;
  // without any, templates are used and rejected_reason gives the cause. Naming a model that only
  // scores is InvalidArgument.
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs,
                                                   const OnTextFn& on_text,
                                                   const CallContext& context) const;

  // By name.
  std::vector<RankerModelInfo> models() const;
  // The model's counters. NotFound for an unknown name.
  absl::StatusOr<EngineStats> stats(const std::string& model) const;
  // OK if every model is healthy.
  absl::Status Health() const;

 private:
  struct Loaded {
    std::string name;
    OpenedModel opened;
  };

  Ranker() = default;
  absl::StatusOr<const OpenedModel*> Find(const std::string& model) const;
  // Null if no model writes explanations and none is named.
  absl::StatusOr<LlmEngine*> FindWriter(const std::string& model) const;

  std::vector<Loaded> models_;  // by name
  std::string default_model_;
};

}  // namespace palate::ranking
