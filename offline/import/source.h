// Where an import reads from: items and events one by one, with every line that could not be read
// counted and named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/event.h"
#include "offline/client.h"

namespace palate::offline {

// A place in a file that could not be used, and why.
struct Malformed {
  std::string file;
  int64_t line = 0;  // counted from 1; 0 for a whole file
  std::string reason;
};

// What was read and what was wrong with it. Only the first places are kept; all are counted.
struct SourceReport {
  int64_t items = 0;
  int64_t events = 0;
  int64_t without_description = 0;
  int64_t without_image = 0;
  int64_t malformed_count = 0;
  std::vector<Malformed> malformed;
  std::vector<std::string> notes;  // in words: "1 poster shows no movie of movies.csv"

  void AddMalformed(std::string file, int64_t line, std::string reason);
};

// Both readers are used by one thread. An error ends the import; a malformed element is reported
// and skipped.
class ItemReader {
 public:
  virtual ~ItemReader() = default;
  // The next item; nothing at the end.
  virtual absl::StatusOr<std::optional<ItemUpload>> Next() = 0;
  // How many there are in all, for progress; an estimate may be off by the malformed ones.
  virtual int64_t size() const = 0;
};

class EventReader {
 public:
  virtual ~EventReader() = default;
  virtual absl::StatusOr<std::optional<Event>> Next() = 0;
  virtual int64_t size() const = 0;
};

}  // namespace palate::offline
