#include "retrieval/row_segment.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::retrieval {
namespace {

absl::Status MalformedRows(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("malformed rows: ", what));
}

int64_t ExpireMicros(const ItemUpdate& update) {
  return update.expire_time.has_value() ? absl::ToUnixMicros(*update.expire_time)
                                        : RowSegment::kNeverExpires;
}

// Derives vector_of_row from row_of_vector.
void FillVectorOfRow(SpacePart& part, size_t rows) {
  part.vector_of_row.assign(rows, SpacePart::kNoVector);
  for (uint32_t i = 0; i < part.row_of_vector.size(); ++i)
    part.vector_of_row[part.row_of_vector[i]] = i;
}

}  // namespace

std::optional<uint32_t> RowSegment::Find(absl::string_view item_id) const {
  const auto found = row_of_id_.find(item_id);
  if (found == row_of_id_.end()) return std::nullopt;
  return found->second;
}

void RowSegment::ForEachRowOf(const ItemNumberSet& numbers,
                              absl::FunctionRef<void(size_t row)> visit) const {
  // A look-up by number costs about as much as the test of several rows.
  constexpr size_t kRowsPerLookUp = 8;
  if (numbers.size() > rows_by_number_.size() / kRowsPerLookUp) {
    for (const uint32_t row : rows_by_number_) {
      if (numbers.Contains(numbers_[row])) visit(row);
    }
    return;
  }

  numbers.ForEach([&](uint32_t number) {
    const auto found =
        std::lower_bound(rows_by_number_.begin(), rows_by_number_.end(), number,
                         [&](uint32_t row, uint32_t wanted) { return numbers_[row] < wanted; });
    if (found != rows_by_number_.end() && numbers_[*found] == number) visit(*found);
  });
}

const SpacePart* RowSegment::FindSpace(const SpaceKey& key) const {
  const auto found =
      std::lower_bound(spaces_.begin(), spaces_.end(), key,
                       [](const SpacePart& part, const SpaceKey& k) { return part.key < k; });
  return found != spaces_.end() && found->key == key ? &*found : nullptr;
}

bool RowSegment::Equals(size_t row, const ItemUpdate& update) const {
  const int64_t expire = expire_micros_.empty() ? kNeverExpires : expire_micros_[row];
  if (numbers_[row] != update.number || hidden_.Test(row) != update.hidden ||
      expire != ExpireMicros(update) || columns_.Get(row) != update.attributes)
    return false;

  const auto has_vector = [&](const SpacePart& part) {
    return part.vector_of_row[row] != SpacePart::kNoVector;
  };
  if (std::count_if(spaces_.begin(), spaces_.end(), has_vector) !=
      static_cast<int64_t>(update.vectors.size()))
    return false;

  std::vector<float> held;
  return std::all_of(update.vectors.begin(), update.vectors.end(), [&](const SpaceVector& vector) {
    const SpacePart* part = FindSpace(vector.space);
    if (part == nullptr || !has_vector(*part)) return false;
    held.resize(part->vectors->dimensions());
    part->vectors->Reconstruct(part->vector_of_row[row], held.data());
    return held == vector.values;
  });
}

// Fills the members that are derived from others.
absl::Status RowSegment::Index() {
  row_of_id_.reserve(rows());
  for (uint32_t row = 0; row < rows(); ++row) {
    if (!row_of_id_.emplace(item_id(row), row).second) return MalformedRows("duplicate item id");
  }

  for (uint32_t row = 0; row < rows(); ++row) {
    if (numbers_[row] != 0) rows_by_number_.push_back(row);
  }
  std::sort(rows_by_number_.begin(), rows_by_number_.end(),
            [&](uint32_t a, uint32_t b) { return numbers_[a] < numbers_[b]; });

  memory_bytes_ = ids_.size() + id_offsets_.size() * sizeof(uint64_t) +
                  revisions_.size() * sizeof(int64_t) +
                  (numbers_.size() + rows_by_number_.size()) * sizeof(uint32_t) +
                  expire_micros_.size() * sizeof(int64_t) +
                  row_of_id_.capacity() * (sizeof(absl::string_view) + sizeof(uint64_t)) +
                  columns_.memory_bytes();
  for (const SpacePart& part : spaces_) {
    memory_bytes_ += part.vectors->memory_bytes() +
                     (part.row_of_vector.size() + part.vector_of_row.size()) * sizeof(uint32_t);
  }
  return absl::OkStatus();
}

