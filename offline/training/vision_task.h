// The image tower's training task: symmetric InfoNCE between pictures and the locked text tower's
// vectors (CLIP, arXiv 2103.00020, with the text side frozen as in LiT, arXiv 2111.07991).
//
// Pictures are drawn on the fly, each time in another pose. Their texts are captions of what is to
// be seen ("a red porcelain mug"), whose vectors are computed once and kept in a file.
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
  std::string cache;  // folder for the text vectors; made when absent
  // The shape of a fresh model; the projection has the text tower's dimensions.
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

// Unit vectors of texts, one row each. Slow: a forward of the text tower.
absl::StatusOr<at::Tensor> EncodeTexts(const models::SentenceEncoder& encoder,
                                       const std::vector<std::string>& texts);

// The pixels of a product's picture as the services see an uploaded one, of that size before
// preprocessing: float32 [3, size, size].
absl::StatusOr<at::Tensor> PixelsOf(const demo::Product& product, uint64_t variation, int size,
                                    const models::ImageProcessor& processor);

// The preprocessing that a tower trained here uses.
models::ImageProcessorConfig ProcessorConfigOf(int64_t image_size);

// Mean of both directions' cross-entropies; row i of both belongs together. Rows are unit vectors;
// `scale` is a scalar.
at::Tensor SymmetricInfoNce(const at::Tensor& images, const at::Tensor& texts,
                            const at::Tensor& scale);

class VisionTask : public TrainingTask {
 public:
  static absl::StatusOr<std::unique_ptr<VisionTask>> Create(const VisionTaskOptions& options);

  std::vector<TrainedTensor> Tensors() override;
  absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) override;
  // Over validation products: "kind", how often the nearest of all kinds' captions ("a mug") is the
  // right one; "r@1" and "r@10", how often the product's own caption is the nearest or among the
  // ten nearest.
  absl::StatusOr<Metrics> Validate() override;
  // config.json, model.safetensors, preprocessor_config.json.
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
