// Loads decoders as encoders: text-only ones such as Qwen3-Embedding here, vision-language ones
// through VlEncoder.

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "embedding/encoders/chat_prompt.h"
#include "embedding/encoders/lm_pooling.h"
#include "embedding/encoders/loading.h"
#include "embedding/encoders/towers.h"
#include "embedding/encoders/vl_encoder.h"
#include "models/causal_lm/causal_lm.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/config_keys.h"
#include "models/checkpoint/json_config.h"
#include "models/families/bert/sentence_layout.h"

namespace palate::embedding {
namespace {

// Default limit on the input, as in the reference code of Qwen3-Embedding and Qwen3-VL-Embedding.
constexpr int64_t kDefaultMaxTokens = 8192;
// Tokenizers without a limit store a number larger than any text.
constexpr double kNoLimit = 1e9;

constexpr int64_t kMinPixels = 4096;
constexpr int64_t kMaxPixels = 1'843'200;

// The query format of Qwen3-Embedding's reference: task, then query.
constexpr char kBeforeTask[] = "Instruct: ";
constexpr char kBeforeQuery[] = "\nQuery:";

class LmTextTower final : public TextTower {
 public:
  LmTextTower(std::shared_ptr<const models::CausalLm> lm, models::TextPooling pooling,
              int64_t max_tokens)
      : lm_(std::move(lm)), pooling_(pooling), max_tokens_(static_cast<size_t>(max_tokens)) {}

  // The tokenizer's post-processor may add an end token, which truncation keeps.
  absl::StatusOr<models::EncodedText> Tokenize(absl::string_view text) const override {
    return lm_->tokenizer().Encode(text,
                                   {.parse_special_tokens = false, .max_tokens = max_tokens_});
  }

  absl::StatusOr<at::Tensor> Encode(absl::Span<const std::vector<int64_t>> ids) const override {
    std::vector<models::LmSequence> sequences;
    sequences.reserve(ids.size());
    for (const std::vector<int64_t>& sequence : ids)
      sequences.push_back({.ids = sequence, .images = {}});
    return PoolStates(*lm_, sequences, pooling_);
  }

 private:
  const std::shared_ptr<const models::CausalLm> lm_;
  const models::TextPooling pooling_;
  const size_t max_tokens_;
};

// Splits the checkpoint's query prompt if it has the reference's form, so that a request's
// instruction replaces the task only. A prompt of another form is replaced as a whole. A checkpoint
// without a prompt uses the reference's form when there is an instruction, and nothing otherwise.
TextPrompts PromptsFrom(const models::SentencePrompts& stored) {
  TextPrompts prompts;
  prompts.item = stored.document;
  const size_t query = stored.query.find(kBeforeQuery);
  if (stored.query.empty()) {
    prompts.before_instruction = kBeforeTask;
    prompts.after_instruction = kBeforeQuery;
  } else if (absl::StartsWith(stored.query, kBeforeTask) && query != std::string::npos) {
    constexpr size_t kBefore = sizeof(kBeforeTask) - 1;
    prompts.before_instruction = kBeforeTask;
    prompts.default_instruction = stored.query.substr(kBefore, query - kBefore);
    prompts.after_instruction = stored.query.substr(query);
  } else {
    prompts.default_instruction = stored.query;
  }

  return prompts;
}

// A decoder without pooling files is pooled at its last token, the only one that attends to all
// others.
absl::StatusOr<models::SentenceLayout> ReadLayout(const std::string& folder,
                                                  const std::string& base) {
  const bool own = models::FileExists(folder + "/modules.json") ||
                   models::FileExists(folder + "/config_sentence_transformers.json");
  const std::string& source = own ? folder : base;
  PALATE_ASSIGN_OR_RETURN(models::SentenceLayout layout, models::ReadSentenceLayout(source));
  if (!models::FileExists(source + "/modules.json"))
    layout.pooling = models::TextPooling::kLastToken;

  if (!layout.dense.empty())
    return absl::UnimplementedError(
        absl::StrCat(source, ": dense layers after a decoder are not supported"));
  if (layout.lower_case)
    return absl::UnimplementedError(
        absl::StrCat(source, ": do_lower_case is not supported for decoders"));
  return layout;
}

absl::StatusOr<int64_t> MaxTokens(const models::CausalLm& lm, const models::SentenceLayout& layout,
                                  const EmbeddingModelOptions& options) {
  const int64_t positions = lm.decoder().config().max_positions;
  if (options.max_text_tokens < 0 || options.max_text_tokens > positions) {
    return absl::InvalidArgumentError(absl::StrCat("max_text_tokens is ", options.max_text_tokens,
                                                   "; ", lm.folder(), " supports 1 to ",
                                                   positions));
  }

  int64_t limit = positions;
  if (layout.max_tokens > 0) {
    limit = std::min(limit, layout.max_tokens);
  } else if (const std::string path = lm.folder() + "/tokenizer_config.json";
             models::FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(const models::JsonConfig json, models::JsonConfig::Load(path));
    PALATE_ASSIGN_OR_RETURN(const double length, json.DoubleOr("model_max_length", kNoLimit));
    if (length > 0 && length < kNoLimit) limit = std::min(limit, static_cast<int64_t>(length));
  }

  limit =
      std::min(limit, options.max_text_tokens > 0 ? options.max_text_tokens : kDefaultMaxTokens);

  if (limit <= static_cast<int64_t>(lm.tokenizer().special_tokens_per_text())) {
    return absl::InvalidArgumentError(
        absl::StrCat(lm.folder(), ": a limit of ", limit, " tokens leaves no room for text"));
  }
  return limit;
}

// Digest of the weights and of the adapter, if there is one.
absl::StatusOr<std::string> WeightsDigest(const models::Checkpoint& checkpoint,
                                          const std::string& adapter_folder) {
  PALATE_ASSIGN_OR_RETURN(std::string weights, checkpoint.WeightsDigest());

  if (adapter_folder.empty()) return weights;
  PALATE_ASSIGN_OR_RETURN(const models::Adapter adapter, models::Adapter::Open(adapter_folder));
  PALATE_ASSIGN_OR_RETURN(const std::string update, adapter.Digest());
  return Digest(absl::StrCat(weights, update));
}

// Everything that the vectors depend on, except the prompts.
absl::StatusOr<std::string> ContentOf(const models::CausalLm& lm, const ModelInfo& info) {
  PALATE_ASSIGN_OR_RETURN(const std::string digest, lm.Digest());
  return absl::StrCat("decoder\n", digest, "\npooling ", info.pooling, "\nmax_tokens ",
                      info.max_text_tokens);
}

absl::StatusOr<std::unique_ptr<Encoder>> MakeTextEncoder(std::shared_ptr<const models::CausalLm> lm,
                                                         const models::SentenceLayout& layout,
                                                         ModelInfo info) {
  TowerEncoder::Parts parts;
  parts.prompts = PromptsFrom(layout.prompts);
  PALATE_ASSIGN_OR_RETURN(std::string content, ContentOf(*lm, info));

  absl::StrAppend(&content, "\n", parts.prompts.QueryTemplate(), "\n",
                  parts.prompts.default_instruction, "\n", parts.prompts.ItemTemplate());
  info.spaces = {{.name = kTextSpace,
                  .fingerprint = Fingerprint(content),
                  .available = true,
                  .calibration = {}}};

  parts.text = std::make_unique<LmTextTower>(std::move(lm), layout.pooling, info.max_text_tokens);
  parts.info = std::move(info);
  return std::make_unique<TowerEncoder>(std::move(parts));
}

absl::StatusOr<std::unique_ptr<Encoder>> MakeVlEncoder(std::shared_ptr<const models::CausalLm> lm,
                                                       const models::SentenceLayout& layout,
                                                       const EmbeddingModelOptions& options,
                                                       ModelInfo info) {
  info.min_pixels = options.min_pixels > 0 ? options.min_pixels : kMinPixels;
  info.max_pixels = options.max_pixels > 0 ? options.max_pixels : kMaxPixels;
  if (info.min_pixels > info.max_pixels) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_pixels ", info.min_pixels, " is above max_pixels ", info.max_pixels));
  }