void RowSegment::EncodeRows(ByteWriter& out) const {
  out.Array(revisions_);
  out.Array(id_offsets_);
  out.String(ids_);
  out.Array(numbers_);
  out.Array(hidden_.words());
  out.Array(expire_micros_);
  columns_.Encode(out);

  out.Number<uint64_t>(spaces_.size());
  for (const SpacePart& part : spaces_) {
    out.String(part.key.name);
    out.String(part.key.fingerprint);
    out.Array(part.row_of_vector);
  }
}

absl::StatusOr<std::shared_ptr<const RowSegment>> RowSegment::Decode(ByteReader& in,
                                                                     LoadVectors load_vectors) {
  auto segment = std::make_shared<RowSegment>();
  segment->revisions_ = in.Array<int64_t>();
  segment->id_offsets_ = in.Array<uint64_t>();
  segment->ids_ = std::string(in.String());

  const size_t rows = segment->rows();
  const std::vector<uint64_t>& offsets = segment->id_offsets_;
  if (!in.ok() || offsets.size() != rows + 1 || offsets.front() != 0 ||
      offsets.back() != segment->ids_.size() || !std::is_sorted(offsets.begin(), offsets.end())) {
    return MalformedRows("item ids");
  }

  segment->numbers_ = in.Array<uint32_t>();
  if (segment->numbers_.size() != rows) return MalformedRows("item numbers");
  if (!Bitmap::FromWords(rows, in.Array<uint64_t>(), segment->hidden_))
    return MalformedRows("hidden flags");
  segment->expire_micros_ = in.Array<int64_t>();
  if (!segment->expire_micros_.empty() && segment->expire_micros_.size() != rows)
    return MalformedRows("expire times");
  PALATE_ASSIGN_OR_RETURN(segment->columns_, AttributeColumns::Decode(in, rows));

  const uint64_t num_spaces = in.Count(sizeof(uint64_t));
  for (uint64_t i = 0; i < num_spaces; ++i) {
    SpacePart part;
    part.key.name = std::string(in.String());
    part.key.fingerprint = std::string(in.String());
    part.row_of_vector = in.Array<uint32_t>();
    const std::vector<uint32_t>& places = part.row_of_vector;
    if (!in.ok() || (!places.empty() && places.back() >= rows) ||
        std::adjacent_find(places.begin(), places.end(), std::greater_equal<>()) != places.end() ||
        (!segment->spaces_.empty() && !(segment->spaces_.back().key < part.key))) {
      return MalformedRows("spaces");
    }
    PALATE_ASSIGN_OR_RETURN(part.vectors, load_vectors(part.key, places.size()));
    FillVectorOfRow(part, rows);
    segment->spaces_.push_back(std::move(part));
  }

  if (!in.done()) return MalformedRows("length");
  PALATE_RETURN_IF_ERROR(segment->Index());
  return segment;
}

absl::StatusOr<std::shared_ptr<const RowSegment>> RowSegmentBuilder::Build() {
  std::sort(sources_.begin(), sources_.end(),
            [](const Source& a, const Source& b) { return a.id() < b.id(); });

  auto segment = std::make_shared<RowSegment>();
  BuildRows(*segment);
  BuildColumns(*segment);
  PALATE_RETURN_IF_ERROR(BuildSpaces(*segment));
  PALATE_RETURN_IF_ERROR(segment->Index());
  return segment;
}

