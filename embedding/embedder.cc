#include "embedding/embedder.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "embedding/batch_queue.h"
#include "embedding/embedding_model.h"
#include "embedding/executor.h"
#include "embedding/prepare.h"
#include "embedding/vector_math.h"

namespace palate::embedding {
namespace {

// Groups of one call that may wait or run at a time: while one is computed the next is prepared, and a call's memory
// stays bounded.
constexpr size_t kMaxOutstandingGroups = 2;

// What a call asks for, checked against the model.
struct Request {
  std::vector<const SpaceInfo*> spaces;
  int dimensions = 0;
  WorkPlan plan;
};

// The vectors of one input as they come in.
struct Pools {
  WeightedSum text;
  WeightedSum image;
};

std::string SpaceNames(const ModelInfo& info) {
  return absl::StrJoin(info.spaces, ", ", [](std::string* out, const SpaceInfo& space) { out->append(space.name); });
}

absl::StatusOr<std::vector<const SpaceInfo*>> FindSpaces(const std::vector<std::string>& names, const ModelInfo& info) {
  std::vector<const SpaceInfo*> spaces;
  for (size_t i = 0; i < names.size(); ++i) {
    const SpaceInfo* space = info.FindSpace(names[i]);
    if (space == nullptr) {
      return InvalidField(absl::StrCat("spaces[", i, "]"), absl::StrCat("is ", QuoteForMessage(names[i])),
                          absl::StrCat("one of: ", SpaceNames(info)));
    }
    if (!space->available) {
      return absl::FailedPreconditionError(
          absl::StrCat("space ", space->name, " is not served: embedding model ", info.name, " has no image tower"));
    }
    spaces.push_back(space);
  }
  if (!names.empty()) return spaces;
  for (const SpaceInfo& space : info.spaces) {
    if (space.available) spaces.push_back(&space);
  }
  return spaces;
}

std::vector<float> VectorIn(const std::string& space, const Pools& pools, const FusionWeights& fusion, size_t dimensions, size_t whole) {
  const bool has_text = !pools.text.empty();
  const bool has_image = !pools.image.empty();
  if (space == "text") return has_text ? pools.text.UnitVector(dimensions) : std::vector<float>();
  if (space == "image") return has_image ? pools.image.UnitVector(dimensions) : std::vector<float>();
  if (!has_text && !has_image) return {};
  WeightedSum fused;
  if (has_text) fused.Add(pools.text.UnitVector(whole), fusion.text);
  if (has_image) fused.Add(pools.image.UnitVector(whole), fusion.image);
  return fused.UnitVector(dimensions);
}

bool AllFinite(const std::vector<float>& values) {
  for (float value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

}  // namespace

class Embedder::Impl {
 public:
  Impl(std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options)
      : model_(std::move(model)),
        options_(options),
        preparer_(*model_, options_),
        queue_({.batch_tokens = options.batch_tokens,
                .bulk_share = options.bulk_share,
                .max_queued_tokens_interactive = options.max_queued_tokens_interactive,
                .max_queued_tokens_bulk = options.max_queued_tokens_bulk,
                .poll_interval = options.poll_interval}),
        executor_(*model_, queue_) {}

  absl::StatusOr<std::vector<EmbedResult>> Embed(absl::Span<const EmbedInput> inputs, const EmbedOptions& options) {
    PALATE_ASSIGN_OR_RETURN(const Request request, Check(inputs, options));
    std::vector<EmbedResult> results(inputs.size());
    std::vector<Pools> pools(inputs.size());
    std::deque<std::shared_ptr<EmbedGroup>> outstanding;
    bool admitted = false;
    const auto new_group = [&] { return std::make_shared<EmbedGroup>(options.lane, options.deadline, options.cancelled); };
    std::shared_ptr<EmbedGroup> group = new_group();
    for (size_t i = 0; i < inputs.size(); ++i) {
      PALATE_RETURN_IF_ERROR(StillWanted(options));
      results[i].status = preparer_.Prepare(inputs[i], i, request.plan, *group, results[i]);
      if (absl::IsDeadlineExceeded(results[i].status)) return results[i].status;
      const bool last = i + 1 == inputs.size();
      if (group->units().empty() || (group->tokens() < options_.batch_tokens && !last)) continue;
      PALATE_RETURN_IF_ERROR(Submit(group, admitted));
      admitted = true;
      outstanding.push_back(std::exchange(group, new_group()));
      if (outstanding.size() > kMaxOutstandingGroups) PALATE_RETURN_IF_ERROR(Collect(outstanding, pools));
    }
    while (!outstanding.empty()) PALATE_RETURN_IF_ERROR(Collect(outstanding, pools));
    for (size_t i = 0; i < inputs.size(); ++i) Complete(request, i, pools[i], results[i]);
    return results;
  }

  const ModelInfo& info() const { return model_->info(); }

  EmbedderStats stats() const {
    return {.queued_tokens_interactive = queue_.queued_tokens(Lane::kInteractive),
            .queued_tokens_bulk = queue_.queued_tokens(Lane::kBulk),
            .batches = executor_.batches(),
            .tokens = executor_.tokens(),
            .images = executor_.images(),
            .rejected = rejected_.load(std::memory_order_relaxed)};
  }

 private:
  absl::StatusOr<Request> Check(absl::Span<const EmbedInput> inputs, const EmbedOptions& options) const {
    if (inputs.size() > options_.max_inputs) {
      return InvalidField("inputs", absl::StrCat("has ", inputs.size(), " elements"), absl::StrCat("at most ", options_.max_inputs));
    }
    Request request;
    PALATE_ASSIGN_OR_RETURN(request.spaces, FindSpaces(options.spaces, info()));
    request.dimensions = options.dimensions == 0 ? info().dimensions : options.dimensions;
    if (request.dimensions < 1 || request.dimensions > info().dimensions) {
      return InvalidField("dimensions", absl::StrCat("is ", options.dimensions), absl::StrCat("0, or 1 to ", info().dimensions));
    }
    if (options.instruction.size() > options_.max_field_bytes) {
      return InvalidField("instruction", absl::StrCat("has ", options.instruction.size(), " bytes"),
                          absl::StrCat("at most ", options_.max_field_bytes));
    }
    if (!IsValidUtf8(options.instruction)) return InvalidField("instruction", "has bytes that are not UTF-8", "valid UTF-8");
    for (const SpaceInfo* space : request.spaces) {
      request.plan.texts |= space->name != "image";
      request.plan.images |= space->name != "text";
    }
    request.plan.query_prefix = options.instruction.empty() ? model_->text().query_prompt() : options.instruction;
    request.plan.deadline = options.deadline;
    return request;
  }

  static absl::Status StillWanted(const EmbedOptions& options) {
    if (options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed)) {
      return absl::CancelledError("embedding was cancelled");
    }
    if (absl::Now() >= options.deadline) return absl::DeadlineExceededError("embedding did not finish before the deadline");
    return absl::OkStatus();
  }

  absl::Status Submit(const std::shared_ptr<EmbedGroup>& group, bool admitted) {
    const absl::Status status = queue_.Submit(group, admitted);
    if (absl::IsResourceExhausted(status)) rejected_.fetch_add(1, std::memory_order_relaxed);
    return status;
  }

  // Waits for the oldest group and takes its vectors.
  absl::Status Collect(std::deque<std::shared_ptr<EmbedGroup>>& outstanding, std::vector<Pools>& pools) {
    const std::shared_ptr<EmbedGroup> group = outstanding.front();
    outstanding.pop_front();
    PALATE_RETURN_IF_ERROR(queue_.Wait(*group));
    for (const WorkUnit& unit : group->units()) {
      (unit.is_image ? pools[unit.input].image : pools[unit.input].text).Add(unit.vector);
    }
    return absl::OkStatus();
  }

  void Complete(const Request& request, size_t index, const Pools& pools, EmbedResult& result) const {
    if (!result.status.ok()) {
      result = {.status = std::move(result.status), .vectors = {}};
      return;
    }
    for (const SpaceInfo* space : request.spaces) {
      std::vector<float> values =
          VectorIn(space->name, pools, model_->fusion(), static_cast<size_t>(request.dimensions), static_cast<size_t>(info().dimensions));
      if (values.empty()) continue;
      if (!AllFinite(values)) {
        result = {.status = absl::InternalError(absl::StrCat("inputs[", index, "]: the model gave numbers that are not finite")),
                  .vectors = {}};
        return;
      }
      result.vectors.push_back({{space->name, FingerprintFor(*space, request.dimensions, info().dimensions)}, std::move(values)});
    }
  }

  const std::shared_ptr<const EmbeddingModel> model_;
  const EmbedderOptions options_;
  InputPreparer preparer_;
  BatchQueue queue_;
  Executor executor_;
  std::atomic<int64_t> rejected_ = 0;
};

absl::StatusOr<std::unique_ptr<Embedder>> Embedder::Create(std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options) {
  if (options.batch_tokens < 1 || options.bulk_share < 0 || options.bulk_share > 1 || options.max_concurrent_decodes < 1 ||
      options.intra_op_threads < 0 || options.poll_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "embedder options: batch_tokens, max_concurrent_decodes and poll_interval must be above 0, "
        "bulk_share in [0, 1], intra_op_threads at least 0");
  }
  // A setting of the whole process, so that it is left alone when it is right already.
  if (options.intra_op_threads > 0 && at::get_num_threads() != options.intra_op_threads) at::set_num_threads(options.intra_op_threads);
  return std::unique_ptr<Embedder>(new Embedder(std::make_unique<Impl>(std::move(model), options)));
}

Embedder::Embedder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Embedder::~Embedder() = default;

absl::StatusOr<std::vector<EmbedResult>> Embedder::Embed(absl::Span<const EmbedInput> inputs, const EmbedOptions& options) {
  return impl_->Embed(inputs, options);
}

const ModelInfo& Embedder::info() const { return impl_->info(); }

EmbedderStats Embedder::stats() const { return impl_->stats(); }

}  // namespace palate::embedding
