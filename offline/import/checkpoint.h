// What the server has acknowledged of an import, in a small file: for each step the portions that
// were sent, in order, with a digest of their rows.
//
// A portion is skipped only while the rows of the input still have the digests of the file, from
// the first on, and only for the same source, catalog and store. So neither an edited input nor
// another store loses rows. Losing the file costs time only, because imports are idempotent. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace palate::offline {

class Checkpoint {
 public:
  // Keeps nothing and skips nothing.
  Checkpoint() = default;
  // Reads the file if it is there and its identity, any text, is this one.
  Checkpoint(std::string path, std::string identity);

  // Rows of the portion that Skips() will ask about; 0 when nothing is left to skip.
  size_t NextRows(const std::string& step) const;
  // Whether the server has the next portion. When its rows are others, it and all later portions
  // are forgotten.
  bool Skips(const std::string& step, size_t rows, absl::string_view digest);
  // Records a portion that the server has acknowledged. A portion of which it refused rows is not
  // recorded, nor is what follows in the step: the next run sends them again, and says why again.
  void Record(const std::string& step, size_t rows, absl::string_view digest, bool complete);

 private:
  struct Portion {
    size_t rows = 0;
    std::string digest;
  };
  struct Step {
    std::vector<Portion> portions;
    size_t next = 0;  // to skip
    bool closed = false;
  };
  void Write() const;

  std::string path_;
  std::string identity_;
  std::map<std::string, Step> steps_;
};

}  // namespace palate::offline
