// A causal language model as loaded from a folder: any decoder family (Qwen2, Qwen3, Llama), with
// or without eyes (Qwen2.5-VL, Qwen3-VL), with its tokenizer, chat template and image processor.
//
// The reference is transformers' AutoModelForCausalLM and AutoModelForImageTextToText in the same
// compute type.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/decoder/decoder.h"
#include "models/families/qwen_vl/positions.h"
#include "models/families/qwen_vl/vision_tower.h"
#include "models/image/vl_processor.h"
#include "models/registry.h"
#include "models/text/chat_template.h"
#include "models/text/tokenizer.h"

namespace palate::models {

struct LmLoadOptions {
  at::ScalarType dtype = at::kFloat;  // compute type: float32, bfloat16 or float16
  at::Device device = at::kCPU;
  std::string adapter = {};  // folder of a LoRA adapter to merge into the weights; empty means none
};

// One prompt. Build its ids with CausalLm::ExpandImages.
struct LmSequence {
  std::vector<int64_t> ids = {};  // image placeholders already expanded: one per merged patch
  std::vector<ImagePatches> images = {};  // in the order of their placeholders
};

// Where some sequences stand that are being continued: their keys and values, and the next position
// of each (which is not the number of tokens once an image was seen). Made by CausalLm::NewCache;
// used by one thread at a time.
struct LmCache {
  KvCache keys_values;
  std::vector<int64_t> next_positions;
};

// Immutable; thread-safe for inference (one LmCache per thread). The methods that return tensors
// call ATen, which throws: callers wrap them in CatchTorch (models/torch_status.h). They do not set
// InferenceMode; serving code does.
class CausalLm {
 public:
  // `folder` may also hold a LoRA adapter, whose adapter_config.json names its base (a path,
  // relative to the adapter's folder). Weights that the model does not use or lacks, and config
  // values that it does not compute, are errors.
  static absl::StatusOr<std::shared_ptr<const CausalLm>> Load(const std::string& folder,
                                                              const LmLoadOptions& options = {});

  ModelFamily family() const { return family_; }
  // Has no output matrix (has_output()) where the folder was stored as an encoder.
  const DecoderModel& decoder() const { return *decoder_; }
  const std::shared_ptr<const DecoderModel>& shared_decoder() const { return decoder_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::shared_ptr<const Tokenizer>& shared_tokenizer() const { return tokenizer_; }
  // Null when the folder has none.
  const ChatTemplate* chat_template() const { return chat_template_.get(); }

  bool has_vision() const { return vision_ != nullptr; }
  // Null without vision.
  const VisionTower* vision() const { return vision_.get(); }
  const VlImageProcessor* image_processor() const { return image_processor_.get(); }
  // The placeholder for images, "<|image_pad|>"; -1 without vision.
  int64_t image_token_id() const { return image_token_id_; }

  // The base model's folder, which is not the loaded one when that holds an adapter.
  const std::string& folder() const { return folder_; }
  // Hex SHA-256 over what makes the model compute what it computes: the digests of weights and
  // adapter, config, tokenizer and image processor files. Two models of equal digest and compute
  // type agree. Reads every weight once (a second or two per GB).
  absl::StatusOr<std::string> Digest() const;

  // `ids` hold one placeholder per image, as a rendered chat template does; each becomes as many as
  // its image has merged patches. InvalidArgument when placeholders and images differ in number, or
  // when there are images without vision.
  absl::StatusOr<std::vector<int64_t>> ExpandImages(absl::Span<const int64_t> ids,
                                                    absl::Span<const ImagePatches> images) const;

  // Whether a sequence can be computed: not empty, ids within the vocabulary, no longer than the
  // model's positions, images of the model's patch size, as many placeholders as the images need
  // and each image's in one run. InvalidArgument otherwise.
  absl::Status Check(const LmSequence& sequence) const;

  // Positions of the rotary embedding: int64 [3, tokens] (temporal, height, width) with vision,
  // [tokens] without. `start` is the position of the first token. REQUIRES: Check(sequence) holds.
  at::Tensor Positions(const LmSequence& sequence, int64_t start = 0) const;

  // Hidden states after the last norm: [tokens of all sequences, hidden] in the compute type.
  // Sequences do not see each other. REQUIRES (here and below): `sequences` is not empty, and Check
  // holds for each.
  at::Tensor Hidden(absl::Span<const LmSequence> sequences) const;
  // Those of the last token of each sequence: float32 [sequences, hidden], on the CPU.
  at::Tensor LastHidden(absl::Span<const LmSequence> sequences) const;
  // The vision tower's output for all images of the sequences in order. REQUIRES: there is one.
  VisionFeatures ImageFeatures(absl::Span<const LmSequence> sequences) const;

  // An empty cache for `batch` sequences of up to `capacity` tokens each.
  LmCache NewCache(int64_t batch, int64_t capacity) const;
  // As Hidden, continuing the sequences of `cache`: one element each, appended to it. Prefill and
  // decoding alike. REQUIRES: no sequence outgrows the capacity.
  at::Tensor Hidden(absl::Span<const LmSequence> sequences, LmCache& cache) const;

  // The most likely continuation of `prompt`, token by token through a cache: `max_new_tokens` ids,
  // or fewer when one of `stop_ids` comes, which is then the last.
  std::vector<int64_t> Greedy(const LmSequence& prompt, int64_t max_new_tokens,
                              absl::Span<const int64_t> stop_ids = {}) const;

 private:
  CausalLm() = default;
  absl::Status LoadWithVision(const Checkpoint& checkpoint, const LmLoadOptions& options);
  absl::Status CheckImages(const LmSequence& sequence) const;
  MropePositions PositionsFrom(const LmSequence& sequence, int64_t start) const;
  // What the decoder reads for all sequences. `next_positions` holds the first position of each and
  // gets the one after its last.
  DecoderInputs Inputs(absl::Span<const LmSequence> sequences,
                       std::vector<int64_t>& next_positions) const;

  ModelFamily family_ = ModelFamily::kQwen3;
  std::string folder_;
  std::string adapter_folder_;  // empty without one
  std::shared_ptr<const DecoderModel> decoder_;
  std::shared_ptr<const VisionTower> vision_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_template_;
  std::shared_ptr<const VlImageProcessor> image_processor_;
  int64_t image_token_id_ = -1;
};

}  // namespace palate::models
