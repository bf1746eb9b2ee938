#include "ranking/engine/pointwise_reranker.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "models/causal_lm/causal_lm.h"
#include "models/device.h"
#include "models/dtype.h"
#include "models/image/image.h"
#include "models/image/vl_processor.h"
#include "ranking/engine/llm_executor.h"
#include "ranking/engine/pair_scorer.h"
#include "ranking/engine/rerank_protocol.h"
#include "ranking/pointwise_text.h"

namespace palate::ranking {
namespace {

// The pixel budget of an image, in tokens of the language model, as in the published vision
// protocol.
constexpr int64_t kMinImageTokens = 4;
constexpr int64_t kMaxImageTokens = 1800;
constexpr models::ImageLimits kPictureLimits = {.max_pixels = kMaxImagePixels,
                                                .max_encoded_bytes = kMaxImageBytes};

// The images of one content, prepared for the model.
struct Pictures {
  std::vector<models::ImagePatches> patches;
  std::vector<int64_t> tokens;  // merged patches per image
};

// An encoded request: one sequence per document that can be scored.
struct PreparedRequest {
  std::vector<models::LmSequence> sequences;
  std::vector<size_t> documents;  // per sequence: the index of its document
  std::vector<ElementFailure> failures;
  int64_t tokens = 0;
  int truncated = 0;
};

std::vector<RankContent> DocumentsOf(const RankInput& input) {
  if (!input.documents.empty()) return input.documents;
  std::vector<RankContent> documents;
  for (const ItemFacts& candidate : input.candidates)
    documents.push_back({DocumentFromFacts(candidate)});
  return documents;
}

// Reports the image as an invalid field of its content.
absl::Status PictureError(const absl::Status& status, size_t index) {
  const std::string field = absl::StrCat("images[", index, "]");
  const std::string message(status.message());
  if (!absl::IsInvalidArgument(status)) return Annotate(status, field);
  return InvalidFields(absl::StrCat(field, ": ", message), {{field, message}});
}

float Sigmoid(float log_odds) { return 1.0f / (1.0f + std::exp(-log_odds)); }

}  // namespace

class PointwiseReranker::Impl {
 public:
  Impl(AnswerHead head, std::unique_ptr<RerankProtocol> protocol, std::string fingerprint,
       const RerankerOptions& options)
      : head_(std::move(head)),
        protocol_(std::move(protocol)),
        fingerprint_(std::move(fingerprint)),
        options_(options),
        queue_(executor_),
        executor_("reranker",
                  {.max_scoring_tasks = options.max_queued_rankings, .max_decoding_tasks = 0}) {}

  absl::Status WarmUp();
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context);
  EngineStats stats() const;
  absl::Status Health() const;
  const std::string& fingerprint() const { return fingerprint_; }
  const RerankProtocol& protocol() const { return *protocol_; }

 private:
  absl::StatusOr<Pictures> ReadPictures(const std::vector<std::string>& images) const;
  absl::StatusOr<PreparedRequest> Prepare(const RankInput& input) const;
  // Adds the pair of `query` and `document` to the request.
  absl::Status AddPair(const RerankPair& query, const Pictures& query_pictures,
                       const RankContent& document, size_t index, PreparedRequest& request) const;
  absl::StatusOr<std::vector<float>> Score(std::vector<models::LmSequence> sequences,
                                           const CallContext& context);
  PairScoringOptions ScoringOptions() const {
    return {.max_forward_tokens = options_.max_forward_tokens,
            .slice_tokens = 8 * options_.max_forward_tokens,
            .share_prefix = options_.share_prefix};
  }

  const AnswerHead head_;
  const std::unique_ptr<RerankProtocol> protocol_;
  const std::string fingerprint_;
  const RerankerOptions options_;
  ScoreQueue queue_;
  std::atomic<int64_t> rankings_{0};
  ModelExecutor executor_;  // last, because its thread uses the other members
};

absl::StatusOr<Pictures> PointwiseReranker::Impl::ReadPictures(
    const std::vector<std::string>& images) const {
  Pictures pictures;
  const models::CausalLm& model = head_.model();
  if (!images.empty() && protocol_->style() != RerankStyle::kVision) {
    return InvalidField("images", absl::StrCat("has ", images.size(), " elements"),
                        "none: the model reads text only");
  }

  for (size_t i = 0; i < images.size(); ++i) {
    const int64_t side =
        model.image_processor()->config().patch_size * model.image_processor()->config().merge_size;
    const models::PixelBudget budget{kMinImageTokens * side * side, kMaxImageTokens * side * side};
    const absl::StatusOr<models::Image> image = models::DecodeImage(images[i], kPictureLimits);
    if (!image.ok()) return PictureError(image.status(), i);
    absl::StatusOr<models::ImagePatches> patches = model.image_processor()->Process(*image, budget);
    if (!patches.ok()) return PictureError(patches.status(), i);
    pictures.tokens.push_back(model.vision()->MergedPatches(*patches));
    pictures.patches.push_back(*std::move(patches));
  }
  return pictures;
}

