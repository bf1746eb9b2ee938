// A causal language model loaded from a folder: any decoder family (Qwen2, Qwen3, Llama), text-only
// or vision-language (Qwen2.5-VL, Qwen3-VL), with its tokenizer, chat template and image processor.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto lm, CausalLm::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const EncodedText prompt, lm->tokenizer().Encode("A red mug"));
//   const LmSequence sequence = {.ids = prompt.ids};
//   PALATE_RETURN_IF_ERROR(lm->Check(sequence));
//   PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> continuation, CatchTorch([&] {
//     const c10::InferenceMode inference;
//     return lm->Greedy(sequence, /*max_new_tokens=*/4);
//   }));
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
  std::string adapter = {};  // folder of a LoRA adapter to merge into the weights; empty for none
};

// One prompt. CausalLm::ExpandImages builds its ids.
struct LmSequence {
  std::vector<int64_t> ids = {};          // with one image placeholder per merged patch
  std::vector<ImagePatches> images = {};  // in the order of their placeholders
};

// The state of sequences that are being continued: their keys and values, and the next position of
// each (which differs from the number of tokens after an image). Created by CausalLm::NewCache. For
// one thread at a time.
struct LmCache {
  KvCache keys_values;
  std::vector<int64_t> next_positions;
};

// Immutable; thread-safe for inference (each thread needs its own LmCache). Methods that return
// tensors throw as ATen does: callers wrap them in CatchTorch (models/torch_status.h). Callers also
// set the InferenceMode.
class CausalLm {
 public:
  // `folder` may also hold a LoRA adapter whose adapter_config.json names its base (see
  // AdapterBaseFolder). Missing and unlisted weights, and unsupported config values, are errors.
  static absl::StatusOr<std::shared_ptr<const CausalLm>> Load(const std::string& folder,
                                                              const LmLoadOptions& options = {});

  ModelFamily family() const { return family_; }
  // Without an output matrix (see has_output()) if the folder was stored as an encoder.
  const DecoderModel& decoder() const { return *decoder_; }
  const std::shared_ptr<const DecoderModel>& shared_decoder() const { return decoder_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::shared_ptr<const Tokenizer>& shared_tokenizer() const { return tokenizer_; }
  // Null when the folder has none, and without vision: prompts of text models are fixed in code, so
  // that their folder's template is not read.
  const ChatTemplate* chat_template() const { return chat_template_.get(); }

  bool has_vision() const { return vision_ != nullptr; }
  // Null without vision.
  const VisionTower* vision() const { return vision_.get(); }
  const VlImageProcessor* image_processor() const { return image_processor_.get(); }
  // The image placeholder "<|image_pad|>"; -1 without vision.
  int64_t image_token_id() const { return image_token_id_; }

  // The base model's folder; differs from the loaded folder if that holds an adapter.
  const std::string& folder() const { return folder_; }
  // Hex SHA-256 over everything that determines the outputs: the digests of weights and adapter,
  // config, tokenizer and image processor files. Two models with the same digest and compute type
  // are equal. Reads every weight once (a second or two per GB).
  absl::StatusOr<std::string> Digest() const;

  // Repeats each image placeholder in `ids`, as a rendered chat template contains it, once per
  // merged patch of its image. InvalidArgument when the numbers of placeholders and images differ,
  // or when there are images without vision.
  absl::StatusOr<std::vector<int64_t>> ExpandImages(absl::Span<const int64_t> ids,
                                                    absl::Span<const ImagePatches> images) const;

  // InvalidArgument naming the reason when the sequence cannot be computed: it is empty, an id is
  // outside of the vocabulary, it exceeds the model's positions, an image has another patch size,
  // or the placeholders of each image are not as many as it needs, in one run.
  absl::Status Check(const LmSequence& sequence) const;

  // The positions for the rotary embedding: int64 [3, tokens] (temporal, height, width) with
  // vision, [tokens] without. `start` is the position of the first token. REQUIRES: Check(sequence)
  // is OK.
  at::Tensor Positions(const LmSequence& sequence, int64_t start = 0) const;

  // Hidden states after the last norm: [tokens of all sequences, hidden] in the compute type.
  // Sequences do not see each other. REQUIRES (here and below): `sequences` is not empty, and Check
  // is OK for each.
  at::Tensor Hidden(absl::Span<const LmSequence> sequences) const;
  // Hidden states of the last token of each sequence: float32 [sequences, hidden], on the CPU.
  at::Tensor LastHidden(absl::Span<const LmSequence> sequences) const;
  // The vision tower's output for all images of the sequences, in order. REQUIRES: there is at
  // least one image.
  VisionFeatures ImageFeatures(absl::Span<const LmSequence> sequences) const;

  // An empty cache for `batch` sequences of up to `capacity` tokens each.
  LmCache NewCache(int64_t batch, int64_t capacity) const;
  // The same as Hidden, continuing the sequences of `cache`: one element per sequence, appended to
  // it. For prefill and decoding. REQUIRES: no sequence exceeds the capacity.
  at::Tensor Hidden(absl::Span<const LmSequence> sequences, LmCache& cache) const;

  // The most likely continuation of `prompt`, decoded token by token with a cache: `max_new_tokens`
  // ids, or fewer if it ends with one of `stop_ids`.
  std::vector<int64_t> Greedy(const LmSequence& prompt, int64_t max_new_tokens,
                              absl::Span<const int64_t> stop_ids = {}) const;

 private:
  CausalLm() = default;
  absl::Status LoadWithVision(const Checkpoint& checkpoint, const LmLoadOptions& options);
  absl::Status CheckImages(const LmSequence& sequence) const;
  MropePositions PositionsFrom(const LmSequence& sequence, int64_t start) const;
  // The decoder's inputs for all sequences. `next_positions` has the first position of each
  // sequence and is advanced to the one after its last.
  DecoderInputs Inputs(absl::Span<const LmSequence> sequences,
                       std::vector<int64_t>& next_positions) const;

  ModelFamily family_ = ModelFamily::kQwen3;
  std::string folder_;
  std::string adapter_folder_;  // empty for none
  std::shared_ptr<const DecoderModel> decoder_;
  std::shared_ptr<const VisionTower> vision_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_template_;
  std::shared_ptr<const VlImageProcessor> image_processor_;
  int64_t image_token_id_ = -1;
};

}  // namespace palate::models
