// Prefixes of the parts in vision-language checkpoints.
//
// Three layouts were published: "visual." with "model." (Qwen2.5-VL), "model.visual." with
// "model.language_model." (saved by transformers since 4.52, all of Qwen3-VL), and "visual." with
// "language_model." (a model stored without its output matrix). Adapters use the names of the code
// that trained them, independently of the layout of their base.
#pragma once

#include <string>
#include <vector>

namespace palate::models {

// Before "patch_embed.proj.weight".
inline std::vector<std::string> VisionPrefixes() { return {"model.visual.", "visual."}; }
// Before "embed_tokens.weight".
inline std::vector<std::string> DecoderPrefixes() {
  return {"model.language_model.", "language_model.", "model."};
}
// Prefixes of tensors that do not belong to the vision tower.
inline std::vector<std::string> BesidesVision() {
  return {"model.language_model.", "language_model.", "model.embed_tokens.",
          "model.layers.",         "model.norm.",     "lm_head."};
}

}  // namespace palate::models
