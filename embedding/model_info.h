// Describes an embedding model, its input templates and the spaces that it serves. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace palate::embedding {

// Distribution of the inner products of unrelated pairs in a space. (score - mean) / deviation
// makes scores of different spaces comparable.
struct Calibration {
  double mean = 0;
  double deviation = 1;  // above 0
};

// Vectors are compared only if name and fingerprint agree.
//
// A fingerprint is a digest of everything that determines a vector: weights, LoRA adapter,
// tokenizer, config, pooling, the templates around an input, the input length limit, the pixel
// budget, and for `fused` how it is computed. It excludes
//
//   - the type and device of the computation: a bf16 vector has a cosine of at least 0.999 to the
//     fp32 one and finds the same neighbors. With `auto`, machines of one fleet choose different
//     types, and a catalog must not be embedded again because another machine answers;
//   - the instruction of a request, which only queries have, and queries are never stored;
//   - the calibration, which does not affect vectors.
struct SpaceInfo {
  std::string name;         // "text", "image" or "fused"
  std::string fingerprint;  // of vectors with all dimensions; see FingerprintFor
  bool available = false;   // false if the tower has no weights
  Calibration calibration;
  // Of unrelated texts and images, for `image` where a query in words is compared with images;
  // absent: nobody measured it.
  std::optional<Calibration> text_calibration = {};
};

struct ModelInfo {
  std::string name;
  std::string folder;
  // "dual_encoder", or the model family: "bert", "qwen3", "clip", "qwen3_vl", …
  std::string family;
  // Matryoshka: any prefix is a valid vector once normalized.
  int dimensions = 0;
  // "mean", "cls", "last_token", or "head" if the family pools with trained weights.
  std::string pooling;
  // Whether no file of the folder states the pooling, so that `pooling` is only the family's usual
  // one: mean for "bert" (as sentence-transformers assumes), last_token for decoders.
  bool pooling_is_assumed = false;
  // Keys that config.json sets but that no reader of models/ knows; see UnknownConfigKeys.
  std::vector<std::string> unknown_config_keys;

  int64_t max_text_tokens = 0;  // per pass, special tokens included
  // Side of the square input of the image tower, in pixels; 0 without such a tower.
  int image_size = 0;
  int64_t min_pixels = 0;  // of models that keep the aspect ratio; 0 otherwise
  int64_t max_pixels = 0;

  // The texts around queries and items; {text}, {instruction} and {images} are replaced by the
  // input's values.
  std::string query_template = "{text}";
  std::string item_template = "{text}";
  // Replaces {instruction} in items and in requests that give none.
  std::string default_instruction;

  std::string weights_digest;  // hex SHA-256 of the loaded weights, adapter included
  std::string adapter;         // folder of the merged LoRA adapter; empty: none
  std::string dtype = "fp32";  // of the computation: "fp32", "bf16" or "fp16"
  std::string dtype_reason;    // why "auto" took it; empty where the type was given
  std::string device = "cpu";

  std::vector<SpaceInfo> spaces;

  // Null if there is no such space.
  const SpaceInfo* FindSpace(const std::string& space) const;
};

// Truncated vectors are not comparable with whole ones, so their fingerprint includes the number of
// dimensions: "3f2a…@128".
std::string FingerprintFor(const SpaceInfo& space, int dimensions, int model_dimensions);

}  // namespace palate::embedding
