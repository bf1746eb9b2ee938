#include "retrieval/columns.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::retrieval {
namespace {

void EncodeBitmap(const Bitmap& bitmap, ByteWriter& out) { out.Array(bitmap.words()); }

bool DecodeBitmap(ByteReader& in, size_t size, Bitmap& out) {
  return Bitmap::FromWords(size, in.Array<uint64_t>(), out) && in.ok();
}

absl::Status MalformedColumn(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("malformed attribute column: ", what));
}

// Sorts the dictionary and updates the codes.
void SortDictionary(std::vector<std::string>& dictionary, std::vector<uint32_t>& codes) {
  std::vector<uint32_t> order(dictionary.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return dictionary[a] < dictionary[b]; });

  std::vector<uint32_t> new_code(dictionary.size());
  std::vector<std::string> sorted(dictionary.size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    new_code[order[i]] = i;
    sorted[i] = std::move(dictionary[order[i]]);
  }
  dictionary = std::move(sorted);
  if (dictionary.empty()) return;
  for (uint32_t& code : codes) code = new_code[code];
}

}  // namespace

std::optional<AttributeValue> AttributeColumn::Get(size_t row) const {
  if (!present_.Test(row)) return std::nullopt;

  switch (type_) {
    case AttributeType::kString:
      return AttributeValue(dictionary_[codes_[row]]);
    case AttributeType::kStringList: {
      std::vector<std::string> list;
      for (uint32_t i = offsets_[row]; i < offsets_[row + 1]; ++i)
        list.push_back(dictionary_[codes_[i]]);
      return AttributeValue(std::move(list));
    }
    case AttributeType::kInt64:
      return AttributeValue(integers_[row]);
    case AttributeType::kDouble:
      return AttributeValue(numbers_[row]);
    case AttributeType::kBool:
      return AttributeValue(booleans_.Test(row));
  }
  return std::nullopt;
}

Bitmap AttributeColumn::Evaluate(const FilterTerm& term) const {
  switch (type_) {
    case AttributeType::kString:
    case AttributeType::kStringList:
      return EvaluateStrings(term);
    case AttributeType::kInt64:
      return EvaluateNumbers(term, integers_);
    case AttributeType::kDouble:
      return EvaluateNumbers(term, numbers_);
    case AttributeType::kBool:
      break;
  }

  Bitmap matches = booleans_;
  const bool wanted =
      std::get<std::vector<bool>>(term.values).front() == (term.op == FilterOperator::kEqual);
  if (!wanted) matches.Invert();
  matches.And(present_);
  return matches;
}

Bitmap AttributeColumn::EvaluateStrings(const FilterTerm& term) const {
  // By code. One more than the codes, so that code 0 of rows without a value is in range.
  std::vector<bool> wanted(dictionary_.size() + 1, false);
  for (const std::string& value : std::get<std::vector<std::string>>(term.values)) {
    const auto found = std::lower_bound(dictionary_.begin(), dictionary_.end(), value);
    if (found != dictionary_.end() && *found == value) wanted[found - dictionary_.begin()] = true;
  }
  if (term.op == FilterOperator::kNotEqual) wanted.flip();

  Bitmap matches(rows());
  if (type_ == AttributeType::kString) {
    matches.Fill([&](size_t row) { return wanted[codes_[row]]; });
    matches.And(present_);
    return matches;
  }

  matches.Fill([&](size_t row) {
    return std::any_of(codes_.begin() + offsets_[row], codes_.begin() + offsets_[row + 1],
                       [&](uint32_t code) { return wanted[code]; });
  });
  return matches;
}

template <typename T>
Bitmap AttributeColumn::EvaluateNumbers(const FilterTerm& term,
                                        const std::vector<T>& values) const {
  const auto& operands = std::get<std::vector<T>>(term.values);
  const T operand = operands.front();
  Bitmap matches(rows());

  switch (term.op) {
    case FilterOperator::kAny:
      matches.Fill([&](size_t row) {
        return std::binary_search(operands.begin(), operands.end(), values[row]);
      });
      break;
    case FilterOperator::kEqual:
      matches.Fill([&](size_t row) { return values[row] == operand; });
      break;
    case FilterOperator::kNotEqual:
      matches.Fill([&](size_t row) { return values[row] != operand; });
      break;
    case FilterOperator::kLess:
      matches.Fill([&](size_t row) { return values[row] < operand; });
      break;
    case FilterOperator::kLessOrEqual:
      matches.Fill([&](size_t row) { return values[row] <= operand; });
      break;
    case FilterOperator::kGreater:
      matches.Fill([&](size_t row) { return values[row] > operand; });
      break;
    case FilterOperator::kGreaterOrEqual:
      matches.Fill([&](size_t row) { return values[row] >= operand; });
      break;
  }

  matches.And(present_);
  return matches;
}

