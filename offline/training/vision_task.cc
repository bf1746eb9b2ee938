#include "offline/training/vision_task.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/checkpoint/parameters.h"
#include "models/image/image.h"
#include "offline/demo/picture.h"
#include "offline/demo/random.h"
#include "offline/demo/vocabulary.h"
#include "offline/training/splits.h"

namespace palate::training {
namespace {

constexpr double kFirstScale = 14.3;    // 1 / 0.07
constexpr double kMaxLogScale = 4.605;  // a scale of 100
constexpr size_t kEncodeChunk = 64;
constexpr int kServedPictureSize = 224;
// The file of the captions' vectors in the cache folder.
constexpr char kVectorsFile[] = "text_vectors.safetensors";

bool StartsWithVowel(const std::string& word) {
  return std::string("aeiou").find(word.front()) != std::string::npos;
}

std::vector<demo::Product> DrawProducts(Split split, uint64_t seed, int count) {
  std::vector<demo::Product> products;
  for (uint64_t number = 0; static_cast<int>(products.size()) < count; ++number) {
    demo::ShopOptions options = ShopOf(split, seed, number);
    options.num_shoppers = 0;
    const absl::StatusOr<demo::Shop> shop = demo::GenerateShop(options);
    if (!shop.ok()) break;

    products.insert(products.end(), shop->products.begin(), shop->products.end());
  }
  if (static_cast<int>(products.size()) > count) products.resize(static_cast<size_t>(count));
  return products;
}

absl::StatusOr<CaptionedProducts> Describe(const models::SentenceEncoder& encoder,
                                           std::vector<demo::Product> products) {
  std::vector<std::string> captions;
  for (const demo::Product& product : products) captions.push_back(CaptionOf(product));

  PALATE_ASSIGN_OR_RETURN(at::Tensor vectors, EncodeTexts(encoder, captions));
  return CaptionedProducts{std::move(products), std::move(vectors)};
}

// Like Describe, but caches the vectors in a file. The cached vectors are used only for the same
// text tower, number of products, and first and last title.
absl::StatusOr<CaptionedProducts> DescribeCached(const models::SentenceEncoder& encoder,
                                                 std::vector<demo::Product> products,
                                                 const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot create ", folder, ": ", error.message()));

  const std::string path = absl::StrCat(folder, "/", kVectorsFile);
  const std::string key = absl::StrCat(encoder.digest(), "/", products.front().item.title, "/",
                                       products.back().item.title, "/", products.size());

  if (models::FileExists(path)) {
    PALATE_ASSIGN_OR_RETURN(auto tensors, models::LoadTensors(path));
    if (const auto found = tensors.find(key); found != tensors.end())
      return CaptionedProducts{std::move(products), found->second};
  }

  spdlog::info("embedding the captions of {} products", products.size());
  PALATE_ASSIGN_OR_RETURN(CaptionedProducts described, Describe(encoder, std::move(products)));
  PALATE_RETURN_IF_ERROR(models::SaveTensors({{key, described.captions}}, path));
  return described;
}

at::Tensor Normalized(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace

std::string CaptionOf(const demo::Product& product) {
  const std::string pattern = product.pattern == "plain" ? "" : absl::StrCat(product.pattern, " ");
  const std::string words =
      absl::StrCat(product.color, " ", pattern, product.material, " ", product.kind);
  if (demo::FindKind(product.kind).plural) return words;
  return absl::StrCat(StartsWithVowel(words) ? "an " : "a ", words);
}

absl::StatusOr<at::Tensor> EncodeTexts(const models::SentenceEncoder& encoder,
                                       const std::vector<std::string>& texts) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> rows;
  for (size_t begin = 0; begin < texts.size(); begin += kEncodeChunk) {
    std::vector<std::vector<int64_t>> sequences;
    for (size_t i = begin; i < std::min(texts.size(), begin + kEncodeChunk); ++i) {
      PALATE_ASSIGN_OR_RETURN(models::EncodedText encoded, encoder.Tokenize(texts[i]));
      sequences.push_back(std::move(encoded.ids));
    }

    PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, encoder.Encode(sequences));
    // Autograd needs a copy, because it does not accept tensors that were computed for inference.
    // Not every text tower normalizes its vectors.
    rows.push_back(Normalized(vectors.clone()));
  }
  return at::cat(rows).contiguous();
}

absl::StatusOr<at::Tensor> PixelsOf(const demo::Product& product, uint64_t variation, int size,
                                    const models::ImageProcessor& processor) {
  demo::PictureOptions options;
  options.size = size;
  options.variation = variation;

  PALATE_ASSIGN_OR_RETURN(demo::RgbPicture picture, demo::DrawRgbPicture(product, options));
  models::Image image;
  image.width = image.height = picture.size;
  image.rgb = std::move(picture.pixels);
  return processor.Process(image);
}

models::ImageProcessorConfig ProcessorConfigOf(int64_t image_size) {
  models::ImageProcessorConfig config;
  config.resize_height = config.resize_width = image_size;
  config.resample = models::ImageProcessorConfig::Resample::kBilinear;
  config.mean = {0.5, 0.5, 0.5};
  config.std = {0.5, 0.5, 0.5};
  return config;
}

at::Tensor SymmetricInfoNce(const at::Tensor& images, const at::Tensor& texts,
                            const at::Tensor& scale) {
  const at::Tensor logits = at::matmul(images, texts.t()) * scale;
  const at::Tensor own = at::arange(images.size(0), at::kLong);
  return 0.5 * (at::cross_entropy_loss(logits, own) + at::cross_entropy_loss(logits.t(), own));
}

absl::StatusOr<std::unique_ptr<VisionTask>> VisionTask::Create(const VisionTaskOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto encoder, models::SentenceEncoder::Load(options.text));

