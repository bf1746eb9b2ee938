#include "embedding/embedder.h"

#include <ATen/Parallel.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "embedding/batch_queue.h"
#include "embedding/embed_call.h"
#include "embedding/embedding_model.h"
#include "embedding/encoder.h"
#include "embedding/executor.h"
#include "embedding/prepare.h"
#include "embedding/prepare_pool.h"
#include "embedding/vector_math.h"

namespace palate::embedding {
namespace {

// How many batches of a call may be prepared ahead: enough to keep the executor busy and the
// queue's window full.
constexpr int64_t kPreparedBatches = 4;

// The request of a call, checked against the model.
struct Request {
  std::vector<const SpaceInfo*> spaces;
  SpaceSet set;
  size_t dimensions = 0;
};

std::string SpaceNames(const ModelInfo& info) {
  return absl::StrJoin(info.spaces, ", ",
                       [](std::string* out, const SpaceInfo& space) { out->append(space.name); });
}

absl::StatusOr<std::vector<const SpaceInfo*>> FindSpaces(const std::vector<std::string>& names,
                                                         const ModelInfo& info) {
  std::vector<const SpaceInfo*> spaces;
  for (size_t i = 0; i < names.size(); ++i) {
    const SpaceInfo* space = info.FindSpace(names[i]);
    if (space == nullptr) {
      return InvalidField(absl::StrCat("spaces[", i, "]"),
                          absl::StrCat("is ", QuoteForMessage(names[i])),
                          absl::StrCat("one of: ", SpaceNames(info)));
    }
    if (!space->available) {
      return absl::FailedPreconditionError(absl::StrCat("space ", space->name,
                                                        " is not served: embedding model ",
                                                        info.name, " has no image tower"));
    }
    spaces.push_back(space);
  }

  if (!names.empty()) return spaces;
  for (const SpaceInfo& space : info.spaces) {
    if (space.available) spaces.push_back(&space);
  }
  return spaces;
}

// The vectors of one input, summed by space.
struct Pools {
  explicit Pools(const std::vector<PassVector>& vectors) {
    for (const PassVector& vector : vectors) {
      if (vector.values.empty()) continue;  // failed
      if (vector.spaces.text) text.Add(vector.values);
      if (vector.spaces.image) image.Add(vector.values);
      if (vector.spaces.fused) joint.Add(vector.values);
    }
  }
  WeightedSum text;
  WeightedSum image;
  WeightedSum joint;
};

// Empty when the input has no content for the space.
std::vector<float> VectorIn(const std::string& space, const Pools& pools, const Encoder& encoder,
                            size_t dimensions) {
  const auto cut = [&](const WeightedSum& sum) {
    return sum.empty() ? std::vector<float>() : sum.UnitVector(dimensions);
  };

  if (space == kTextSpace) return cut(pools.text);
  if (space == kImageSpace) return cut(pools.image);
  if (encoder.is_joint()) return cut(pools.joint);

  const auto whole = static_cast<size_t>(encoder.info().dimensions);
  WeightedSum fused;
  if (!pools.text.empty()) fused.Add(pools.text.UnitVector(whole), encoder.fusion().text);
  if (!pools.image.empty()) fused.Add(pools.image.UnitVector(whole), encoder.fusion().image);
  return cut(fused);
}

}  // namespace

class Embedder::Impl {
 public:
  Impl(std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options)
      : model_(std::move(model)),
        options_(options),
        queue_({.batch_tokens = options.batch_tokens,
                .bulk_share = options.bulk_share,
                .max_queued_tokens_interactive = options.max_queued_tokens_interactive,
                .max_queued_tokens_bulk = options.max_queued_tokens_bulk}),
        executor_(encoder(), queue_),
        preparer_(encoder(), options_),
        pool_(options.prepare_threads) {}

  absl::StatusOr<std::vector<EmbedResult>> Embed(std::vector<EmbedInput> inputs,
                                                 const EmbedOptions& options,
                                                 const CallContext& context) {
    PALATE_ASSIGN_OR_RETURN(const Request request, Check(inputs, options));
    PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<EmbedCall> call,
                            Admit(std::move(inputs), options, request, context));
    const absl::Cleanup close = [&] { call->Close(); };
    const CancelRegistration wake = context.OnCancel([&call] { call->Wake(); });

    std::vector<EmbedResult> results(call->inputs().size());
    size_t next = 0;

    for (size_t finished = 0; finished < results.size();) {
      while (next < results.size() && call->BeginPreparing()) {
        pool_.Submit(options.lane,
                     [this, call, index = next] { call->Prepared(index, Prepare(*call, index)); });
        ++next;
      }
      PALATE_ASSIGN_OR_RETURN(const std::vector<size_t> done,
                              call->WaitForProgress(/*more=*/next < results.size()));
      for (size_t index : done) results[index] = Complete(request, call->TakeOutcome(index));
      finished += done.size();
    }
    return results;
  }

  const ModelInfo& info() const { return model_->info(); }

  EmbedderStats stats() const {
    return {.queued_tokens_interactive = queue_.queued_tokens(Lane::kInteractive),
            .queued_tokens_bulk = queue_.queued_tokens(Lane::kBulk),
            .batches = executor_.batches(),
            .tokens = executor_.tokens(),
            .images = executor_.images(),
            .rejected = rejected_.load(std::memory_order_relaxed),
            .retried = executor_.retried(),
            .failed = executor_.failed(),
            .stalled = executor_.stalled()};
  }

