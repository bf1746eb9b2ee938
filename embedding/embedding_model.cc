#include "embedding/embedding_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "embedding/encoder.h"
#include "embedding/encoders/loading.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/json_config.h"
#include "models/device.h"
#include "models/dtype.h"
#include "models/dtype_race.h"
#include "models/families/bert/sentence_layout.h"
#include "models/image/image.h"
#include "models/registry.h"

namespace palate::embedding {
namespace {

absl::StatusOr<std::unique_ptr<Encoder>> LoadEncoder(const std::string& folder,
                                                     const EmbeddingModelOptions& options) {
  if (models::FileExists(folder + "/dual_encoder.json")) return LoadDualEncoder(folder, options);

  std::string base = folder;
  if (models::IsAdapterFolder(folder)) {
    PALATE_ASSIGN_OR_RETURN(base, models::AdapterBaseFolder(folder));
  }
  PALATE_ASSIGN_OR_RETURN(base, models::TransformerFolder(base));
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig config,
                          models::JsonConfig::Load(base + "/config.json"));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family, models::FindModelFamily(config));

  switch (family) {
    case models::ModelFamily::kQwen2:
    case models::ModelFamily::kQwen3:
    case models::ModelFamily::kLlama:
    case models::ModelFamily::kQwen25Vl:
    case models::ModelFamily::kQwen3Vl:
      return LoadDecoder(folder, options);
    // An adapter folder of another family has no weights; the family's loader reports that.
    case models::ModelFamily::kBert:
      return LoadSentenceEncoder(folder, options);
    case models::ModelFamily::kClip:
    case models::ModelFamily::kSiglip:
      return LoadClipEncoder(folder, family, options);
    case models::ModelFamily::kVit:
    case models::ModelFamily::kEfficientNetLite:
      break;
  }

  return absl::UnimplementedError(
      absl::StrCat(folder, " holds a ", models::ModelFamilyName(family),
                   " model, which is not a text encoder; supported are a dual encoder, bert, "
                   "clip, siglip, qwen2, qwen3, llama, qwen2_5_vl and qwen3_vl"));
}

// Weights beyond this are not loaded twice to be measured.
constexpr int64_t kMaxRacedBytes = int64_t{2} << 30;

// Embeds a few descriptions, a picture if there is a tower for it, and a short query: a bulk batch
// and an interactive one.
class RaceWork {
 public:
  static absl::StatusOr<RaceWork> For(const Encoder& encoder) {
    RaceWork work(encoder);
    constexpr absl::string_view kSentence = "A chair of solid walnut with a woven seat. ";
    for (int i = 1; i <= 8; ++i) {
      PassContent item;
      for (int repeat = 0; repeat < i; ++repeat) absl::StrAppend(&item.text, kSentence);
      PALATE_ASSIGN_OR_RETURN(work.items_.emplace_back(), encoder.Prepare(item));
    }
    // A joint encoder computes pictures with the same kinds of layers as texts.
    if (encoder.sees_images() && !encoder.is_joint()) {
      PassContent item;
      PALATE_ASSIGN_OR_RETURN(item.images.emplace_back(), encoder.PrepareImage(GrayPicture()));
      PALATE_ASSIGN_OR_RETURN(work.items_.emplace_back(), encoder.Prepare(item));
    }
    const PassContent query = {.text = "walnut chair", .role = EmbedRole::kQuery};
    PALATE_ASSIGN_OR_RETURN(work.query_, encoder.Prepare(query));
    return work;
  }

  absl::Status Run() const {
    std::vector<const PreparedPass*> batch;
    for (const PreparedPass& item : items_) batch.push_back(&item);
    PALATE_RETURN_IF_ERROR(encoder_->Encode(batch).status());
    return encoder_->Encode({&query_}).status();
  }

 private:
  explicit RaceWork(const Encoder& encoder) : encoder_(&encoder) {}

  static models::Image GrayPicture() {
    constexpr int64_t kSide = 256;
    return {.width = kSide,
            .height = kSide,
            .rgb = std::vector<uint8_t>(static_cast<size_t>(3 * kSide * kSide), 128)};
  }

  const Encoder* encoder_;
  std::vector<PreparedPass> items_;
  PreparedPass query_;
};

