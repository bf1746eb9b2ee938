// The attributes of many rows, stored by column, so that a filter is evaluated by scanning arrays
// instead of visiting items.
//
// Usage:
//   AttributeColumnBuilder prices(AttributeType::kDouble, /*rows=*/3);
//   prices.Set(0, 12.5);
//   prices.Set(2, 40.0);
//   std::map<AttributeColumns::Key, AttributeColumn> by_key;
//   by_key.emplace(AttributeColumns::Key("price", AttributeType::kDouble), prices.Finish());
//   const AttributeColumns columns(/*rows=*/3, std::move(by_key));
//   PALATE_ASSIGN_OR_RETURN(const Bitmap cheap,
//                           columns.Evaluate(filter, [] { return absl::OkStatus(); }));
//
// A column has the values of one attribute and one type; strings are codes of a sorted dictionary.
// Columns are immutable and thread-safe; builders are not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "domain/attribute.h"
#include "retrieval/bitmap.h"
#include "retrieval/byte_codec.h"
#include "retrieval/filter.h"

namespace palate::retrieval {

class AttributeColumn {
 public:
  AttributeType type() const { return type_; }
  size_t rows() const { return present_.size(); }

  // Absent for a row without the attribute.
  std::optional<AttributeValue> Get(size_t row) const;
  // The rows that satisfy the term. REQUIRES: the term has the column's type.
  Bitmap Evaluate(const FilterTerm& term) const;
  int64_t memory_bytes() const;

  void Encode(ByteWriter& out) const;
  // DataLoss for malformed bytes.
  static absl::StatusOr<AttributeColumn> Decode(ByteReader& in, size_t rows);

 private:
  friend class AttributeColumnBuilder;

  Bitmap EvaluateStrings(const FilterTerm& term) const;
  template <typename T>
  Bitmap EvaluateNumbers(const FilterTerm& term, const std::vector<T>& values) const;
  bool Consistent() const;

  AttributeType type_ = AttributeType::kString;
  Bitmap present_;                       // of all types
  std::vector<std::string> dictionary_;  // of strings: sorted and distinct
  std::vector<uint32_t> codes_;  // of strings: one per row (0 when absent); of lists: of all rows,
                                 // one after the other
  std::vector<uint32_t> offsets_;  // of lists: rows + 1 offsets into codes_
  std::vector<int64_t> integers_;  // per row
  std::vector<double> numbers_;    // per row
  Bitmap booleans_;
};

// Builds a column from the values of its rows.
class AttributeColumnBuilder {
 public:
  explicit AttributeColumnBuilder(AttributeType type, size_t rows);
  // Called in ascending order of rows, at most once for each; a row without a call has no value.
  // REQUIRES: the value has the builder's type.
  void Set(size_t row, const AttributeValue& value);
  // The last call on this object.
  AttributeColumn Finish();

 private:
  uint32_t Code(const std::string& text);

  AttributeColumn column_;
  absl::flat_hash_map<std::string, uint32_t> code_of_;
  size_t next_row_ = 0;  // of lists: the first row whose offset is not set yet
};

// The columns of one segment, by name and type, because rows written before and after a change of
// an attribute's type may be in the same segment.
class AttributeColumns {
 public:
  using Key = std::pair<std::string, AttributeType>;

  AttributeColumns() = default;
  AttributeColumns(size_t rows, std::map<Key, AttributeColumn> columns)
      : rows_(rows), columns_(std::move(columns)) {}

  // The rows that match the filter, which may name attributes that no row has. Calls `check` before
  // each term and returns its error.
  absl::StatusOr<Bitmap> Evaluate(const Filter& filter,
                                  absl::FunctionRef<absl::Status()> check) const;
  Attributes Get(size_t row) const;
  const std::map<Key, AttributeColumn>& columns() const { return columns_; }
  int64_t memory_bytes() const;

  void Encode(ByteWriter& out) const;
  // DataLoss for malformed bytes.
  static absl::StatusOr<AttributeColumns> Decode(ByteReader& in, size_t rows);

 private:
  size_t rows_ = 0;
  std::map<Key, AttributeColumn> columns_;
};

}  // namespace palate::retrieval
