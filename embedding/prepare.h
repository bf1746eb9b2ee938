// The callers' share of embedding: checking one input, tokenising its texts, decoding its images. Internal to
// embedding/.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "embedding/batch_queue.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"

namespace palate::embedding {

// One text or one image on its way through a tower.
struct WorkUnit {
  size_t input = 0;  // the caller's index
  bool is_image = false;
  std::vector<int64_t> ids;   // of a text
  at::Tensor pixels;          // of an image: float32 [3, size, size]
  std::vector<float> vector;  // the result: unit length
};

class EmbedGroup final : public WorkGroup {
 public:
  using WorkGroup::WorkGroup;

  void Add(WorkUnit unit, int64_t tokens) {
    AddCost(tokens);
    tokens_ += tokens;
    units_.push_back(std::move(unit));
  }
  std::vector<WorkUnit>& units() { return units_; }
  int64_t tokens() const { return tokens_; }

 private:
  std::vector<WorkUnit> units_;
  int64_t tokens_ = 0;
};

// Lets a fixed number of threads through at a time. Thread-safe.
class Gate {
 public:
  explicit Gate(int width) : free_(width) {}

  // Blocks until there is room. False when `deadline` passes first.
  bool Enter(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  CondVar left_;
  int free_ ABSL_GUARDED_BY(mutex_);
};

// Which work a call needs.
struct WorkPlan {
  bool texts = false;
  bool images = false;
  std::string query_prefix;  // put before the texts of queries
  absl::Time deadline;
};

// Thread-safe. Borrows both arguments.
class InputPreparer {
 public:
  InputPreparer(const EmbeddingModel& model, const EmbedderOptions& options)
      : model_(model), options_(options), gate_(options.max_concurrent_decodes) {}

  // Adds the units of `input` to `group` and counts its tokens in `result`; adds nothing when it fails. InvalidArgument
  // names the field
  // ("inputs[3].images[0]"); DeadlineExceeded is the call's.
  absl::Status Prepare(const EmbedInput& input, size_t index, const WorkPlan& plan, EmbedGroup& group, EmbedResult& result);

 private:
  absl::Status CheckContent(const EmbedInput& input, const std::string& name) const;
  absl::Status PrepareText(const std::string& text, bool is_query, const std::string& name, const WorkPlan& plan, WorkUnit& unit,
                           EmbedResult& result) const;
  absl::Status PrepareImage(const std::string& encoded, const std::string& name, const WorkPlan& plan, WorkUnit& unit);

  const EmbeddingModel& model_;
  const EmbedderOptions& options_;
  Gate gate_;
};

}  // namespace palate::embedding
