// The rows of an index: items with their attributes for filters, and their vectors by space.
//
// Usage:
//   RowSegmentBuilder builder(factory, /*dropped=*/{}, /*delta=*/true);
//   builder.Add(update);
//   PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<const RowSegment> segment, builder.Build());
//   const std::optional<uint32_t> row = segment->Find(update.item_id);
//
// Segments are immutable and thread-safe; builders are not thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "domain/item_number_set.h"
#include "domain/vector.h"
#include "retrieval/bitmap.h"
#include "retrieval/columns.h"
#include "retrieval/index.h"
#include "retrieval/vector_segment.h"

namespace palate::retrieval {

// The vectors of one space, in the order of their rows. A row may have none.
struct SpacePart {
  static constexpr uint32_t kNoVector = std::numeric_limits<uint32_t>::max();

  SpaceKey key;
  std::unique_ptr<const VectorSegment> vectors;
  std::vector<uint32_t> row_of_vector;
  std::vector<uint32_t> vector_of_row;  // kNoVector for rows without one
};

class RowSegment {
 public:
  static constexpr int64_t kNeverExpires = std::numeric_limits<int64_t>::max();

  size_t rows() const { return revisions_.size(); }
  absl::string_view item_id(size_t row) const {
    return absl::string_view(ids_).substr(id_offsets_[row],
                                          id_offsets_[row + 1] - id_offsets_[row]);
  }
  std::optional<uint32_t> Find(absl::string_view item_id) const;
  int64_t revision(size_t row) const { return revisions_[row]; }
  // The item's number in the feature store; 0: unknown.
  uint32_t number(size_t row) const { return numbers_[row]; }
  // Calls `visit` with the row of each number in `numbers` that the segment has.
  void ForEachRowOf(const ItemNumberSet& numbers, absl::FunctionRef<void(size_t row)> visit) const;
  const AttributeColumns& columns() const { return columns_; }
  const Bitmap& hidden() const { return hidden_; }
  // Microseconds since the epoch per row; empty when no row expires.
  const std::vector<int64_t>& expire_micros() const { return expire_micros_; }
  const std::vector<SpacePart>& spaces() const { return spaces_; }
  // Null when no row has a vector in the space.
  const SpacePart* FindSpace(const SpaceKey& key) const;
  // Whether the row has the update's values, apart from id and revision.
  bool Equals(size_t row, const ItemUpdate& update) const;
  int64_t memory_bytes() const { return memory_bytes_; }

  // Encodes everything but the vectors' values; which rows have vectors is included.
  void EncodeRows(ByteWriter& out) const;
  // Calls `load_vectors` for each space, in the order of spaces(), with its key and number of
  // vectors. DataLoss for malformed bytes.
  using LoadVectors = absl::FunctionRef<absl::StatusOr<std::unique_ptr<const VectorSegment>>(
      const SpaceKey& key, size_t num_vectors)>;
  static absl::StatusOr<std::shared_ptr<const RowSegment>> Decode(ByteReader& in,
                                                                  LoadVectors load_vectors);

 private:
  friend class RowSegmentBuilder;

  absl::Status Index();

  std::string ids_;                   // one after the other
  std::vector<uint64_t> id_offsets_;  // rows + 1
  std::vector<int64_t> revisions_;
  std::vector<uint32_t> numbers_;         // per row
  std::vector<uint32_t> rows_by_number_;  // rows with a number, in the order of their numbers
  Bitmap hidden_;
  std::vector<int64_t> expire_micros_;
  AttributeColumns columns_;
  std::vector<SpacePart> spaces_;  // by key
  absl::flat_hash_map<absl::string_view, uint32_t> row_of_id_;
  int64_t memory_bytes_ = 0;
};

// Builds a segment of rows from updates and from other segments, in the order of their ids.
class RowSegmentBuilder {
 public:
  // Vectors of a space in `dropped` are left out.
  RowSegmentBuilder(const VectorSegmentFactory& factory, std::set<SpaceKey> dropped, bool delta)
      : factory_(factory), dropped_(std::move(dropped)), delta_(delta) {}

  // Both are borrowed until Build() returns. No item may be added twice.
  void Add(const ItemUpdate& update) { sources_.push_back({.update = &update}); }
  void Add(const RowSegment& segment, uint32_t row) {
    sources_.push_back({.segment = &segment, .row = row});
  }
  size_t rows() const { return sources_.size(); }

  absl::StatusOr<std::shared_ptr<const RowSegment>> Build();

 private:
  struct Source {
    const ItemUpdate* update = nullptr;
    const RowSegment* segment = nullptr;
    uint32_t row = 0;
    absl::string_view id() const {
      return update != nullptr ? absl::string_view(update->item_id) : segment->item_id(row);
    }
  };

  void BuildRows(RowSegment& out) const;
  void BuildColumns(RowSegment& out) const;
  absl::Status BuildSpaces(RowSegment& out) const;
  absl::Status BuildSpace(const SpaceKey& key, RowSegment& out) const;

  const VectorSegmentFactory& factory_;
  const std::set<SpaceKey> dropped_;
  const bool delta_;
  std::vector<Source> sources_;
};

}  // namespace palate::retrieval
