// From one input to its passes: checking it, decoding its pictures, composing and tokenizing its
// texts. Internal to embedding/.
#pragma once

#include <cstdint>
#include <semaphore>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "embedding/embed_call.h"
#include "embedding/embedder.h"
#include "embedding/encoder.h"

namespace palate::embedding {

// Thread-safe. Borrows both arguments.
class InputPreparer {
 public:
  InputPreparer(const Encoder& encoder, const EmbedderOptions& options)
      : encoder_(encoder), options_(options), decodes_(options.max_concurrent_decodes) {}

  // Tokens that an input will cost, by the sizes of its texts and the headers of its pictures; 0
  // for what is wrong with it.
  int64_t Estimate(const EmbedInput& input, const SpaceSet& wanted) const;

  // The passes of a call's input; none when it has no content for the spaces. Errors name the field
  // by its path in the input.
  absl::StatusOr<std::vector<InputPass>> Prepare(const EmbedCall& call, size_t index);

 private:
  absl::Status CheckContent(const EmbedInput& input) const;
  absl::Status CheckTexts(const EmbedInput& input) const;
  absl::StatusOr<EncoderImage> PrepareImage(const std::string& encoded, const std::string& field);

  const Encoder& encoder_;
  const EmbedderOptions& options_;
  std::counting_semaphore<> decodes_;  // how many more may run
};

}  // namespace palate::embedding