void RowSegmentBuilder::BuildRows(RowSegment& out) const {
  out.id_offsets_.push_back(0);
  out.hidden_ = Bitmap(rows());
  std::vector<int64_t> expire(rows(), RowSegment::kNeverExpires);

  for (size_t row = 0; row < rows(); ++row) {
    const Source& source = sources_[row];
    out.ids_.append(source.id().data(), source.id().size());
    out.id_offsets_.push_back(out.ids_.size());
    if (source.update != nullptr) {
      out.revisions_.push_back(source.update->revision);
      out.numbers_.push_back(source.update->number);
      if (source.update->hidden) out.hidden_.Set(row);
      expire[row] = ExpireMicros(*source.update);
    } else {
      out.revisions_.push_back(source.segment->revision(source.row));
      out.numbers_.push_back(source.segment->number(source.row));
      if (source.segment->hidden().Test(source.row)) out.hidden_.Set(row);
      if (!source.segment->expire_micros().empty())
        expire[row] = source.segment->expire_micros()[source.row];
    }
  }

  const bool some_expire = std::any_of(expire.begin(), expire.end(),
                                       [](int64_t t) { return t != RowSegment::kNeverExpires; });
  if (some_expire) out.expire_micros_ = std::move(expire);
}

void RowSegmentBuilder::BuildColumns(RowSegment& out) const {
  std::map<AttributeColumns::Key, AttributeColumnBuilder> builders;
  const auto builder = [&](const std::string& name, AttributeType type) -> AttributeColumnBuilder& {
    return builders.try_emplace(AttributeColumns::Key(name, type), type, rows()).first->second;
  };

  for (size_t row = 0; row < rows(); ++row) {
    const Source& source = sources_[row];
    if (source.update != nullptr) {
      for (const auto& [name, value] : source.update->attributes)
        builder(name, TypeOf(value)).Set(row, value);
      continue;
    }
    for (const auto& [key, column] : source.segment->columns().columns()) {
      const std::optional<AttributeValue> value = column.Get(source.row);
      if (value.has_value()) builder(key.first, key.second).Set(row, *value);
    }
  }

  std::map<AttributeColumns::Key, AttributeColumn> columns;
  for (auto& [key, column] : builders) columns.emplace(key, column.Finish());
  out.columns_ = AttributeColumns(rows(), std::move(columns));
}

absl::Status RowSegmentBuilder::BuildSpaces(RowSegment& out) const {
  std::set<SpaceKey> keys;
  std::set<const RowSegment*> segments;
  for (const Source& source : sources_) {
    if (source.segment != nullptr) {
      segments.insert(source.segment);
      continue;
    }
    for (const SpaceVector& vector : source.update->vectors) keys.insert(vector.space);
  }
  for (const RowSegment* segment : segments) {
    for (const SpacePart& part : segment->spaces()) keys.insert(part.key);
  }

  for (const SpaceKey& key : keys) {
    if (!dropped_.contains(key)) PALATE_RETURN_IF_ERROR(BuildSpace(key, out));
  }
  return absl::OkStatus();
}

absl::Status RowSegmentBuilder::BuildSpace(const SpaceKey& key, RowSegment& out) const {
  SpacePart part{.key = key, .vectors = nullptr, .row_of_vector = {}, .vector_of_row = {}};
  std::vector<float> values;
  size_t dimensions = 0;

  for (uint32_t row = 0; row < rows(); ++row) {
    const Source& source = sources_[row];
    if (source.update != nullptr) {
      const auto& vectors = source.update->vectors;
      const auto vector = std::find_if(vectors.begin(), vectors.end(),
                                       [&](const SpaceVector& v) { return v.space == key; });
      if (vector == vectors.end()) continue;
      dimensions = vector->values.size();
      if (values.empty()) values.reserve(dimensions * rows());
      values.insert(values.end(), vector->values.begin(), vector->values.end());
    } else {
      const SpacePart* held = source.segment->FindSpace(key);
      if (held == nullptr || held->vector_of_row[source.row] == SpacePart::kNoVector) continue;
      dimensions = held->vectors->dimensions();
      if (values.empty()) values.reserve(dimensions * rows());
      values.resize(values.size() + dimensions);
      held->vectors->Reconstruct(held->vector_of_row[source.row],
                                 values.data() + values.size() - dimensions);
    }
    part.row_of_vector.push_back(row);
  }

  if (part.row_of_vector.empty()) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(part.vectors,
                          factory_.Build(static_cast<int>(dimensions), values, delta_));
  FillVectorOfRow(part, rows());
  out.spaces_.push_back(std::move(part));
  return absl::OkStatus();
}

}  // namespace palate::retrieval