absl::StatusOr<PreparedRequest> PointwiseReranker::Impl::Prepare(const RankInput& input) const {
  const RankContent query =
      input.query.has_value() ? *input.query : RankContent{QueryFromHistory(input.history)};
  const absl::string_view fallback =
      input.query.has_value() ? DefaultInstruction(protocol_->style()) : kPreferenceInstruction;

  RerankPair pair;
  pair.instruction = input.instruction.empty() ? fallback : absl::string_view(input.instruction);
  pair.query = query.text;

  const absl::StatusOr<Pictures> query_pictures = ReadPictures(query.images);
  if (!query_pictures.ok()) return PrefixFields(query_pictures.status(), "query");
  pair.query_images = query_pictures->tokens;
  if (!IsValidUtf8(query.text)) return InvalidField("query.text", "is not UTF-8", "UTF-8");
  if (!IsValidUtf8(pair.instruction)) return InvalidField("instruction", "is not UTF-8", "UTF-8");

  PreparedRequest request;
  const std::vector<RankContent> documents = DocumentsOf(input);
  const absl::string_view list = input.documents.empty() ? "candidates" : "documents";
  for (size_t i = 0; i < documents.size(); ++i) {
    const absl::Status added = AddPair(pair, *query_pictures, documents[i], i, request);
    if (!added.ok()) request.failures.push_back({i, added});
    if (request.tokens > options_.max_rank_tokens) {
      return InvalidField(list,
                          absl::StrCat("make prompts of ", request.tokens, " tokens and more"),
                          absl::StrCat("at most ", options_.max_rank_tokens));
    }
  }
  return request;
}

absl::Status PointwiseReranker::Impl::AddPair(const RerankPair& query,
                                              const Pictures& query_pictures,
                                              const RankContent& document, size_t index,
                                              PreparedRequest& request) const {
  if (!IsValidUtf8(document.text)) return InvalidField("text", "is not UTF-8", "UTF-8");
  PALATE_ASSIGN_OR_RETURN(Pictures pictures, ReadPictures(document.images));

  RerankPair pair = query;
  pair.document = document.text;
  pair.document_images = pictures.tokens;
  PALATE_ASSIGN_OR_RETURN(EncodedPair encoded, protocol_->Encode(pair));

  models::LmSequence sequence;
  sequence.ids = std::move(encoded.ids);
  sequence.images = query_pictures.patches;
  std::move(pictures.patches.begin(), pictures.patches.end(), std::back_inserter(sequence.images));
  PALATE_RETURN_IF_ERROR(head_.model().Check(sequence));

  request.tokens += static_cast<int64_t>(sequence.ids.size());
  if (encoded.truncated_tokens > 0) ++request.truncated;
  request.documents.push_back(index);
  request.sequences.push_back(std::move(sequence));
  return absl::OkStatus();
}

absl::StatusOr<RankOutput> PointwiseReranker::Impl::Rank(const RankInput& input,
                                                         const CallContext& context) {
  rankings_.fetch_add(1, std::memory_order_relaxed);
  PALATE_ASSIGN_OR_RETURN(PreparedRequest request, Prepare(input));

  RankOutput output;
  output.model_fingerprint = fingerprint_;
  output.prompt_tokens =
      static_cast<int>(std::min<int64_t>(request.tokens, std::numeric_limits<int>::max()));
  output.truncated_documents = request.truncated;
  if (input.query.has_value() && !input.history.empty()) output.unused_fields = {"history"};
  output.failures = std::move(request.failures);
  const size_t count = input.documents.empty() ? input.candidates.size() : input.documents.size();
  output.scores.assign(count, std::numeric_limits<float>::quiet_NaN());
  output.relevance = output.scores;
  if (request.sequences.empty()) return output;

  PALATE_ASSIGN_OR_RETURN(const std::vector<float> log_odds,
                          Score(std::move(request.sequences), context));

  for (size_t i = 0; i < log_odds.size(); ++i) {
    const size_t document = request.documents[i];
    if (!std::isfinite(log_odds[i])) {
      output.failures.push_back(
          {document, absl::InternalError("the model computed a score that is not finite")});
      continue;
    }
    output.scores[document] = log_odds[i];
    output.relevance[document] = Sigmoid(log_odds[i]);
  }

  std::sort(output.failures.begin(), output.failures.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  return output;
}

absl::StatusOr<std::vector<float>> PointwiseReranker::Impl::Score(
    std::vector<models::LmSequence> sequences, const CallContext& context) {
  const auto scoring = std::make_shared<PairScoring>(head_, std::move(sequences), ScoringOptions());
  const ScoreQueue::Step step = [scoring](const std::function<bool()>& wanted) {
    return scoring->Step(wanted);
  };
  PALATE_RETURN_IF_ERROR(queue_.Run(scoring->num_tokens(), step, context));
  return scoring->log_odds();
}

absl::Status PointwiseReranker::Impl::WarmUp() {
  RankInput input;
  input.query = RankContent{"a chair of walnut"};
  input.documents.assign(4, RankContent{"A walnut chair with a woven seat, made to last."});

  PALATE_ASSIGN_OR_RETURN(const PreparedRequest request, Prepare(input));
  if (request.sequences.empty()) return request.failures.front().status;
  return queue_.MeasureWarmUps([&]() -> absl::StatusOr<int64_t> {
    PairScoring scoring(head_, request.sequences, ScoringOptions());
    absl::StatusOr<bool> more = true;
    while (more.ok() && *more) more = scoring.Step([] { return true; });
    PALATE_RETURN_IF_ERROR(more.status());
    return scoring.num_tokens();
  });
}

EngineStats PointwiseReranker::Impl::stats() const {
  EngineStats stats;
  stats.rankings = rankings_;
  stats.refused_for_overload = queue_.refused_for_overload();
  stats.refused_for_deadline = queue_.refused_for_deadline();
  stats.queued_rankings = executor_.waiting(Lane::kScoring);
  stats.seconds_per_rank_token = queue_.seconds_per_token();
  return stats;
}

absl::Status PointwiseReranker::Impl::Health() const {
  const absl::Duration running = executor_.RunningFor();
  if (running <= options_.stuck_after) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the reranker is stuck: it has made no progress for ",
                                             absl::FormatDuration(running),
                                             " (ranking.reranker_stuck_after_ms)"));
}

