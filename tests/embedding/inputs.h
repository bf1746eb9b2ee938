// Inputs shared by tests of embedding.
#pragma once

#include <string>

#include "embedding/embedder.h"

namespace palate::embedding {

inline EmbedInput Text(const std::string& text) { return {.fields = {text}, .images = {}}; }

}  // namespace palate::embedding
