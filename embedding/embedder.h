// Items and queries to vectors: the embedding library's front door. No LibTorch in this header.
//
// A call is prepared (tokenized, decoded, resized) by a pool of threads and computed by one
// executor per model, both at the same time; batches mix the work of all calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "domain/limits.h"
#include "domain/vector.h"
#include "embedding/model_info.h"

namespace palate::embedding {

class EmbeddingModel;

enum class EmbedRole { kItem, kQuery };
// Interactive work goes first; bulk work keeps a share of the executor's time, so that it never
// starves.
enum class Lane { kInteractive, kBulk };

// One item or query. Texts are UTF-8; empty ones are skipped.
//
// text:  each field is a pass of its own; the vector is the normalized mean of the fields' vectors.
// image: each picture is a pass of its own; likewise.
// fused: for a vision-language model one joint pass over all pictures, then the fields, one per
// line. For two towers (the dual encoder,
//        CLIP, SigLIP) the normalized weighted mean of the text and the image vector (the dual
//        encoder's weights stand in dual_encoder.json; equal ones for CLIP and SigLIP, whose two
//        vectors lie in one space); only one of them where there is no other.
struct EmbedInput {
  std::vector<std::string> fields;
  std::vector<std::string> images;  // encoded bytes: JPEG, PNG or WebP
  EmbedRole role = EmbedRole::kItem;
};

struct EmbedOptions {
  // "text", "image", "fused". Empty means all that the model has.
  std::vector<std::string> spaces;
  // The task of a query, in the place that the model's protocol has for it
  // (ModelInfo::query_template); empty means the model's own, if it has one. Items never carry it.
  std::string instruction;
  // Vectors are cut to this many dimensions and normalized again; 0 means the model's own.
  int dimensions = 0;
  Lane lane = Lane::kInteractive;
};

// One input's answer. When `status` is not OK it names the field by its path in the input
// ("images[0]"; empty for the input as a whole) and the rest is empty.
struct EmbedResult {
  absl::Status status;
  // One per asked space that the input has content for (no image, no `image` vector), in the order
  // of `EmbedOptions::spaces`.
  std::vector<SpaceVector> vectors;
  int64_t tokens = 0;            // that the model read, without pictures
  int64_t truncated_tokens = 0;  // that were cut off because a text was too long
};

struct EmbedderOptions {
  // Limits of one call. Beyond them the call (inputs) or the input (the rest) fails with
  // InvalidArgument.
  size_t max_inputs = kMaxEmbedInputs;
  size_t max_fields_per_input = kMaxEmbedFields;
  size_t max_images_per_input = kMaxEmbedImages;
  size_t max_field_bytes = kMaxEmbedFieldBytes;
  int64_t max_image_pixels = kMaxImagePixels;
  size_t max_image_bytes = kMaxImageBytes;
  // Threads of one matrix operation (LibTorch's intra-op pool, set once for the process); 0 leaves
  // LibTorch's choice.
  int intra_op_threads = 0;
  // Work of one batch, in tokens; an image counts its patches. Larger batches compute no faster,
  // and interactive work waits for the one that runs.
  int64_t batch_tokens = 1024;
  // Share of the executor's work that waiting bulk work gets while interactive work waits too. 0:
  // none.
  double bulk_share = 0.25;
  // A lane refuses new calls (ResourceExhausted) while calls for this many tokens, by an estimate
  // from the inputs' sizes, are in it.
  int64_t max_queued_tokens_interactive = 128 * 1024;
  int64_t max_queued_tokens_bulk = 1024 * 1024;
  // Threads that tokenize, decode and resize; bulk calls leave one of them free.
  int prepare_threads = 3;
  // Images decoded at once, over all calls: bounds the memory of decoded pixels (3 bytes a pixel
  // each).
  int max_concurrent_decodes = 2;
};

// A moment's figures of one embedder.
struct EmbedderStats {
  int64_t queued_tokens_interactive =
      0;  // of accepted calls, not computed yet; estimated until an input is prepared
  int64_t queued_tokens_bulk = 0;
  int64_t batches = 0;
  int64_t tokens = 0;  // computed since the start
  int64_t images = 0;
  int64_t rejected = 0;  // calls refused because a lane was full
  int64_t retried = 0;   // inputs' parts computed alone because their batch failed
  int64_t failed = 0;    // those that failed alone too
  // How long the executor has been at the batch in hand, or has left waiting work lie; zero while
  // there is nothing to do.
  absl::Duration stalled;

  // The heartbeat: beyond the time that the largest batch may take, the engine is stuck.
  absl::Duration stalled_for() const { return stalled; }
};

// Thread-safe.
class Embedder {
 public:
  // Keeps a share of `model`. Starts the threads.
  static absl::StatusOr<std::unique_ptr<Embedder>> Create(
      std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options = {});
  // Waits for the batch in hand; calls must have returned.
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // One result per input, in order; a bad input fails alone, and so does one whose computation
  // fails. Blocks. The call as a whole fails with InvalidArgument (too many inputs, an unknown
  // space, dimensions out of range), FailedPrecondition (a space whose tower has no weights),
  // ResourceExhausted (overload, at once), DeadlineExceeded or Cancelled (at once; its queued work
  // is dropped).
  absl::StatusOr<std::vector<EmbedResult>> Embed(std::vector<EmbedInput> inputs,
                                                 const EmbedOptions& options = {},
                                                 const CallContext& context = {});

  const ModelInfo& info() const;
  EmbedderStats stats() const;

 private:
  class Impl;
  explicit Embedder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::embedding
