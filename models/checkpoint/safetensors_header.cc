#include "models/checkpoint/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

// The format's limit on the header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// No tensor of a model has more dimensions; this bounds the lists of a hostile file.
constexpr size_t kMaxDimensions = 32;
constexpr char kMetadata[] = "__metadata__";

absl::Status CorruptTensor(const std::string& name, absl::string_view problem) {
  return absl::DataLossError(absl::StrCat("tensor ", QuoteForMessage(name), " ", problem));
}

// The size of a tensor in bytes, or nullopt when it exceeds 64 bits.
std::optional<uint64_t> ByteSize(TensorType type, const std::vector<int64_t>& shape) {
  uint64_t size = TensorTypeSize(type);
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size)) return std::nullopt;
  }
  return size;
}

// The header's fields for one tensor, unchecked.
struct Declared {
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;
};

absl::StatusOr<TensorEntry> ToEntry(const std::string& name, const Declared& declared,
                                    absl::string_view data) {
  if (!declared.dtype.has_value() || !declared.shape.has_value() || !declared.offsets.has_value()) {
    return CorruptTensor(name, "lacks dtype, shape or data_offsets");
  }

  const std::optional<TensorType> type = TensorTypeByName(*declared.dtype);
  if (!type.has_value())
    return CorruptTensor(
        name, absl::StrCat("has the unsupported dtype ", QuoteForMessage(*declared.dtype)));

  TensorEntry entry{.type = *type};
  for (const uint64_t extent : *declared.shape) {
    if (extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return CorruptTensor(name, "has a shape that is not a list of sizes");
    entry.shape.push_back(static_cast<int64_t>(extent));
  }

  const std::optional<uint64_t> size = ByteSize(entry.type, entry.shape);
  if (!size.has_value()) return CorruptTensor(name, "has a shape whose size overflows");
  if (declared.offsets->size() != 2)
    return CorruptTensor(name, "has data_offsets that are not a pair of positions");
  const uint64_t begin = (*declared.offsets)[0];
  const uint64_t end = (*declared.offsets)[1];
  if (begin > end || end > data.size()) {
    return CorruptTensor(
        name, absl::StrCat("lies at [", begin, ", ", end, ") of ", data.size(), " bytes of data"));
  }
  if (end - begin != *size) {
    return CorruptTensor(
        name, absl::StrCat("has ", end - begin, " bytes of data, but its shape needs ", *size));
  }

  entry.data = data.substr(begin, end - begin);
  return entry;
}

// Receives the header's JSON as parser events. The first unexpected element stops the parser. The
// current place is `depth_` (1: tensor names; 2: the fields of one tensor or the metadata) and the
// keys that lead to it.
class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderEvents(absl::string_view data, std::map<std::string, TensorEntry>& tensors,
               std::map<std::string, std::string>& metadata)
      : data_(data), tensors_(tensors), metadata_(metadata) {}

  const absl::Status& status() const { return status_; }

  bool null() override { return Misplaced(); }
  bool boolean(bool) override { return Misplaced(); }
  bool number_integer(number_integer_t) override { return Misplaced(); }
  bool number_float(number_float_t, const string_t&) override { return Misplaced(); }
  bool binary(binary_t&) override { return Misplaced(); }

  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == nullptr) return Misplaced();
    if (list_->size() == kMaxDimensions)
      return Refuse(CorruptTensor(
          name_, absl::StrCat("has a list of more than ", kMaxDimensions, " numbers")));
    list_->push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && name_ == kMetadata) {
      if (!metadata_.emplace(field_, value).second) return Refuse(Twice(field_));
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") return Misplaced();
    if (declared_.dtype.has_value()) return Refuse(Twice(field_));
    declared_.dtype = value;
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ >= 2) return Misplaced();
    ++depth_;
    if (depth_ == 2) declared_ = Declared{};
    return true;
  }

  bool key(string_t& value) override {
    if (depth_ == 1) {
      name_ = value;
      if (name_ == kMetadata ? std::exchange(has_metadata_, true) : tensors_.count(name_) > 0)
        return Refuse(Twice(name_));
      return true;
    }

    field_ = value;
    if (name_ != kMetadata && field_ != "dtype" && field_ != "shape" && field_ != "data_offsets") {
      return Refuse(
          CorruptTensor(name_, absl::StrCat("has the unknown field ", QuoteForMessage(field_))));
    }
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ != 1 || name_ == kMetadata) return true;

    absl::StatusOr<TensorEntry> entry = ToEntry(name_, declared_, data_);
    if (!entry.ok()) return Refuse(entry.status());
    tensors_.emplace(name_, *std::move(entry));
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ == 0) return Refuse(absl::DataLossError("its header is not a JSON object"));
    if (depth_ != 2 || name_ == kMetadata || field_ == "dtype" || list_ != nullptr)
      return Misplaced();

    std::optional<std::vector<uint64_t>>& list =
        field_ == "shape" ? declared_.shape : declared_.offsets;
    if (list.has_value()) return Refuse(Twice(field_));
    list_ = &list.emplace();
    return true;
  }

  bool end_array() override {
    list_ = nullptr;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Refuse(
        absl::DataLossError(absl::StrCat("its header is not valid JSON at byte ", position)));
  }

 private:
  bool Refuse(absl::Status status) {
    status_ = std::move(status);
    return false;
  }

  static absl::Status Twice(const std::string& key) {
    return absl::DataLossError(
        absl::StrCat("its header has the key ", QuoteForMessage(key), " twice"));
  }

  // Refuses a value whose type is wrong for its place.
  bool Misplaced() {
    if (depth_ == 0) return Refuse(absl::DataLossError("its header is not a JSON object"));
    if (name_ == kMetadata) {
      return Refuse(absl::DataLossError(
          depth_ == 1
              ? std::string("__metadata__ is not an object")
              : absl::StrCat("__metadata__ entry ", QuoteForMessage(field_), " is not a string")));
    }
    if (depth_ == 1) return Refuse(CorruptTensor(name_, "lacks dtype, shape or data_offsets"));
    if (field_ == "dtype") return Refuse(CorruptTensor(name_, "has a dtype that is not a string"));
    if (field_ == "shape")
      return Refuse(CorruptTensor(name_, "has a shape that is not a list of sizes"));
    return Refuse(CorruptTensor(name_, "has data_offsets that are not a pair of positions"));
  }

  const absl::string_view data_;
  std::map<std::string, TensorEntry>& tensors_;
  std::map<std::string, std::string>& metadata_;
  absl::Status status_;
  int depth_ = 0;
  bool has_metadata_ = false;
  std::string name_;   // the current key at depth 1
  std::string field_;  // the current key at depth 2
  Declared declared_;
  std::vector<uint64_t>* list_ = nullptr;  // the list in `declared_` that is being filled
};

