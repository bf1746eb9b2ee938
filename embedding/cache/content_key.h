// What an answer is remembered under: everything that its vectors depend on, apart from the model.
#pragma once

#include <string>

#include "embedding/embedder.h"

namespace palate::embedding {

// SHA-256 (32 raw bytes) over role, fields, pictures and instruction. Inputs that differ in any of
// them differ here, wherever the texts are cut: every part goes in with its length.
std::string ContentDigest(const EmbedInput& input, const std::string& instruction);

}  // namespace palate::embedding
