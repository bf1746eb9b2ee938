#include "ranking/engine/loaded_model.h"

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/families.h"
#include "models/registry.h"
#include "models/text/tokenizer.h"
#include "ranking/engine/ranking_model.h"

namespace palate::ranking {
namespace {

// Enough for the prompt and text of an explanation, and for a shortened rank prompt.
constexpr int64_t kMinPositions = 256;

absl::StatusOr<PromptStyle> ReadStyle(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kPalateFile);
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig config, models::JsonConfig::Load(path));
  PALATE_ASSIGN_OR_RETURN(const std::string style, config.String("prompt_style"));
  if (style == kBuiltInStyleName) return PromptStyle::kBuiltIn;
  return absl::UnimplementedError(
      absl::StrCat(path, ": prompt_style '", style, "'; supported: ", kBuiltInStyleName));
}

absl::StatusOr<std::string> FingerprintOf(const models::Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(std::string digests, checkpoint.WeightsDigest());
  for (const char* name : {"config.json", "tokenizer.json", kPalateFile}) {
    PALATE_ASSIGN_OR_RETURN(const std::string digest,
                            models::FileDigest(absl::StrCat(checkpoint.folder(), "/", name)));
    absl::StrAppend(&digests, " ", digest);
  }
  return absl::BytesToHexString(Sha256(digests).substr(0, 8));
}

}  // namespace

absl::StatusOr<LoadedModel> LoadedModel::Load(const std::string& folder) {
  LoadedModel loaded;
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family,
                          models::FindModelFamily(checkpoint.config()));
  if (!models::IsTextDecoder(family)) {
    return absl::UnimplementedError(
        absl::StrCat(folder, " has a ", models::ModelFamilyName(family),
                     " model; ranking by prompt requires a text decoder"));
  }

  PALATE_ASSIGN_OR_RETURN(loaded.style, ReadStyle(folder));
  PALATE_ASSIGN_OR_RETURN(loaded.model, models::DecoderModel::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, models::Tokenizer::Load(folder));
  absl::StatusOr<std::unique_ptr<PromptEncoder>> encoder = PromptEncoder::Create(tokenizer);
  if (!encoder.ok()) return Annotate(encoder.status(), folder);
  loaded.encoder = *std::move(encoder);

  if (loaded.encoder->vocab_size() > loaded.model->config().vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the tokenizer has ", loaded.encoder->vocab_size(),
                     " entries, the embedding ", loaded.model->config().vocab_size, " rows"));
  }
  if (loaded.model->config().max_positions < kMinPositions) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": max_position_embeddings is ",
                                                   loaded.model->config().max_positions,
                                                   "; prompts need at least ", kMinPositions));
  }

  PALATE_ASSIGN_OR_RETURN(loaded.fingerprint, FingerprintOf(checkpoint));
  return loaded;
}

}  // namespace palate::ranking