absl::StatusOr<std::unique_ptr<Encoder>> LoadWith(const std::string& folder,
                                                  EmbeddingModelOptions options,
                                                  at::ScalarType dtype, std::string reason) {
  options.dtype = std::string(models::DtypeName(dtype));
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Encoder> encoder, LoadEncoder(folder, options));
  encoder->set_dtype_reason(std::move(reason));
  return encoder;
}

// The folders whose content decides how fast the model is.
std::vector<std::string> RacedFolders(const std::string& folder,
                                      const EmbeddingModelOptions& options) {
  std::vector<std::string> folders = {folder};
  if (models::IsAdapterFolder(folder)) {
    if (const auto base = models::AdapterBaseFolder(folder); base.ok()) folders.push_back(*base);
  }
  if (!options.adapter.empty()) folders.push_back(options.adapter);
  return folders;
}

// Loads the model in fp32 and in bf16 and keeps the faster one.
absl::StatusOr<std::unique_ptr<Encoder>> LoadFaster(const std::string& folder,
                                                    const EmbeddingModelOptions& options,
                                                    const std::string& key) {
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Encoder> fp32, LoadWith(folder, options, at::kFloat, ""));
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Encoder> bf16,
                          LoadWith(folder, options, at::kBFloat16, ""));
  PALATE_ASSIGN_OR_RETURN(const RaceWork fp32_work, RaceWork::For(*fp32));
  PALATE_ASSIGN_OR_RETURN(const RaceWork bf16_work, RaceWork::For(*bf16));
  PALATE_ASSIGN_OR_RETURN(
      const models::DtypeRace race,
      models::RaceDtypes([&] { return fp32_work.Run(); }, [&] { return bf16_work.Run(); }));

  const absl::Status remembered = models::RememberRace(key, race, options.race_file);
  if (!remembered.ok()) spdlog::warn("{}: {}", folder, remembered.ToString());
  std::unique_ptr<Encoder> winner = std::move(race.winner() == at::kBFloat16 ? bf16 : fp32);
  winner->set_dtype_reason(race.Reason());
  return winner;
}

// Resolves "auto".
absl::StatusOr<std::unique_ptr<Encoder>> LoadChosen(const std::string& folder,
                                                    const EmbeddingModelOptions& options) {
  if (options.dtype != "auto") return LoadEncoder(folder, options);
  PALATE_ASSIGN_OR_RETURN(const c10::Device device, models::OpenDevice(options.device));
  PALATE_ASSIGN_OR_RETURN(const at::ScalarType guess, models::ParseDtype("auto", device));
  if (!models::DtypeNeedsRace(options.dtype, device))
    return LoadWith(folder, options, guess,
                    absl::StrCat("the type that ", device.str(), " favors"));

  const std::vector<std::string> folders = RacedFolders(folder, options);
  const std::string key = models::RaceKey(folders);
  if (const auto race = models::RememberedRace(key, options.race_file); race.has_value())
    return LoadWith(folder, options, race->winner(), race->Reason());
  if (models::WeightBytes(folders) > kMaxRacedBytes)
    return LoadWith(folder, options, guess, "not measured: too large to be loaded twice");
  return LoadFaster(folder, options, key);
}

}  // namespace

EmbeddingModel::EmbeddingModel(std::unique_ptr<const Encoder> encoder)
    : encoder_(std::move(encoder)) {}
EmbeddingModel::~EmbeddingModel() = default;

absl::StatusOr<std::shared_ptr<const EmbeddingModel>> EmbeddingModel::Load(
    const std::string& folder, const EmbeddingModelOptions& options) {
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<const Encoder> encoder, LoadChosen(folder, options));
  WarnOfAssumptions(encoder->info());
  return FromEncoder(std::move(encoder));
}

std::shared_ptr<const EmbeddingModel> EmbeddingModel::FromEncoder(
    std::unique_ptr<const Encoder> encoder) {
  return std::shared_ptr<const EmbeddingModel>(new EmbeddingModel(std::move(encoder)));
}

const ModelInfo& EmbeddingModel::info() const { return encoder_->info(); }

}  // namespace palate::embedding
