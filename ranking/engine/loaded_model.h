// A loaded language model folder: decoder, tokenizer, fingerprint. Internal to ranking/engine;
// includes LibTorch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/decoder/decoder.h"
#include "ranking/engine/prompt_encoder.h"
#include "ranking/prompt.h"

namespace palate::ranking {

// Immutable after loading; thread-safe.
struct LoadedModel {
  std::shared_ptr<const models::DecoderModel> model;
  std::unique_ptr<PromptEncoder> encoder;
  PromptStyle style = PromptStyle::kBuiltIn;
  std::string fingerprint;  // 16 hex digits of weights, config, tokenizer and prompt style

  // Has the errors of LlmEngine::Load.
  static absl::StatusOr<LoadedModel> Load(const std::string& folder);
};

}  // namespace palate::ranking