int64_t AttributeColumn::memory_bytes() const {
  int64_t bytes = (present_.words().size() + booleans_.words().size()) * sizeof(uint64_t);
  bytes += (codes_.size() + offsets_.size()) * sizeof(uint32_t) +
           integers_.size() * sizeof(int64_t) + numbers_.size() * sizeof(double);
  for (const std::string& text : dictionary_) bytes += sizeof(std::string) + text.size();
  return bytes;
}

void AttributeColumn::Encode(ByteWriter& out) const {
  out.Number<uint8_t>(static_cast<uint8_t>(type_));
  EncodeBitmap(present_, out);

  switch (type_) {
    case AttributeType::kString:
    case AttributeType::kStringList:
      out.Number<uint64_t>(dictionary_.size());
      for (const std::string& text : dictionary_) out.String(text);
      out.Array(codes_);
      out.Array(offsets_);
      break;
    case AttributeType::kInt64:
      out.Array(integers_);
      break;
    case AttributeType::kDouble:
      out.Array(numbers_);
      break;
    case AttributeType::kBool:
      EncodeBitmap(booleans_, out);
      break;
  }
}

absl::StatusOr<AttributeColumn> AttributeColumn::Decode(ByteReader& in, size_t rows) {
  AttributeColumn column;
  const uint8_t type = in.Number<uint8_t>();
  if (type > static_cast<uint8_t>(AttributeType::kBool)) return MalformedColumn("unknown type");
  column.type_ = static_cast<AttributeType>(type);
  if (!DecodeBitmap(in, rows, column.present_)) return MalformedColumn("presence");

  switch (column.type_) {
    case AttributeType::kString:
    case AttributeType::kStringList: {
      const uint64_t size = in.Count(sizeof(uint64_t));
      for (uint64_t i = 0; i < size; ++i) column.dictionary_.emplace_back(in.String());
      column.codes_ = in.Array<uint32_t>();
      column.offsets_ = in.Array<uint32_t>();
      break;
    }
    case AttributeType::kInt64:
      column.integers_ = in.Array<int64_t>();
      break;
    case AttributeType::kDouble:
      column.numbers_ = in.Array<double>();
      break;
    case AttributeType::kBool:
      if (!DecodeBitmap(in, rows, column.booleans_)) return MalformedColumn("truth values");
      break;
  }

  if (!in.ok() || !column.Consistent()) return MalformedColumn("sizes do not agree");
  return column;
}

// Whether all arrays have the lengths, and all codes the range, that the other methods rely on.
bool AttributeColumn::Consistent() const {
  const auto codes_in_range = [&] {
    const size_t limit = std::max<size_t>(dictionary_.size(), 1);
    return std::all_of(codes_.begin(), codes_.end(), [&](uint32_t code) { return code < limit; });
  };

  switch (type_) {
    case AttributeType::kString:
      return codes_.size() == rows() && offsets_.empty() && codes_in_range() &&
             (!dictionary_.empty() || present_.Count() == 0);
    case AttributeType::kStringList:
      return offsets_.size() == rows() + 1 && offsets_.front() == 0 &&
             offsets_.back() == codes_.size() && std::is_sorted(offsets_.begin(), offsets_.end()) &&
             codes_in_range() && (!dictionary_.empty() || codes_.empty());
    case AttributeType::kInt64:
      return integers_.size() == rows();
    case AttributeType::kDouble:
      return numbers_.size() == rows();
    case AttributeType::kBool:
      return true;
  }
  return false;
}

AttributeColumnBuilder::AttributeColumnBuilder(AttributeType type, size_t rows) {
  column_.type_ = type;
  column_.present_ = Bitmap(rows);

  switch (type) {
    case AttributeType::kString:
      column_.codes_.resize(rows);
      break;
    case AttributeType::kStringList:
      column_.offsets_.resize(rows + 1);
      break;
    case AttributeType::kInt64:
      column_.integers_.resize(rows);
      break;
    case AttributeType::kDouble:
      column_.numbers_.resize(rows);
      break;
    case AttributeType::kBool:
      column_.booleans_ = Bitmap(rows);
      break;
  }
}

