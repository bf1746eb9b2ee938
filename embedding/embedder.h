// Items and queries to vectors: the embedding library's front door. No LibTorch in this header.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "embedding/model_info.h"

namespace palate::embedding {

class EmbeddingModel;

enum class EmbedRole { kItem, kQuery };
// Interactive work goes first; bulk work keeps a share of every batch, so that it never starves.
enum class Lane { kInteractive, kBulk };

// Set once from any thread to abandon a call: queued work is dropped, and the call returns Cancelled within
// `poll_interval`.
using CancelFlag = std::atomic<bool>;

// One item or query. Texts are UTF-8; each field is embedded alone and the field vectors are pooled. Empty fields are
// skipped.
struct EmbedInput {
  std::vector<std::string> fields;
  std::vector<std::string> images;  // encoded bytes: JPEG, PNG or WebP
  EmbedRole role = EmbedRole::kItem;
};

struct EmbedOptions {
  // "text", "image", "fused". Empty means all that the model has.
  std::vector<std::string> spaces;
  // Put before every text of a query; empty means the model's own query prompt, if it has one. Items never carry it.
  std::string instruction;
  // Vectors are cut to this many dimensions and normalised again; 0 means the model's own.
  int dimensions = 0;
  Lane lane = Lane::kInteractive;
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<const CancelFlag> cancelled;  // may be null
};

// One input's answer. When `status` is not OK it names the field ("inputs[3].images[0]") and the rest is empty.
struct EmbedResult {
  absl::Status status;
  // One per asked space that the input has content for (no image, no `image` vector), in the order of
  // `EmbedOptions::spaces`.
  std::vector<SpaceVector> vectors;
  int64_t tokens = 0;            // that the text tower read
  int64_t truncated_tokens = 0;  // that were cut off because a text was too long
};

struct EmbedderOptions {
  // Limits of one call. Beyond them the call (inputs) or the input (the rest) fails with InvalidArgument.
  size_t max_inputs = 512;
  size_t max_fields_per_input = 16;
  size_t max_images_per_input = 16;
  size_t max_field_bytes = 256 * 1024;
  int64_t max_image_pixels = 40'000'000;
  size_t max_image_bytes = 16u << 20;
  // Threads of one matrix operation (LibTorch's intra-op pool, set once for the process); 0 leaves LibTorch's choice.
  int intra_op_threads = 0;
  // Work of one batch, in tokens; an image counts its patches. Larger batches compute no faster, and interactive work waits for the one
  // that runs.
  int64_t batch_tokens = 1024;
  // Share of a batch that waiting bulk work gets while interactive work waits too.
  double bulk_share = 0.25;
  // A lane refuses new calls (ResourceExhausted) while this many tokens wait in it.
  int64_t max_queued_tokens_interactive = 128 * 1024;
  int64_t max_queued_tokens_bulk = 1024 * 1024;
  // Images decoded at once, over all calls: bounds the memory of decoded pixels (3 bytes a pixel each).
  int max_concurrent_decodes = 2;
  absl::Duration poll_interval = absl::Milliseconds(20);
};

struct EmbedderStats {
  int64_t queued_tokens_interactive = 0;
  int64_t queued_tokens_bulk = 0;
  int64_t batches = 0;
  int64_t tokens = 0;  // computed since the start
  int64_t images = 0;
  int64_t rejected = 0;  // calls refused because a lane was full
};

// Thread-safe. Callers tokenise and decode on their own threads; one executor thread of the embedder runs the model.
class Embedder {
 public:
  // Keeps a share of `model`. Starts the executor.
  static absl::StatusOr<std::unique_ptr<Embedder>> Create(std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options = {});
  // Waits for running calls' work; calls must have returned.
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // One result per input, in order; a bad input fails alone. Blocks. The call as a whole fails with InvalidArgument
  // (too many inputs, an unknown space, dimensions out of range), FailedPrecondition (a space whose tower has no
  // weights), ResourceExhausted (overload), DeadlineExceeded or Cancelled.
  absl::StatusOr<std::vector<EmbedResult>> Embed(absl::Span<const EmbedInput> inputs, const EmbedOptions& options = {});

  const ModelInfo& info() const;
  EmbedderStats stats() const;

 private:
  class Impl;
  explicit Embedder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::embedding
