// Where vision-language checkpoints keep their parts.
//
// Three layouts were published: "visual." beside "model." (Qwen2.5-VL), "model.visual." beside
// "model.language_model." (as transformers saves since 4.52, all of Qwen3-VL), and "visual." beside
// "language_model." (a model stored without its output matrix). Adapters carry the names of the
// code that trained them, whichever layout their base has.
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
// Starts of the names that are not the vision tower's.
inline std::vector<std::string> BesidesVision() {
  return {"model.language_model.", "language_model.", "model.embed_tokens.",
          "model.layers.",         "model.norm.",     "lm_head."};
}

}  // namespace palate::models
