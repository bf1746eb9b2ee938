// Pictures of one catalog: the bytes are stored once per digest, with the number of items that show
// them, and deleted with the last of these items.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "domain/item.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

// The changes that one batch makes to pictures. Not thread-safe; the caller holds the digests'
// locks from Load() to the commit.
class BlobLedger {
 public:
  BlobLedger(const Database& database, uint32_t catalog) : database_(database), catalog_(catalog) {}

  // Reads what is stored under these digests. Must come first, with every digest that is used
  // below.
  absl::Status Load(const std::vector<std::string>& digests);

  // What the catalog knows of a picture that some item shows, this batch's changes included.
  std::optional<ImageRef> Find(const std::string& digest) const;

  // One more item shows the picture. `bytes` (kept by reference until Write()) may be empty when
  // Find() knows the picture.
  void Add(const ImageRef& image, absl::string_view bytes);
  void Remove(const std::string& digest);

  // Adds rows of what changed to the batch.
  void Write(rocksdb::WriteBatch& batch) const;

 private:
  struct Entry {
    int64_t before = 0;
    int64_t now = 0;
    ImageRef image;
    absl::string_view bytes;
  };

  const Database& database_;
  const uint32_t catalog_;
  std::map<std::string, Entry> entries_;
};

}  // namespace palate::featurestore
