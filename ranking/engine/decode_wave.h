// Generates several texts at once, one token of each per step, with one KV cache. Internal to
// ranking/engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "absl/status/statusor.h"
#include "models/decoder/decoder.h"
#include "ranking/engine/loaded_model.h"

namespace palate::ranking {

struct DecodeRequest {
  size_t key = 0;                   // identifies the request
  std::vector<int64_t> prompt;      // at least one token
  std::vector<SpecialToken> slots;  // special tokens allowed in the text besides kEnd
  uint64_t seed = 0;
  // Whether the text may begin with these ids, which may end in kEnd. A token that is not admitted
  // is drawn again; after several draws the text is abandoned. Null admits all.
  std::function<bool(const std::vector<int64_t>& ids)> admits;
};

struct DecodeOptions {
  int max_new_tokens = 96;
  double temperature = 0.7;  // 0: the likeliest token; ties go to the lower id
};

struct DecodedText {
  enum class End {
    kComplete,  // kEnd was drawn
    kTooLong,   // max_new_tokens was reached
    kStuck,     // no token was admitted
  };
  size_t key = 0;
  std::vector<int64_t> ids;  // without kEnd
  End end = End::kComplete;
};

// Not thread-safe. Each sequence draws from its seed, so its text does not depend on the rest of
// the batch.
class DecodeWave {
 public:
  // Computes the prompts. Borrows `loaded`. REQUIRES: `requests` is not empty.
  static absl::StatusOr<std::unique_ptr<DecodeWave>> Start(const LoadedModel& loaded,
                                                           std::vector<DecodeRequest> requests,
                                                           const DecodeOptions& options);

  // Adds a token to every sequence; removes the ended ones from the batch and returns them.
  absl::StatusOr<std::vector<DecodedText>> Step();
  bool done() const { return sequences_.empty(); }

 private:
  struct Sequence {
    DecodeRequest request;
    std::vector<int64_t> ids;
    std::vector<bool> allowed;  // by token id
    std::mt19937_64 random;
  };

  DecodeWave(const LoadedModel& loaded, const DecodeOptions& options)
      : loaded_(loaded), options_(options) {}
  void Begin(std::vector<DecodeRequest> requests);
  std::vector<DecodedText> Advance();
  // The next token; nullopt if no drawn token is admitted.
  std::optional<int64_t> Draw(const float* logits, Sequence& sequence) const;
  int64_t DrawOnce(const float* logits, const std::vector<bool>& allowed, Sequence& sequence) const;

  const LoadedModel& loaded_;
  const DecodeOptions options_;
  std::vector<Sequence> sequences_;  // in the order of the cache
  models::KvCache cache_;
  at::Tensor hidden_;  // [sequences, hidden]: the last token of each sequence
};

}  // namespace palate::ranking
