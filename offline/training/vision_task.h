// The image tower's training task: symmetric InfoNCE between pictures and the frozen text tower's
// vectors (CLIP, https://arxiv.org/abs/2103.00020; frozen text tower as in LiT,
// https://arxiv.org/abs/2111.07991).
//
// Pictures are drawn during training, each time in another pose. Their texts are captions of what
// they show ("a red porcelain mug"); the captions' vectors are computed once and cached in a file.
// Not thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/families/bert/bert.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "offline/demo/shop.h"
#include "offline/training/loop.h"

namespace palate::training {

struct VisionTaskOptions {
  uint64_t seed = 1;
  std::string text;   // the text tower's folder
  std::string cache;  // folder for the captions' vectors; created if needed
  // The shape of the model; it projects to the text tower's dimensions.
  int64_t image_size = 64;
  int64_t patch_size = 8;
  int64_t hidden_size = 128;
  int64_t intermediate_size = 384;
  int64_t num_layers = 4;
  int64_t num_heads = 4;
  int batch = 48;
  int products = 2500;  // distinct products, of several training shops
  int validation_products = 200;
};

struct CaptionedProducts {
  std::vector<demo::Product> products;
  at::Tensor captions;  // float32 [products, dimensions], unit length
};

// "a red porcelain mug"
std::string CaptionOf(const demo::Product& product);

// float32 [texts, dimensions], rows of unit length. Slow: runs the text tower on every text.
absl::StatusOr<at::Tensor> EncodeTexts(const models::SentenceEncoder& encoder,
                                       const std::vector<std::string>& texts);

// A product's picture as the services preprocess an upload: float32 [3, height, width] of the
// processor's output. `size` is the picture's width and height before preprocessing, in pixels;
// `variation` is that of demo::PictureOptions.
absl::StatusOr<at::Tensor> PixelsOf(const demo::Product& product, uint64_t variation, int size,
                                    const models::ImageProcessor& processor);

// The preprocessing of a tower that this task trains.
models::ImageProcessorConfig ProcessorConfigOf(int64_t image_size);

// The mean of the cross-entropies from images to texts and from texts to images. Row i of `images`
// belongs to row i of `texts`; both are float32 [n, dimensions] with rows of unit length. `scale`
// is a scalar. Returns a scalar.
at::Tensor SymmetricInfoNce(const at::Tensor& images, const at::Tensor& texts,
                            const at::Tensor& scale);

class VisionTask : public TrainingTask {
 public:
  static absl::StatusOr<std::unique_ptr<VisionTask>> Create(const VisionTaskOptions& options);

  std::vector<TrainedTensor> Tensors() override;
  absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) override;
  // Shares of the validation products: "kind", the nearest of the kinds' captions ("a mug") is the
  // right one; "r@1" and "r@10", the product's caption is the nearest or among the ten nearest.
  absl::StatusOr<Metrics> Validate() override;
  // Writes config.json, model.safetensors and preprocessor_config.json.
  absl::Status Save(const std::string& folder) override;

 private:
  VisionTask(const VisionTaskOptions& options, std::unique_ptr<models::VitModel> model,
             models::ImageProcessor processor)
      : options_(options), model_(std::move(model)), processor_(std::move(processor)) {}

  absl::StatusOr<at::Tensor> DrawBatch(const std::vector<demo::Product>& products,
                                       const std::vector<size_t>& indices, uint64_t seed) const;

  const VisionTaskOptions options_;
  std::unique_ptr<models::VitModel> model_;
  models::ImageProcessor processor_;
  at::Tensor log_scale_;  // scalar, trained; not part of the served model
  CaptionedProducts training_;
  CaptionedProducts validation_;
  at::Tensor kinds_;  // [kinds, dimensions]: captions of the kinds alone
};

}  // namespace palate::training
