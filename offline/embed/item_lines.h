// Reads the lines of a file to embed, one JSON object per line. A line is either
//   an item of `palate import items` (offline/import/jsonl_reader.h), whose texts are those that
//   the services embed: title with attributes, then the description; or
//   {"id": "q1", "text": "a walnut lamp", "images": ["lamp.jpg"]}
//   which is embedded unchanged; "text" is one text or a list of texts.
// Only "id" is required. Image paths are relative to the images folder and must not leave it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "embedding/embedder.h"
#include "offline/import/line_file.h"
#include "offline/import/source.h"

namespace palate::offline {

struct EmbedLine {
  int64_t line = 0;  // counted from 1
  std::string id;
  embedding::EmbedInput input;
};

// Not thread-safe. Memory holds one line and all ids.
class EmbedLineReader {
 public:
  // NotFound when the file is missing; FailedPrecondition when it holds no JSON lines at all.
  // `report` outlives the reader; it receives malformed lines, repeated ids and unreadable
  // pictures. A line whose picture cannot be read is still returned.
  static absl::StatusOr<EmbedLineReader> Open(const std::string& path,
                                              const std::string& images_folder,
                                              SourceReport& report);

  // The next usable line; nothing at the end.
  std::optional<EmbedLine> Next();
  // Lines read so far, and lines in the file.
  int64_t number() const { return file_.number(); }
  int64_t count() const { return file_.count(); }

 private:
  EmbedLineReader(LineFile file, std::string images_folder, SourceReport& report)
      : file_(std::move(file)), images_folder_(std::move(images_folder)), report_(&report) {}
  absl::StatusOr<EmbedLine> Parse(const std::string& text);

  LineFile file_;
  std::string images_folder_;
  SourceReport* report_;
  std::set<std::string> ids_;
};

}  // namespace palate::offline
