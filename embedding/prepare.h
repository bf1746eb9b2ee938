// Turns an input into passes: checks it, decodes its images, composes and tokenizes its texts.
// Internal to embedding/.
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

  // The estimated cost of an input in tokens, from the sizes of its texts and the headers of its
  // images. Invalid parts count as 0.
  int64_t Estimate(const EmbedInput& input, const SpaceSet& wanted) const;

  // The passes of one input of a call; none if it has no content for the requested spaces. Blocks
  // while too many images are being decoded. Errors, of the input and of its parts, name the field
  // by its path in the input.
  absl::StatusOr<PreparedInput> Prepare(const EmbedCall& call, size_t index);

 private:
  struct Content;  // the parts of one input that can be read

  absl::Status CheckContent(const EmbedInput& input) const;
  void ReadTexts(const EmbedInput& input, Content& content, PreparedInput& prepared) const;
  // Errors: the call is not wanted any more.
  absl::Status ReadImages(const EmbedCall& call, const EmbedInput& input, Content& content,
                          PreparedInput& prepared);
  absl::StatusOr<EncoderImage> PrepareImage(const std::string& encoded, const std::string& field);

  const Encoder& encoder_;
  const EmbedderOptions& options_;
  std::counting_semaphore<> decodes_;  // decodes that may still start
};

}  // namespace palate::embedding
