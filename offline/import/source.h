// Interfaces of what an import reads: items and events one by one, and a report of every malformed
// line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/event.h"
#include "offline/client.h"

namespace palate::offline {

// A malformed part of a file, and why it is malformed.
struct Malformed {
  std::string file;
  int64_t line = 0;    // counted from 1; 0 for a whole file
  int64_t column = 0;  // in characters, counted from 1; 0 when it is unknown
  std::string reason;
};

// "FILE line 3, column 7: reason", without what is 0.
std::string Describe(const Malformed& malformed);

// Where the last element of a reader came from, to say it again when the server refuses it.
struct SourcePlace {
  std::string file;  // empty: unknown
  int64_t line = 0;
  std::string text;  // the whole line
};

// What was read and what was malformed. All malformed parts are counted, the first 20 are kept.
struct SourceReport {
  int64_t items = 0;
  int64_t events = 0;
  int64_t without_description = 0;
  int64_t without_image = 0;
  int64_t malformed_count = 0;
  std::vector<Malformed> malformed;
  std::vector<std::string> notes;  // such as "2 posters belong to no movie of movies.csv"

  void AddMalformed(std::string file, int64_t line, std::string reason, int64_t column = 0);
};

// Neither reader is thread-safe. An error ends the import; malformed elements are reported and
// skipped.
class ItemReader {
 public:
  virtual ~ItemReader() = default;
  // The next item; nothing at the end.
  virtual absl::StatusOr<std::optional<ItemUpload>> Next() = 0;
  // Of the element that Next() returned last.
  virtual SourcePlace place() const { return {}; }
  // Elements and parts of them that were malformed so far.
  virtual int64_t malformed() const { return 0; }
  // An upper bound of the number of items, for progress: malformed ones are included.
  virtual int64_t size() const = 0;
};

class EventReader {
 public:
  virtual ~EventReader() = default;
  virtual absl::StatusOr<std::optional<Event>> Next() = 0;
  virtual SourcePlace place() const { return {}; }
  virtual int64_t malformed() const { return 0; }
  virtual int64_t size() const = 0;
};

}  // namespace palate::offline
