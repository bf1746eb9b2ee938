// Keys of a config.json beyond those that a family reads: which of them change what a model
// computes, which change nothing, and which are unknown. Without LibTorch.
//
// The reference ignores keys that its class does not declare. Palate does not know whether such a
// key was meant: a known meaning is refused, and an unknown one is reported.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/checkpoint/json_config.h"

namespace palate::models {

// Unimplemented naming key and value when the config, or a config nested in it, sets a key that
// changes a model's numbers and that no family here computes: caps on logits, ALiBi, relative
// positions, experts, scaling of embeddings or logits, quantized weights. A key that is absent,
// null, false, 0, empty, or the value that changes nothing is no error. Every family calls this
// before it reads its own keys.
absl::Status RefuseUnsupportedKeys(const JsonConfig& config);

// The keys that are set (to anything but null, false, 0 or empty) and that neither the family of
// "model_type" reads nor are known to change nothing, with the names of nested configs in front:
// "text_config.some_factor". Sorted. Callers tell the operator of them.
std::vector<std::string> UnknownConfigKeys(const JsonConfig& config);

}  // namespace palate::models
