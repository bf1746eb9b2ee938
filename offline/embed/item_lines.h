// Lines of a file of things to embed, one JSON object each:
//   an item as `palate import items` reads it (offline/import/jsonl_reader.h); its texts are made
//   as the services make them: title with attributes, then the description
//   {"id": "q1", "text": "a walnut lamp", "images": ["lamp.jpg"]}: as it stands; "text" is one
//   text, or a list of them
// Only "id" is required. Image names are relative to the images folder and may not leave it.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "embedding/embedder.h"
#include "offline/import/source.h"

namespace palate::offline {

struct EmbedLine {
  int64_t line = 0;  // counted from 1
  std::string id;
  embedding::EmbedInput input;
};

// One thread at a time; the file is read line by line, never whole.
class EmbedLineReader {
 public:
  // NotFound when the file is missing. `report` outlives the reader: lines that cannot be used, ids
  // that come again, and pictures that cannot be read go there. A line whose picture cannot be read
  // is still a line.
  static absl::StatusOr<EmbedLineReader> Open(const std::string& path,
                                              const std::string& images_folder,
                                              SourceReport& report);

  // The next usable line; nothing at the end.
  std::optional<EmbedLine> Next();
  // Lines read so far, and in all.
  int64_t number() const { return number_; }
  int64_t count() const { return count_; }

 private:
  EmbedLineReader(std::string path, std::string images_folder, SourceReport& report)
      : path_(std::move(path)), images_folder_(std::move(images_folder)), report_(&report) {}
  absl::StatusOr<EmbedLine> Parse(const std::string& text);

  std::string path_;
  std::string images_folder_;
  SourceReport* report_;
  std::ifstream stream_;
  std::set<std::string> ids_;
  int64_t number_ = 0;
  int64_t count_ = 0;
};

}  // namespace palate::offline
