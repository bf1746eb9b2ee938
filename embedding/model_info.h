// What an embedding model is, how it reads its inputs, and which spaces it serves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace palate::embedding {

// How the inner products of unrelated pairs are distributed in a space, so that scores of different
// spaces can be compared: (score - mean) / deviation.
struct Calibration {
  double mean = 0;
  double deviation = 1;  // above 0
};

// Vectors are compared only when name and fingerprint agree.
//
// A fingerprint is a digest of everything that decides what a vector means: weights, LoRA adapter,
// tokenizer, config, pooling, the texts put around an input, the longest input, the pixel budget,
// and for `fused` how it is made. Left out are
//   - the type and device of the computation: a vector in bf16 lies within a cosine of 0.999 of the
//   one in fp32 and is
//     compared with the same neighbors. With `auto`, processors of one fleet choose different
//     types, and a catalog must not be embedded anew because another machine answers;
//   - the instruction of a single request, which only queries carry, and queries are never stored;
//   - the calibration, which changes no vector.
struct SpaceInfo {
  std::string name;         // "text", "image" or "fused"
  std::string fingerprint;  // of vectors with the model's own dimensions; see FingerprintFor
  bool available = false;   // false when the tower has no weights
  Calibration calibration;
};

struct ModelInfo {
  std::string name;
  std::string folder;
  std::string family;  // "dual_encoder", or the family of the folder: "bert", "qwen3", "clip",
                       // "qwen3_vl", …
  int dimensions =
      0;  // Matryoshka: any prefix may be asked for, which is cut off and then normalized
  std::string pooling;  // "mean", "cls", "last_token"; "head" where the family pools through
                        // weights of its own

  int64_t max_text_tokens = 0;  // of one pass, special tokens included
  int image_size = 0;  // pixels on each side of what the image tower sees; 0 without one, or when
                       // pictures keep their shape
  int64_t min_pixels = 0;  // the budget of a model that lets pictures keep their shape; 0 otherwise
  int64_t max_pixels = 0;

  // What the model reads for a query and for an item: {text}, {instruction} and {images} stand for
  // the input's own.
  std::string query_template = "{text}";
  std::string item_template = "{text}";
  std::string default_instruction;  // stands for {instruction} where a request gives none, and in
                                    // every item

  std::string weights_digest;  // hex SHA-256 of what was loaded, adapter included
  std::string adapter;         // folder of the LoRA adapter that was merged; empty: none
  std::string dtype = "fp32";  // of the computation: "fp32", "bf16" or "fp16"
  std::string device = "cpu";

  std::vector<SpaceInfo> spaces;

  // Null when there is no such space.
  const SpaceInfo* FindSpace(const std::string& space) const;
};

// Vectors cut to fewer dimensions are not comparable with whole ones, so their fingerprint says the
// cut: "3f2a…@128".
std::string FingerprintFor(const SpaceInfo& space, int dimensions, int model_dimensions);

}  // namespace palate::embedding
