// From the features of an EfficientNet-Lite to the space of a sentence encoder, by way of words.
//
// The vector of a picture is the mean of word vectors, weighted by how likely the words apply
// (ConSE, https://arxiv.org/abs/1312.5650), so that any text can find it. The words are the
// classifier's classes, the kinds of goods that the head was trained on, colors and patterns.
// What the kinds do not cover keeps to the classes: the share of the kinds is how familiar the
// classes are that the picture resembles. Drawings take another way, a linear map.
//
// Two pictures of the same words are told apart by their look: principal components of the features
// take the place of the directions in which texts hardly reach, so that matches with texts stay.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto head, ConseHead::Load(checkpoint));
//   const std::vector<float> colors = head->colors().Shares(image);
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, CatchTorch([&] {
//     const c10::InferenceMode inference;
//     const at::Tensor map = tower->FeatureMap(pixels);
//     return head->Embed(map, tower->Logits(map.mean({2, 3})), shares);
//   }));
//
// The folder holds config.json with "model_type": "conse_head", model.safetensors and the
// preprocessor_config.json that the head was trained with. docs/formats.md lists the tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/families/conse/color_words.h"
#include "models/families/efficientnet/efficientnet.h"

namespace palate::models {

struct ConseHeadConfig {
  int64_t dimensions = 0;             // of the text space
  int64_t num_classes = 0;            // of the tower's classifier
  double temperature = 0;             // that the classifier's logits are divided by
  double class_share = 0;             // of the classes in the vector of a familiar picture
  int64_t detail_components = 0;      // of the look
  double color_softness = 0;          // of ColorWords
  std::vector<std::string> kinds;     // at least one
  std::vector<ColorWord> colors;      // at least one
  std::vector<std::string> patterns;  // at least one

  // Reads config.json. InvalidArgument for missing, wrong or out-of-range keys, Unimplemented for
  // another model_type.
  static absl::StatusOr<ConseHeadConfig> FromJson(const JsonConfig& config);
};

// Immutable and thread-safe.
class ConseHead {
 public:
  // Uses only the device of `options`; computes in float32. Errors as FromJson, and InvalidArgument
  // listing tensors that are missing, of another shape or not of this model.
  static absl::StatusOr<std::shared_ptr<const ConseHead>> Load(const Checkpoint& checkpoint,
                                                               const LoadOptions& options = {});

  const ConseHeadConfig& config() const { return config_; }
  const ColorWords& colors() const { return color_words_; }

  // `feature_map` is the tower's, [batch, 1280, height, width]; `logits` are those of its mean over
  // all positions, [batch, num_classes]; `color_shares` those of the pictures, [batch, colors].
  // Float32 [batch, dimensions] on the head's device, rows of unit length. Throws as ATen does.
  at::Tensor Embed(const at::Tensor& feature_map, const at::Tensor& logits,
                   const at::Tensor& color_shares) const;

 private:
  ConseHead(ConseHeadConfig config, ColorWords color_words)
      : config_(std::move(config)), color_words_(std::move(color_words)) {}
  ParameterList Parameters();

  at::Tensor AddLook(const at::Tensor& words, const at::Tensor& features) const;
  at::Tensor Subject(const at::Tensor& grid, const at::Tensor& logits) const;
  at::Tensor Photograph(const at::Tensor& grid, const at::Tensor& logits,
                        const at::Tensor& color_shares, const at::Tensor& features) const;

  const ConseHeadConfig config_;
  const ColorWords color_words_;

  // K kinds, W colors, P patterns, D dimensions. The vectors are those of the words in the text
  // space, scaled by their weight.
  at::Tensor class_vectors_;        // [num_classes, D]
  at::Tensor class_familiarity_;    // [num_classes]
  at::Tensor kind_weight_;          // [K, 6 * 1280]
  at::Tensor kind_bias_;            // [K]
  at::Tensor kind_vectors_;         // [K, D]
  at::Tensor color_vectors_;        // [W, D]
  at::Tensor pattern_weight_;       // [P, 1280]
  at::Tensor pattern_bias_;         // [P]
  at::Tensor pattern_vectors_;      // [P, D]
  at::Tensor drawing_weight_;       // [D, 1280 + W]
  at::Tensor drawing_bias_;         // [D]
  at::Tensor drawing_gate_weight_;  // [1280]
  at::Tensor drawing_gate_bias_;    // [1]
  at::Tensor detail_weight_;        // [detail_components, 1280]
  at::Tensor detail_bias_;          // [detail_components]
  at::Tensor detail_directions_;    // [D, detail_components], columns of unit length, orthogonal
};

}  // namespace palate::models
