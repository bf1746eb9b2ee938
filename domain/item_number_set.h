// A set of item numbers: the 32-bit numbers that the feature store gives to a catalog's items.
//
// Usage:
//   ItemNumberSet seen;
//   seen.Add(7);
//   const std::string bytes = seen.Serialize();
//   PALATE_ASSIGN_OR_RETURN(const ItemNumberSet same, ItemNumberSet::Parse(bytes));
//   const bool known = same.Contains(7);
//
// Compressed: a set of many neighboring numbers takes about a bit for each. A plain value:
// copyable, no synchronization.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct roaring_bitmap_s;

namespace palate {

class ItemNumberSet {
 public:
  ItemNumberSet();
  ItemNumberSet(const ItemNumberSet& other);
  ItemNumberSet(ItemNumberSet&& other) noexcept = default;
  ItemNumberSet& operator=(const ItemNumberSet& other);
  ItemNumberSet& operator=(ItemNumberSet&& other) noexcept = default;
  ~ItemNumberSet() = default;

  void Add(uint32_t number);
  void AddAll(const ItemNumberSet& other);
  bool Contains(uint32_t number) const;
  size_t size() const;
  bool empty() const { return size() == 0; }
  // Calls `visit` with each number, in ascending order.
  void ForEach(absl::FunctionRef<void(uint32_t)> visit) const;
  std::vector<uint32_t> Numbers() const;  // ascending

  // The portable serialization of roaring bitmaps. The empty set is no bytes.
  std::string Serialize() const;
  // INVALID_ARGUMENT for other bytes, whatever they are: the bytes may come from a caller.
  static absl::StatusOr<ItemNumberSet> Parse(absl::string_view bytes);

 private:
  struct Free {
    void operator()(roaring_bitmap_s* bitmap) const;
  };
  roaring_bitmap_s& Own();

  std::unique_ptr<roaring_bitmap_s, Free> bitmap_;  // null: empty
};

bool operator==(const ItemNumberSet& a, const ItemNumberSet& b);

}  // namespace palate
