// An embedding model as loaded from a folder. No LibTorch in this header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "embedding/model_info.h"

namespace palate::embedding {

class Encoder;

struct EmbeddingModelOptions {
  std::string dtype = "fp32";  // "fp32", "bf16", "fp16", or "auto": what the device accelerates
  std::string device = "cpu";  // "cpu", "cuda", "cuda:1", or "auto"
  // Folder of a LoRA adapter to merge; empty: none. A model folder that is an adapter itself names
  // its base.
  std::string adapter;
  // Longest pass of a decoder; inputs are cut there. 0: the checkpoint's own limit, but at most
  // 8,192, as its reference does.
  int64_t max_text_tokens = 0;
  // Of a vision-language model; 0: its family's (4,096 and 1,843,200).
  int64_t min_pixels = 0;
  int64_t max_pixels = 0;
};

// An immutable snapshot; thread-safe.
class EmbeddingModel {
 public:
  // What the folder holds decides:
  //   dual_encoder.json                a text and an image tower that share a space
  //   BERT                             a sentence encoder
  //   Qwen2, Qwen3, Llama              a decoder used as an encoder (Qwen3-Embedding and its like)
  //   CLIP, SigLIP                     a dual encoder
  //   Qwen2.5-VL, Qwen3-VL             a vision-language model (Qwen3-VL-Embedding and its like)
  //   adapter_config.json              the model that the adapter names, with the adapter
  // Unimplemented naming another family, or what the family cannot do (adapters, types). A dual
  // encoder whose vision folder holds no weights loads as text only, and says so in the log;
  // corrupt weights are an error.
  static absl::StatusOr<std::shared_ptr<const EmbeddingModel>> Load(
      const std::string& folder, const EmbeddingModelOptions& options = {});
  // Around an encoder that the caller made.
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
