// The texts that the encoder benchmark embeds: movie plots, tokenized by our code, in batches of
// similar length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/families/bert/bert.h"

namespace palate::bench {

struct TextBatches {
  std::vector<std::vector<std::vector<int64_t>>> batches;  // from the longest texts to the shortest
  int64_t texts = 0;
  int64_t tokens = 0;  // without padding
};

// `count` plots spread evenly over data/movielens/plots.dat of `shared`, in batches of
// `batch_size`. NotFound without the file.
absl::StatusOr<TextBatches> LoadPlots(const std::string& shared,
                                      const models::SentenceEncoder& encoder, size_t count,
                                      size_t batch_size);

// Writes a safetensors file for the peer: concatenated ids, the lengths of the texts, and the
// numbers of texts in the batches, all int64.
absl::Status WriteBatches(const TextBatches& batches, const std::string& path);

}  // namespace palate::bench