  models::VitConfig config;
  config.layout = models::VitConfig::Layout::kClipVision;
  config.image_size = options.image_size;
  config.patch_size = options.patch_size;
  config.hidden_size = options.hidden_size;
  config.intermediate_size = options.intermediate_size;
  config.num_layers = options.num_layers;
  config.num_heads = options.num_heads;
  config.projection_dim = encoder->dimensions();
  config.activation = models::VitConfig::Activation::kGelu;

  PALATE_ASSIGN_OR_RETURN(auto model, models::VitModel::CreateRandom(config, options.seed));
  PALATE_ASSIGN_OR_RETURN(auto processor,
                          models::ImageProcessor::Create(ProcessorConfigOf(options.image_size)));

  std::unique_ptr<VisionTask> task(new VisionTask(options, std::move(model), std::move(processor)));
  task->log_scale_ = at::full({}, std::log(kFirstScale)).set_requires_grad(true);

  PALATE_ASSIGN_OR_RETURN(
      task->training_,
      DescribeCached(*encoder, DrawProducts(Split::kTraining, options.seed, options.products),
                     options.cache));
  PALATE_ASSIGN_OR_RETURN(task->validation_,
                          Describe(*encoder, DrawProducts(Split::kValidation, options.seed,
                                                          options.validation_products)));

  std::vector<std::string> kinds;
  for (const demo::KindWord& kind : demo::Kinds())
    kinds.push_back(kind.plural ? kind.name : absl::StrCat("a ", kind.name));
  PALATE_ASSIGN_OR_RETURN(task->kinds_, EncodeTexts(*encoder, kinds));

  return task;
}

std::vector<TrainedTensor> VisionTask::Tensors() {
  std::vector<TrainedTensor> tensors;
  for (const models::Parameter& parameter : model_->Parameters())
    tensors.push_back({parameter.name, *parameter.tensor});
  tensors.push_back({"log_scale", log_scale_});
  return tensors;
}

