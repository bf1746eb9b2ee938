// A file of items or queries to a file of vectors, in this process and without any service (`palate
// embed`).
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
  std::string images_folder;  // of the pictures that lines name
  std::string output;         // see vector_file.h
  // First the one of `vectors`. Empty: "fused" where the model has it, else "text".
  std::vector<std::string> spaces;
  bool queries = false;     // what the lines are: queries, else items
  std::string instruction;  // of queries
  int dimensions = 0;       // 0: the model's own
};

struct EmbedFileReport {
  SourceReport source;  // what was wrong with the file; inputs that failed are among it
  int64_t embedded = 0;
  int64_t failed = 0;     // lines that could be read but have no vector
  int64_t truncated = 0;  // lines that lost text
  int64_t tokens = 0;
  int dimensions = 0;
  std::vector<SpaceKey> spaces;
  absl::Duration spent;
};

// Lines that fail are in the report; the file is written with the others. An error when nothing can
// be read or written, or the embedder fails as a whole; then the output is not touched.
absl::StatusOr<EmbedFileReport> EmbedFile(
    embedding::Embedder& embedder, const EmbedFileOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_progress);

}  // namespace palate::offline
