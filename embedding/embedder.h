// Entry point of the embedding library: turns items and queries into vectors. No LibTorch in this
// header.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto model, EmbeddingModel::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const auto embedder, Embedder::Create(model));
//   const EmbedInput lamp = {.fields = {"Walnut lamp", "Warm and bright."}, .images = {png}};
//   PALATE_ASSIGN_OR_RETURN(const std::vector<EmbedResult> results, embedder->Embed({lamp}));
//   if (results[0].status.ok()) vectors = results[0].vectors;
//
// A pool of threads prepares a call (tokenizes, decodes, resizes) while one executor per model
// computes it. Batches mix the work of all calls.
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
#include "domain/part_failure.h"
#include "domain/vector.h"
#include "embedding/model_info.h"

namespace palate::embedding {

class EmbeddingModel;

enum class EmbedRole { kItem, kQuery };
// Interactive work comes first. Bulk work keeps a share of the executor's time, so that it never
// starves.
enum class Lane { kInteractive, kBulk };

// One item or query. Texts are UTF-8; empty ones are skipped.
//
//   text:   each field is one pass; the vector is the normalized mean of the fields' vectors.
//   image:  each image is one pass; the vector is the normalized mean of the images' vectors. A
//           query without images has the vector of its text: words find pictures.
//   fused:  a vision-language model computes one joint pass over all images, then the fields, one
//           per line. The dual encoder, CLIP and SigLIP take the normalized weighted mean of the
//           text and the image vector, or the one that exists. The dual encoder reads the weights
//           from dual_encoder.json; CLIP and SigLIP, whose two vectors share a space, use equal
//           ones.
struct EmbedInput {
  std::vector<std::string> fields;
  std::vector<std::string> images;  // encoded bytes: JPEG, PNG or WebP
  EmbedRole role = EmbedRole::kItem;
};

struct EmbedOptions {
  // "text", "image", "fused". Empty means all that the model serves.
  std::vector<std::string> spaces;
  // The task of a query, inserted where the model's protocol expects it
  // (ModelInfo::query_template). Empty means the model's default, if it has one. Ignored for items.
  std::string instruction;
  // Vectors are truncated to this many dimensions and normalized again; 0 means the model's
  // dimensions.
  int dimensions = 0;
  Lane lane = Lane::kInteractive;
};

// The result of one input. If `status` is not OK, it names the field by its path in the input
// ("images[0]"; empty for the whole input) and the other members are empty.
//
// A part of an item that is wrong or cannot be computed costs that part: the vectors are those of
// the others, `failed_parts` names it, and only an item of which nothing is left has an error. A
// query with such a part has an error: it would be answered as another query.
struct EmbedResult {
  absl::Status status;
  // One per requested space for which the input has content (without an image there is no `image`
  // vector), in the order of `EmbedOptions::spaces`.
  std::vector<SpaceVector> vectors;
  int64_t tokens = 0;            // read by the model, images excluded
  int64_t truncated_tokens = 0;  // cut off because a text was too long
  // Parts of an item that have no share in the vectors ("images[0]", "fields[1]"), or, when cut at
  // max_field_bytes, not the whole share; "fused" when there is no such vector though there are
  // others. The status of a part that the model failed to compute is that error, such as Internal,
  // and a later try may succeed.
  std::vector<PartFailure> failed_parts = {};
};

struct EmbedderOptions {
  // Limits of one call. Exceeding max_inputs, or max_field_bytes in the instruction, fails the
  // call; exceeding the number of fields or images fails the input; exceeding a limit of one field
  // or image fails that part (see EmbedResult). All are InvalidArgument.
  size_t max_inputs = kMaxEmbedInputs;
  size_t max_fields_per_input = kMaxEmbedFields;
  size_t max_images_per_input = kMaxEmbedImages;
  size_t max_field_bytes = kMaxEmbedFieldBytes;
  int64_t max_image_pixels = kMaxImagePixels;
  size_t max_image_bytes = kMaxImageBytes;
  // Threads of one matrix operation (LibTorch's intra-op pool, set once for the process); 0 keeps
  // LibTorch's default.
  int intra_op_threads = 0;
  // Work of one batch, in tokens; an image counts its patches. Larger batches compute no faster,
  // and interactive work waits for the running batch.
  int64_t batch_tokens = 1024;
  // Share of the executor's work reserved for waiting bulk work while interactive work waits too.
  // 0: none.
  double bulk_share = 0.25;
  // A lane refuses new calls (ResourceExhausted) while it holds at least this many tokens,
  // estimated from the sizes of the inputs.
  int64_t max_queued_tokens_interactive = 128 * 1024;
  int64_t max_queued_tokens_bulk = 1024 * 1024;
  // Threads that tokenize, decode and resize. Bulk calls leave one of them free if there are
  // several.
  int prepare_threads = 3;
  // Images decoded at once, over all calls: bounds the memory of decoded pixels (3 bytes per
  // pixel).
  int max_concurrent_decodes = 2;
};

// Counters of one embedder since its start, and its current load.
struct EmbedderStats {
  // Tokens of accepted calls that are not computed yet; estimated until an input is prepared.
  int64_t queued_tokens_interactive = 0;
  int64_t queued_tokens_bulk = 0;
  int64_t batches = 0;
  int64_t tokens = 0;  // computed since the start
  int64_t images = 0;
  int64_t rejected = 0;  // calls refused because a lane was full
  int64_t retried = 0;   // passes computed alone because their batch failed
  int64_t failed = 0;    // passes that failed alone
  // How long the running batch has taken, or how long waiting work has not been started; zero when
  // idle.
  absl::Duration stalled;

  // The engine is stuck if this exceeds the time that the largest batch may take.
  absl::Duration stalled_for() const { return stalled; }
};

// Thread-safe.
class Embedder {
 public:
  // Shares ownership of `model`. Starts the threads. InvalidArgument when an option is out of
  // range.
  static absl::StatusOr<std::unique_ptr<Embedder>> Create(
      std::shared_ptr<const EmbeddingModel> model, const EmbedderOptions& options = {});
  // Waits for the running batch. All calls must have returned.
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // One result per input, in order. An input that is invalid or cannot be computed fails alone.
  // Blocks. The whole call fails with InvalidArgument (too many inputs, an unknown space,
  // dimensions out of range, an invalid instruction), FailedPrecondition (a space whose tower has
  // no weights), ResourceExhausted (overload, at once), DeadlineExceeded or Cancelled (at once; its
  // queued work is dropped).
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
