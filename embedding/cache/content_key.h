// The content part of a cache key: all that a vector depends on apart from the model.
#pragma once

#include <string>

#include "embedding/embedder.h"

namespace palate::embedding {

// SHA-256 (32 raw bytes) of role, fields, images and instruction. Each part is hashed with its
// length, so that inputs of different parts have different digests.
std::string ContentDigest(const EmbedInput& input, const std::string& instruction);

}  // namespace palate::embedding