absl::StatusOr<at::Tensor> VisionTask::DrawBatch(const std::vector<demo::Product>& products,
                                                 const std::vector<size_t>& indices,
                                                 uint64_t seed) const {
  demo::Random random(seed);
  std::vector<at::Tensor> pixels;
  for (const size_t i : indices) {
    const int size =
        static_cast<int>(options_.image_size + static_cast<int64_t>(random.Index(130)));
    PALATE_ASSIGN_OR_RETURN(at::Tensor one,
                            PixelsOf(products[i], random.Next() >> 32, size, processor_));
    pixels.push_back(std::move(one));
  }

  return at::stack(pixels);
}

absl::StatusOr<MicroBatch> VisionTask::ComputeLoss(int64_t index) {
  demo::Random random =
      demo::Random::ForPart(options_.seed, "vision batch", static_cast<uint64_t>(index));
  std::vector<size_t> chosen(training_.products.size());
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = i;

  // A partial Fisher-Yates shuffle.
  const size_t batch = std::min(chosen.size(), static_cast<size_t>(options_.batch));
  for (size_t i = 0; i < batch; ++i)
    std::swap(chosen[i], chosen[i + random.Index(chosen.size() - i)]);
  chosen.resize(batch);

  PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels,
                          DrawBatch(training_.products, chosen, random.Next()));
  const at::Tensor rows = at::empty({static_cast<int64_t>(batch)}, at::kLong);
  std::copy(chosen.begin(), chosen.end(), rows.data_ptr<int64_t>());

  const at::Tensor images = Normalized(model_->Embed(pixels));
  const at::Tensor scale = log_scale_.clamp_max(kMaxLogScale).exp();

  MicroBatch micro;
  micro.loss = SymmetricInfoNce(images, training_.captions.index_select(0, rows), scale);
  micro.tokens = static_cast<int64_t>(batch) * model_->config().num_patches();
  micro.metrics = {{"scale", scale.item<double>()}};
  return micro;
}

absl::StatusOr<Metrics> VisionTask::Validate() {
  const at::NoGradGuard no_grad;
  const int64_t n = static_cast<int64_t>(validation_.products.size());

  std::vector<at::Tensor> rows;
  for (const demo::Product& product : validation_.products) {
    PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels,
                            PixelsOf(product, 0, kServedPictureSize, processor_));
    rows.push_back(Normalized(model_->Embed(pixels.unsqueeze(0))));
  }

  const at::Tensor images = at::cat(rows);
  const at::Tensor nearest_kind = at::matmul(images, kinds_.t()).argmax(1);
  const at::Tensor scores = at::matmul(images, validation_.captions.t());
  const at::Tensor own = scores.diagonal().unsqueeze(1);
  const at::Tensor rank = (scores > own).sum(1);  // captions nearer than the product's own

  std::map<std::string, int64_t> kind_index;
  for (size_t i = 0; i < demo::Kinds().size(); ++i)
    kind_index[demo::Kinds()[i].name] = static_cast<int64_t>(i);

  double kind = 0, first = 0, ten = 0;
  for (int64_t i = 0; i < n; ++i) {
    kind += nearest_kind.data_ptr<int64_t>()[i] ==
            kind_index[validation_.products[static_cast<size_t>(i)].kind];
    first += rank.data_ptr<int64_t>()[i] == 0;
    ten += rank.data_ptr<int64_t>()[i] < 10;
  }

  const double count = static_cast<double>(n);
  return Metrics{{"kind", kind / count}, {"r@1", first / count}, {"r@10", ten / count}};
}

absl::Status VisionTask::Save(const std::string& folder) {
  PALATE_RETURN_IF_ERROR(model_->Save(folder));
  return models::WriteFileAtomically(absl::StrCat(folder, "/preprocessor_config.json"),
                                     processor_.config().ToJson().dump(2) + "\n");
}

}  // namespace palate::training