absl::StatusOr<std::unique_ptr<PointwiseReranker>> PointwiseReranker::Load(
    const std::string& folder, const RerankerOptions& options) {
  if (options.intra_op_threads > 0) at::set_num_threads(options.intra_op_threads);
  models::LmLoadOptions load;
  PALATE_ASSIGN_OR_RETURN(load.device, models::OpenDevice(options.device));
  PALATE_ASSIGN_OR_RETURN(load.dtype, models::ParseDtype(options.dtype, load.device));
  PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<const models::CausalLm> model,
                          models::CausalLm::Load(folder, load));

  const models::ModelFamily family = model->family();
  if (family != models::ModelFamily::kQwen3 && family != models::ModelFamily::kQwen3Vl) {
    return absl::UnimplementedError(absl::StrCat(
        folder, " has a ", models::ModelFamilyName(family), " model; rerankers must be ",
        models::ModelFamilyName(models::ModelFamily::kQwen3), " or ",
        models::ModelFamilyName(models::ModelFamily::kQwen3Vl)));
  }

  const RerankStyle style =
      family == models::ModelFamily::kQwen3 ? RerankStyle::kText : RerankStyle::kVision;
  absl::StatusOr<std::unique_ptr<RerankProtocol>> protocol = RerankProtocol::Create(
      model->shared_tokenizer(), style, model->decoder().config().max_positions);
  if (!protocol.ok()) return Annotate(protocol.status(), folder);
  absl::StatusOr<AnswerHead> head =
      AnswerHead::Create(model, (*protocol)->yes_id(), (*protocol)->no_id());
  if (!head.ok()) return Annotate(head.status(), folder);

  PALATE_ASSIGN_OR_RETURN(const std::string digest, model->Digest());
  const std::string identity =
      absl::StrCat(digest, " ", (*protocol)->Description(), " ", models::DtypeName(load.dtype));
  std::string fingerprint = absl::BytesToHexString(Sha256(identity).substr(0, 8));
  auto impl = std::make_unique<Impl>(*std::move(head), *std::move(protocol), std::move(fingerprint),
                                     options);
  PALATE_RETURN_IF_ERROR(Annotate(impl->WarmUp(), folder));
  return std::unique_ptr<PointwiseReranker>(new PointwiseReranker(std::move(impl)));
}

PointwiseReranker::PointwiseReranker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PointwiseReranker::~PointwiseReranker() = default;

absl::StatusOr<RankOutput> PointwiseReranker::Rank(const RankInput& input,
                                                   const CallContext& context) {
  return impl_->Rank(input, context);
}

const std::string& PointwiseReranker::fingerprint() const { return impl_->fingerprint(); }
int PointwiseReranker::max_prompt_tokens() const {
  return static_cast<int>(impl_->protocol().max_tokens());
}
bool PointwiseReranker::reads_images() const {
  return impl_->protocol().style() == RerankStyle::kVision;
}
EngineStats PointwiseReranker::stats() const { return impl_->stats(); }
absl::Status PointwiseReranker::Health() const { return impl_->Health(); }

}  // namespace palate::ranking