uint32_t AttributeColumnBuilder::Code(const std::string& text) {
  const auto [entry, added] =
      code_of_.try_emplace(text, static_cast<uint32_t>(column_.dictionary_.size()));
  if (added) column_.dictionary_.push_back(text);
  return entry->second;
}

void AttributeColumnBuilder::Set(size_t row, const AttributeValue& value) {
  column_.present_.Set(row);

  switch (column_.type_) {
    case AttributeType::kString:
      column_.codes_[row] = Code(std::get<std::string>(value));
      break;
    case AttributeType::kStringList:
      while (next_row_ <= row)
        column_.offsets_[next_row_++] = static_cast<uint32_t>(column_.codes_.size());
      for (const std::string& text : std::get<std::vector<std::string>>(value))
        column_.codes_.push_back(Code(text));
      break;
    case AttributeType::kInt64:
      column_.integers_[row] = std::get<int64_t>(value);
      break;
    case AttributeType::kDouble:
      column_.numbers_[row] = std::get<double>(value);
      break;
    case AttributeType::kBool:
      if (std::get<bool>(value)) column_.booleans_.Set(row);
      break;
  }
}

AttributeColumn AttributeColumnBuilder::Finish() {
  while (next_row_ < column_.offsets_.size())
    column_.offsets_[next_row_++] = static_cast<uint32_t>(column_.codes_.size());

  SortDictionary(column_.dictionary_, column_.codes_);
  column_.dictionary_.shrink_to_fit();
  column_.codes_.shrink_to_fit();
  return std::move(column_);
}

absl::StatusOr<Bitmap> AttributeColumns::Evaluate(const Filter& filter,
                                                  absl::FunctionRef<absl::Status()> check) const {
  if (filter.matches_everything()) return Bitmap(rows_, true);

  std::vector<Bitmap> stack;
  stack.reserve(filter.stack_depth());
  for (const FilterStep& step : filter.steps()) {
    if (step.kind == FilterStep::Kind::kTerm) {
      PALATE_RETURN_IF_ERROR(check());
      const FilterTerm& term = filter.terms()[step.term];
      const auto column = columns_.find(Key(term.attribute, term.type));
      stack.push_back(column == columns_.end() ? Bitmap(rows_) : column->second.Evaluate(term));
      continue;
    }
    if (step.kind == FilterStep::Kind::kNot) {
      stack.back().Invert();
      continue;
    }

    const Bitmap right = std::move(stack.back());
    stack.pop_back();
    if (step.kind == FilterStep::Kind::kAnd) {
      stack.back().And(right);
    } else {
      stack.back().Or(right);
    }
  }
  return std::move(stack.back());
}

Attributes AttributeColumns::Get(size_t row) const {
  Attributes attributes;
  for (const auto& [key, column] : columns_) {
    std::optional<AttributeValue> value = column.Get(row);
    if (value.has_value()) attributes.emplace(key.first, *std::move(value));
  }
  return attributes;
}

int64_t AttributeColumns::memory_bytes() const {
  int64_t bytes = 0;
  for (const auto& [key, column] : columns_) bytes += column.memory_bytes();
  return bytes;
}

void AttributeColumns::Encode(ByteWriter& out) const {
  out.Number<uint64_t>(columns_.size());
  for (const auto& [key, column] : columns_) {
    out.String(key.first);
    column.Encode(out);
  }
}

absl::StatusOr<AttributeColumns> AttributeColumns::Decode(ByteReader& in, size_t rows) {
  std::map<Key, AttributeColumn> columns;
  const uint64_t count = in.Count(sizeof(uint64_t));
  for (uint64_t i = 0; i < count; ++i) {
    std::string name(in.String());
    PALATE_ASSIGN_OR_RETURN(AttributeColumn column, AttributeColumn::Decode(in, rows));
    const AttributeType type = column.type();
    if (!columns.emplace(Key(std::move(name), type), std::move(column)).second)
      return MalformedColumn("duplicate name and type");
  }

  if (!in.ok()) return MalformedColumn("truncated");
  return AttributeColumns(rows, std::move(columns));
}

}  // namespace palate::retrieval