  PALATE_ASSIGN_OR_RETURN(ChatPrompt prompt, ChatPrompt::Create(lm));
  PALATE_ASSIGN_OR_RETURN(const auto frame, prompt.Frame("{instruction}", 0));
  PALATE_ASSIGN_OR_RETURN(const auto with_image, prompt.Frame("{instruction}", 1));
  info.query_template = absl::StrCat(frame.first, "{images}{text}", frame.second);
  info.item_template = info.query_template;
  info.default_instruction = kDefaultVlInstruction;

  PALATE_ASSIGN_OR_RETURN(std::string content, ContentOf(*lm, info));
  absl::StrAppend(&content, "\npixels ", info.min_pixels, " ", info.max_pixels, "\n",
                  info.query_template, "\n", with_image.first, "\n", info.default_instruction);
  // All three spaces share one fingerprint, because vectors of text, images and both are
  // comparable.
  const std::string fingerprint = Fingerprint(content);
  for (const char* name : kSpaceNames) {
    info.spaces.push_back(
        {.name = name, .fingerprint = fingerprint, .available = true, .calibration = {}});
  }

  return std::make_unique<VlEncoder>(std::move(lm), std::move(prompt), layout.pooling,
                                     std::move(info));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> LoadDecoder(const std::string& folder,
                                                     const EmbeddingModelOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const Placement placement, Placement::From(options));
  PALATE_ASSIGN_OR_RETURN(const std::string own, models::TransformerFolder(folder));
  PALATE_ASSIGN_OR_RETURN(
      std::shared_ptr<const models::CausalLm> lm,
      models::CausalLm::Load(
          own, {.dtype = placement.dtype, .device = placement.device, .adapter = options.adapter}));
  PALATE_ASSIGN_OR_RETURN(const models::SentenceLayout layout, ReadLayout(folder, lm->folder()));

  ModelInfo info = NewInfo(folder, FamilyId(lm->family()), placement);
  info.dimensions = static_cast<int>(lm->decoder().config().hidden_size);
  info.pooling = PoolingName(layout.pooling);
  info.pooling_is_assumed = !layout.pooling_is_stated;
  info.adapter = models::IsAdapterFolder(folder) ? folder : options.adapter;
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint,
                          models::Checkpoint::Open(lm->folder()));
  info.unknown_config_keys = models::UnknownConfigKeys(checkpoint.config());
  PALATE_ASSIGN_OR_RETURN(info.weights_digest, WeightsDigest(checkpoint, info.adapter));
  PALATE_ASSIGN_OR_RETURN(info.max_text_tokens, MaxTokens(*lm, layout, options));

  if (lm->has_vision()) return MakeVlEncoder(std::move(lm), layout, options, std::move(info));
  PALATE_RETURN_IF_ERROR(RefusePixelBudget(options, info.family));
  return MakeTextEncoder(std::move(lm), layout, std::move(info));
}

}  // namespace palate::embedding
