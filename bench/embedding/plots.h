// The text that the encoder benchmark embeds: plots of films, tokenized by us, in batches of like
// length.
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

// As safetensors, for the peer: ids end to end, the texts' lengths, and the batches' numbers of
// texts, all int64.
absl::Status WriteBatches(const TextBatches& batches, const std::string& path);

}  // namespace palate::bench
