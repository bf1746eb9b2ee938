#include "domain/item_number_set.h"

#include <roaring/roaring.h>

#include <bit>
#include <cstring>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace palate {
namespace {

// The portable format, little-endian. With runs: cookie 12347 in the low 16 bits and the number of
// containers - 1 in the high ones, then a bit per container that says whether it holds runs.
// Without: cookie 12346, then the number of containers. Then for each container its key and its
// cardinality - 1, 16 bits each; then, without runs or from 4 containers on, the offset of each
// container, 32 bits; then the containers.
constexpr uint32_t kCookieWithRuns = 12347;
constexpr uint32_t kCookieWithoutRuns = 12346;
constexpr uint32_t kContainersWithOffsets = 4;
constexpr uint32_t kMaxContainers = 1 << 16;
constexpr uint32_t kMaxArraySize = 4096;
constexpr size_t kBitsetWords = 1024;

template <typename Number>
bool Take(absl::string_view& in, Number& out) {
  if (in.size() < sizeof(out)) return false;
  std::memcpy(&out, in.data(), sizeof(out));
  in.remove_prefix(sizeof(out));
  return true;
}

bool CheckRuns(absl::string_view& in, uint32_t cardinality) {
  uint16_t runs = 0;
  if (!Take(in, runs)) return false;
  uint32_t total = 0;
  uint32_t next_free = 0;
  for (uint32_t i = 0; i < runs; ++i) {
    uint16_t start = 0;
    uint16_t length_less_1 = 0;
    if (!Take(in, start) || !Take(in, length_less_1)) return false;
    const uint32_t end = uint32_t{start} + length_less_1 + 1;
    if (start < next_free || end > (1 << 16)) return false;
    total += end - start;
    next_free = end;
  }
  return total == cardinality;
}

bool CheckArray(absl::string_view& in, uint32_t cardinality) {
  int last = -1;
  for (uint32_t i = 0; i < cardinality; ++i) {
    uint16_t value = 0;
    if (!Take(in, value) || value <= last) return false;
    last = value;
  }
  return true;
}

bool CheckBitset(absl::string_view& in, uint32_t cardinality) {
  uint32_t total = 0;
  for (size_t i = 0; i < kBitsetWords; ++i) {
    uint64_t word = 0;
    if (!Take(in, word)) return false;
    total += static_cast<uint32_t>(std::popcount(word));
  }
  return total == cardinality;
}

// Whether the bytes are exactly one well-formed set. The library reads within the bytes, but it
// believes what they say of themselves, and its unions write out of bounds for a run that leaves
// its container.
bool IsWellFormed(absl::string_view in) {
  const size_t total = in.size();
  uint32_t cookie = 0;
  if (!Take(in, cookie)) return false;
  const bool has_runs = (cookie & 0xffff) == kCookieWithRuns;
  uint32_t containers = (cookie >> 16) + 1;
  absl::string_view run_flags;
  if (has_runs) {
    const size_t flag_bytes = (containers + 7) / 8;
    if (in.size() < flag_bytes) return false;
    run_flags = in.substr(0, flag_bytes);
    in.remove_prefix(flag_bytes);
  } else if (cookie != kCookieWithoutRuns || !Take(in, containers) || containers > kMaxContainers) {
    return false;
  }

  if (in.size() < size_t{containers} * 4) return false;
  absl::string_view headers = in.substr(0, size_t{containers} * 4);
  in.remove_prefix(headers.size());
  absl::string_view offsets;
  if (!has_runs || containers >= kContainersWithOffsets) {
    if (in.size() < size_t{containers} * 4) return false;
    offsets = in.substr(0, size_t{containers} * 4);
    in.remove_prefix(offsets.size());
  }

  int last_key = -1;
  for (uint32_t i = 0; i < containers; ++i) {
    uint16_t key = 0;
    uint16_t cardinality_less_1 = 0;
    if (!Take(headers, key) || !Take(headers, cardinality_less_1) || key <= last_key) return false;
    last_key = key;
    uint32_t offset = 0;
    if (!offsets.empty() && (!Take(offsets, offset) || offset != total - in.size())) return false;

    const uint32_t cardinality = uint32_t{cardinality_less_1} + 1;
    const bool runs = has_runs && ((run_flags[i / 8] >> (i % 8)) & 1) != 0;
    const bool good = runs                           ? CheckRuns(in, cardinality)
                      : cardinality <= kMaxArraySize ? CheckArray(in, cardinality)
                                                     : CheckBitset(in, cardinality);
    if (!good) return false;
  }
  return in.empty();
}

template <typename Pointer>
Pointer* OrOutOfMemory(Pointer* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

}  // namespace

void ItemNumberSet::Free::operator()(roaring_bitmap_s* bitmap) const {
  roaring_bitmap_free(bitmap);
}

ItemNumberSet::ItemNumberSet() = default;

ItemNumberSet::ItemNumberSet(const ItemNumberSet& other)
    : bitmap_(other.bitmap_ == nullptr ? nullptr
                                       : OrOutOfMemory(roaring_bitmap_copy(other.bitmap_.get()))) {}

ItemNumberSet& ItemNumberSet::operator=(const ItemNumberSet& other) {
  if (this != &other) *this = ItemNumberSet(other);
  return *this;
}

roaring_bitmap_s& ItemNumberSet::Own() {
  if (bitmap_ == nullptr) bitmap_.reset(OrOutOfMemory(roaring_bitmap_create()));
  return *bitmap_;
}

void ItemNumberSet::Add(uint32_t number) { roaring_bitmap_add(&Own(), number); }

void ItemNumberSet::AddAll(const ItemNumberSet& other) {
  if (other.bitmap_ != nullptr) roaring_bitmap_or_inplace(&Own(), other.bitmap_.get());
}

bool ItemNumberSet::Contains(uint32_t number) const {
  return bitmap_ != nullptr && roaring_bitmap_contains(bitmap_.get(), number);
}

size_t ItemNumberSet::size() const {
  return bitmap_ == nullptr ? 0 : roaring_bitmap_get_cardinality(bitmap_.get());
}

void ItemNumberSet::ForEach(absl::FunctionRef<void(uint32_t)> visit) const {
  if (bitmap_ == nullptr) return;
  const auto call = [](uint32_t number, void* to) {
    (*static_cast<absl::FunctionRef<void(uint32_t)>*>(to))(number);
    return true;
  };
  roaring_iterate(bitmap_.get(), call, &visit);
}

std::vector<uint32_t> ItemNumberSet::Numbers() const {
  std::vector<uint32_t> numbers(size());
  if (bitmap_ != nullptr) roaring_bitmap_to_uint32_array(bitmap_.get(), numbers.data());
  return numbers;
}

std::string ItemNumberSet::Serialize() const {
  if (empty()) return "";
  std::string bytes(roaring_bitmap_portable_size_in_bytes(bitmap_.get()), '\0');
  roaring_bitmap_portable_serialize(bitmap_.get(), bytes.data());
  return bytes;
}

absl::StatusOr<ItemNumberSet> ItemNumberSet::Parse(absl::string_view bytes) {
  ItemNumberSet set;
  if (bytes.empty()) return set;
  if (IsWellFormed(bytes))
    set.bitmap_.reset(roaring_bitmap_portable_deserialize_safe(bytes.data(), bytes.size()));
  if (set.bitmap_ == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ", bytes.size(), " bytes are not a set of item numbers"));
  }
  return set;
}

bool operator==(const ItemNumberSet& a, const ItemNumberSet& b) {
  return a.Numbers() == b.Numbers();
}

}  // namespace palate
