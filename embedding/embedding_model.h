// An embedding model loaded from a folder. No LibTorch in this header.
//
// Usage:
//   EmbeddingModelOptions options;
//   options.dtype = "auto";
//   PALATE_ASSIGN_OR_RETURN(const auto model, EmbeddingModel::Load(folder, options));
//   const SpaceInfo* const image = model->info().FindSpace("image");
//   const bool embeds_images = image != nullptr && image->available;
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "embedding/model_info.h"

namespace palate::embedding {

class Encoder;

struct EmbeddingModelOptions {
  std::string dtype = "fp32";  // "fp32", "bf16", "fp16", or "auto": the fastest (see Load)
  std::string device = "cpu";  // "cpu", "cuda", "cuda:1", or "auto"
  // Folder of a LoRA adapter to merge; empty: none. A model folder may be an adapter, which names
  // its base.
  std::string adapter;
  // Longest pass of a decoder, in tokens; longer inputs are truncated. 0: the limit of the
  // checkpoint, but at most 8,192, as in the reference.
  int64_t max_text_tokens = 0;
  // Pixel budget of a vision-language model; 0: the family's (4,096 and 1,843,200).
  int64_t min_pixels = 0;
  int64_t max_pixels = 0;
  // File in which measurements for "auto" are remembered; empty: in this process only.
  std::string race_file = {};
};

// Immutable; thread-safe.
class EmbeddingModel {
 public:
  // The content of the folder decides the kind of model:
  //
  //   dual_encoder.json                a text and an image tower that share a space
  //   BERT                             a sentence encoder
  //   Qwen2, Qwen3, Llama              a decoder used as an encoder (such as Qwen3-Embedding)
  //   CLIP, SigLIP                     a dual encoder
  //   Qwen2.5-VL, Qwen3-VL             a vision-language model (such as Qwen3-VL-Embedding)
  //   adapter_config.json              the model that the adapter names, with the adapter merged
  //
  // "auto" takes bf16 or fp16 on a GPU and fp32 on a processor without instructions for bf16. On
  // one with them, a model of up to 2 GiB is loaded in both types, embeds a few inputs in each,
  // which takes less than a second for small models, and keeps the faster; ModelInfo::dtype_reason
  // says so. The outcome is remembered for the model and the processor. Larger models take bf16.
  //
  // Unimplemented names another family, or a feature that the family lacks (adapters, types). A
  // dual encoder whose vision folder has no weights loads as text only and logs this; corrupt
  // weights are an error.
  static absl::StatusOr<std::shared_ptr<const EmbeddingModel>> Load(
      const std::string& folder, const EmbeddingModelOptions& options = {});
  // Wraps an encoder that the caller created.
  static std::shared_ptr<const EmbeddingModel> FromEncoder(std::unique_ptr<const Encoder> encoder);
  ~EmbeddingModel();
  EmbeddingModel(const EmbeddingModel&) = delete;
  EmbeddingModel& operator=(const EmbeddingModel&) = delete;

  const ModelInfo& info() const;
  const Encoder& encoder() const { return *encoder_; }

 private:
  explicit EmbeddingModel(std::unique_ptr<const Encoder> encoder);

  const std::unique_ptr<const Encoder> encoder_;
};

}  // namespace palate::embedding
