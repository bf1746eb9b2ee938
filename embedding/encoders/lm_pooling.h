// Pools a language model's hidden states into one vector per sequence. Internal to embedding/.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"
#include "models/causal_lm/causal_lm.h"
#include "models/families/bert/sentence_layout.h"

namespace palate::embedding {

// Pools the states after the last norm: float32 [sequences, hidden] on the CPU, not normalized.
// Throws as ATen does.
at::Tensor PoolStates(const models::CausalLm& lm, absl::Span<const models::LmSequence> sequences,
                      models::TextPooling pooling);

}  // namespace palate::embedding
