// Embeds a file of items or queries and writes a file of vectors, in this process and without any
// service (`palate embed`). Blocks.
//
// Usage:
//   EmbedFileOptions options;
//   options.input = folder + "/items.jsonl";
//   options.output = folder + "/vectors.safetensors";
//   PALATE_ASSIGN_OR_RETURN(const EmbedFileReport report,
//                           EmbedFile(embedder, options, on_progress));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "embedding/embedder.h"
#include "offline/import/source.h"

namespace palate::offline {

struct EmbedFileOptions {
  std::string input;          // see item_lines.h
  std::string images_folder;  // where the pictures are that lines name
  std::string output;         // see vector_file.h
  // The tensor `vectors` holds the first one. Empty: "fused" if the model has it, else "text".
  std::vector<std::string> spaces;
  bool queries = false;     // whether the lines are queries instead of items
  std::string instruction;  // of queries
  int dimensions = 0;       // 0: the model's dimensions
};

struct EmbedFileReport {
  SourceReport source;  // malformed lines and inputs that failed
  int64_t embedded = 0;
  int64_t failed = 0;     // valid lines without a vector
  int64_t truncated = 0;  // lines whose text was truncated
  int64_t tokens = 0;
  int dimensions = 0;
  std::vector<SpaceKey> spaces;
  absl::Duration spent;
};

// Lines that fail are in the report; the file is written with the others. Fails when the input
// cannot be read, the output cannot be written, or the embedder is unavailable; then an existing
// output file is unchanged.
absl::StatusOr<EmbedFileReport> EmbedFile(
    embedding::Embedder& embedder, const EmbedFileOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_progress);

}  // namespace palate::offline