 private:
  const Encoder& encoder() const { return model_->encoder(); }

  absl::StatusOr<Request> Check(const std::vector<EmbedInput>& inputs,
                                const EmbedOptions& options) const {
    if (inputs.size() > options_.max_inputs) {
      return InvalidField("inputs", absl::StrCat("has ", inputs.size(), " elements"),
                          absl::StrCat("at most ", options_.max_inputs));
    }

    Request request;
    PALATE_ASSIGN_OR_RETURN(request.spaces, FindSpaces(options.spaces, info()));
    if (options.dimensions < 0 || options.dimensions > info().dimensions) {
      return InvalidField("dimensions", absl::StrCat("is ", options.dimensions),
                          absl::StrCat("0, or 1 to ", info().dimensions));
    }
    request.dimensions =
        static_cast<size_t>(options.dimensions == 0 ? info().dimensions : options.dimensions);

    if (options.instruction.size() > options_.max_field_bytes) {
      return InvalidField("instruction", absl::StrCat("has ", options.instruction.size(), " bytes"),
                          absl::StrCat("at most ", options_.max_field_bytes));
    }
    if (!IsValidUtf8(options.instruction))
      return InvalidField("instruction", "has bytes that are not UTF-8", "valid UTF-8");

    for (const SpaceInfo* space : request.spaces) {
      request.set.text |= space->name == kTextSpace;
      request.set.image |= space->name == kImageSpace;
      request.set.fused |= space->name == kFusedSpace;
    }
    return request;
  }

  // Estimates the work of the call and admits it to the queue.
  absl::StatusOr<std::shared_ptr<EmbedCall>> Admit(std::vector<EmbedInput> inputs,
                                                   const EmbedOptions& options,
                                                   const Request& request,
                                                   const CallContext& context) {
    std::vector<int64_t> estimates;
    int64_t total = 0;
    estimates.reserve(inputs.size());
    for (const EmbedInput& input : inputs)
      total += estimates.emplace_back(preparer_.Estimate(input, request.set));

    const EmbedCall::Limits limits = {.preparing = 2 * pool_.threads(),
                                      .prepared_tokens = kPreparedBatches * options_.batch_tokens};
    EmbedCall::Request asked = {std::move(inputs), options, request.set, context};
    auto call = std::make_shared<EmbedCall>(std::move(asked), std::move(estimates), limits, queue_);

    PALATE_RETURN_IF_ERROR(call->CheckStillWanted(absl::Now()));
    if (const absl::Status admitted = queue_.Admit(options.lane, total); !admitted.ok()) {
      if (absl::IsResourceExhausted(admitted)) rejected_.fetch_add(1, std::memory_order_relaxed);
      return admitted;
    }
    return call;
  }

  absl::StatusOr<PreparedInput> Prepare(const EmbedCall& call, size_t index) {
    PALATE_RETURN_IF_ERROR(call.CheckStillWanted(absl::Now()));
    return preparer_.Prepare(call, index);
  }

  EmbedResult Complete(const Request& request, InputOutcome outcome) const {
    EmbedResult result;
    result.status = std::move(outcome.status);
    if (!result.status.ok()) return result;

    const Pools pools(outcome.vectors);
    for (const SpaceInfo* space : request.spaces) {
      std::vector<float> values = VectorIn(space->name, pools, encoder(), request.dimensions);
      if (values.empty()) continue;
      result.vectors.push_back(
          {{space->name,
            FingerprintFor(*space, static_cast<int>(request.dimensions), info().dimensions)},
           std::move(values)});
    }

    result.tokens = outcome.tokens;
    result.truncated_tokens = outcome.truncated_tokens;
    result.failed_parts = std::move(outcome.failed_parts);
    return result;
  }

  const std::shared_ptr<const EmbeddingModel> model_;
  const EmbedderOptions options_;
  BatchQueue queue_;
  Executor executor_;
  InputPreparer preparer_;
  PreparePool pool_;  // last, because its tasks use the other members
  std::atomic<int64_t> rejected_ = 0;
};

absl::StatusOr<std::unique_ptr<Embedder>> Embedder::Create(
    std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options) {
  if (options.batch_tokens < 1 || options.bulk_share < 0 || options.bulk_share > 1 ||
      options.max_concurrent_decodes < 1 || options.prepare_threads < 1 ||
      options.intra_op_threads < 0) {
    return absl::InvalidArgumentError(
        "embedder options: batch_tokens, prepare_threads and max_concurrent_decodes must be at "
        "least 1, bulk_share in [0, 1], intra_op_threads at least 0");
  }

  // The setting applies to the whole process, so it is changed only if it differs.
  if (options.intra_op_threads > 0 && at::get_num_threads() != options.intra_op_threads)
    at::set_num_threads(options.intra_op_threads);
  return std::unique_ptr<Embedder>(new Embedder(std::make_unique<Impl>(std::move(model), options)));
}

Embedder::Embedder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Embedder::~Embedder() = default;

absl::StatusOr<std::vector<EmbedResult>> Embedder::Embed(std::vector<EmbedInput> inputs,
                                                         const EmbedOptions& options,
                                                         const CallContext& context) {
  return impl_->Embed(std::move(inputs), options, context);
}

const ModelInfo& Embedder::info() const { return impl_->info(); }

EmbedderStats Embedder::stats() const { return impl_->stats(); }

}  // namespace palate::embedding
