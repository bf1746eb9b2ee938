// The ranking library's face: several named language models behind one Rank and one Explain. Works with no model at all.
//
// Thread-safe after Create. Callers block until the answer or the deadline; see engine/llm_engine.h for what runs where.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ranking/engine/llm_engine.h"
#include "ranking/types.h"

namespace palate::ranking {

struct RankerConfig {
  struct Model {
    std::string name;    // how requests ask for it; unique, not empty
    std::string folder;  // a Hugging Face folder with a palate.json
  };
  std::vector<Model> models;  // may be empty
  std::string default_model;  // one of the names; empty means the first
  EngineOptions engine;       // for each model
};

struct RankerModelInfo {
  std::string name;
  bool is_default = false;
  std::string fingerprint;
  int max_prompt_tokens = 0;
};

class Ranker {
 public:
  // Loads every model. The first error, naming the model; InvalidArgument when a name is empty, given twice or unknown as the default.
  static absl::StatusOr<std::unique_ptr<Ranker>> Create(const RankerConfig& config);
  ~Ranker();
  Ranker(const Ranker&) = delete;
  Ranker& operator=(const Ranker&) = delete;

  // Scores in candidate order. NotFound for an unknown model name, FailedPrecondition when no model is configured; else as LlmEngine::Rank.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, absl::Time deadline, const CancelledFn& cancelled = nullptr) const;

  // One explanation per input, in order; all inputs name the same model (InvalidArgument otherwise). Without any model the template writes
  // them, and rejected_reason says why.
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs, const OnTextFn& on_text, absl::Time deadline,
                                                   const CancelledFn& cancelled = nullptr) const;

  // By name.
  std::vector<RankerModelInfo> models() const;
  // The engine's counts. NotFound for an unknown name.
  absl::StatusOr<EngineStats> stats(const std::string& model) const;
  // OK when every engine is.
  absl::Status Health() const;

 private:
  struct Loaded {
    std::string name;
    std::unique_ptr<LlmEngine> engine;
  };

  Ranker() = default;
  absl::StatusOr<LlmEngine*> Find(const std::string& model) const;

  std::vector<Loaded> models_;  // by name
  std::string default_model_;
};

}  // namespace palate::ranking