uint64_t ReadLength(absl::string_view bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < kSafetensorsLengthBytes; ++i)
    length |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return length;
}

// The format demands that the tensors cover the data exactly, without overlap or gap.
absl::Status CheckCoverage(absl::string_view data,
                           const std::map<std::string, TensorEntry>& tensors) {
  std::vector<std::pair<absl::string_view, const std::string*>> ranges;
  ranges.reserve(tensors.size());
  for (const auto& [name, entry] : tensors) ranges.emplace_back(entry.data, &name);

  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return std::make_pair(a.first.data(), a.first.size()) <
           std::make_pair(b.first.data(), b.first.size());
  });

  const char* covered = data.data();
  for (const auto& [range, name] : ranges) {
    if (range.data() < covered) return CorruptTensor(*name, "overlaps another tensor");
    if (range.data() > covered)
      return CorruptTensor(*name, "follows a gap that belongs to no tensor");
    covered = range.data() + range.size();
  }

  const size_t rest = static_cast<size_t>(data.data() + data.size() - covered);
  if (rest != 0)
    return absl::DataLossError(absl::StrCat("its last ", rest, " bytes belong to no tensor"));
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseSafetensorsHeader(absl::string_view bytes,
                                    std::map<std::string, TensorEntry>& tensors,
                                    std::map<std::string, std::string>& metadata) {
  if (bytes.size() < kSafetensorsLengthBytes)
    return absl::DataLossError(absl::StrCat("it has only ", bytes.size(), " bytes"));

  const uint64_t length = ReadLength(bytes);
  if (length > kMaxHeaderBytes) {
    return absl::DataLossError(
        absl::StrCat("it declares a header of ", length, " bytes, at most ", kMaxHeaderBytes));
  }
  if (length > bytes.size() - kSafetensorsLengthBytes) {
    return absl::DataLossError(absl::StrCat("it declares a header of ", length, " bytes, but has ",
                                            bytes.size(), " in all"));
  }

  const absl::string_view header = bytes.substr(kSafetensorsLengthBytes, length);
  const absl::string_view data = bytes.substr(kSafetensorsLengthBytes + length);
  if (!IsValidUtf8(header)) return absl::DataLossError("its header is not UTF-8");

  HeaderEvents events(data, tensors, metadata);
  nlohmann::json::sax_parse(header.begin(), header.end(), &events);
  PALATE_RETURN_IF_ERROR(events.status());
  return CheckCoverage(data, tensors);
}

}  // namespace palate::models
