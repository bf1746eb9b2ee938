// An embedding model as loaded from a folder: the pair (pair.json with a text and a vision folder), or a plain sentence
// encoder (text only).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "embedding/model_info.h"
#include "models/bert/bert.h"
#include "models/image/processor.h"
#include "models/vit/vit.h"

namespace palate::embedding {

// How much each modality counts in the fused vector: positive, any scale.
struct FusionWeights {
  double text = 0.5;
  double image = 0.5;
};

// An immutable snapshot; thread-safe.
class EmbeddingModel {
 public:
  // A folder with pair.json, or a sentence encoder's folder. A pair whose vision folder holds no weights loads as text
  // only, and says so in the log; corrupt weights are an error.
  static absl::StatusOr<std::shared_ptr<const EmbeddingModel>> Load(const std::string& folder);

  const ModelInfo& info() const { return info_; }
  const models::SentenceEncoder& text() const { return *text_; }
  bool has_vision() const { return vision_ != nullptr; }
  // REQUIRES: has_vision().
  const models::VitModel& vision() const { return *vision_; }
  const models::ImageProcessor& image_processor() const { return *image_processor_; }
  models::VitPooling vision_pooling() const { return vision_pooling_; }
  const FusionWeights& fusion() const { return fusion_; }

 private:
  EmbeddingModel() = default;
  absl::Status LoadText(const std::string& folder);
  absl::Status LoadPair(const std::string& folder);
  absl::Status LoadVision(const std::string& folder);
  void DescribeSpaces(const Calibration& text, const Calibration& image);

  ModelInfo info_;
  std::shared_ptr<const models::SentenceEncoder> text_;
  std::shared_ptr<const models::VitModel> vision_;
  std::unique_ptr<models::ImageProcessor> image_processor_;
  models::VitPooling vision_pooling_ = models::VitPooling::kCls;
  std::string vision_digest_;
  FusionWeights fusion_;
};

}  // namespace palate::embedding
