// The ranking library's face: several named models behind one Rank and one Explain. Works with no
// model at all.
//
// Thread-safe after Create. Callers block until the answer or the deadline; see engine/llm_engine.h
// and engine/pointwise_reranker.h for what runs where.
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
    std::string name;                    // how requests ask for it; unique, not empty
    std::string folder;                  // engine/open_model.h tells what may be in it
    RankMode mode = RankMode::kOfModel;  // what it is read as; kOfModel: as the folder shows
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
  // Loads every model. The first error, naming the model; InvalidArgument when a name is empty,
  // given twice or unknown as the default.
  static absl::StatusOr<std::unique_ptr<Ranker>> Create(const RankerConfig& config);
  ~Ranker();
  Ranker(const Ranker&) = delete;
  Ranker& operator=(const Ranker&) = delete;

  // Scores in the order of candidates or documents. NotFound for an unknown model name,
  // FailedPrecondition when no model is configured, InvalidArgument for another mode than the
  // model's; else as RankingModel::Rank.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) const;

  // One explanation per input, in order; all inputs name the same model (InvalidArgument
  // otherwise). Inputs that name none get the default model when it writes, else the first by name
  // that does; without any the template writes them, and rejected_reason says why. A named model
  // that only scores is InvalidArgument.
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs,
                                                   const OnTextFn& on_text,
                                                   const CallContext& context) const;

  // By name.
  std::vector<RankerModelInfo> models() const;
  // The engine's counts. NotFound for an unknown name.
  absl::StatusOr<EngineStats> stats(const std::string& model) const;
  // OK when every engine is.
  absl::Status Health() const;

 private:
  struct Loaded {
    std::string name;
    OpenedModel opened;
  };

  Ranker() = default;
  absl::StatusOr<const OpenedModel*> Find(const std::string& model) const;
  // Null when no model writes and none is named.
  absl::StatusOr<LlmEngine*> FindWriter(const std::string& model) const;

  std::vector<Loaded> models_;  // by name
  std::string default_model_;
};

}  // namespace palate::ranking
