// The encoding inside snapshot files: little-endian numbers, strings and arrays with their length
// before them.
//
// Usage:
//   ByteWriter out;
//   out.Number<uint32_t>(7);
//   out.String("mug");
//   ByteReader in(out.bytes());
//   const uint32_t number = in.Number<uint32_t>();
//   const std::string name(in.String());
//   if (!in.done()) return absl::DataLossError("malformed record");
//
// Every read is checked against the end of the bytes. From the first read that does not fit, ok()
// is false and reads return zeros and empty values, so callers check ok() once after a group of
// reads. Not thread-safe.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace palate::retrieval {

static_assert(std::endian::native == std::endian::little, "arrays are written by copying memory");

class ByteWriter {
 public:
  template <typename T>
  void Number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void String(absl::string_view text) {
    Number<uint64_t>(text.size());
    bytes_.append(text.data(), text.size());
  }
  template <typename T>
  void Array(const std::vector<T>& values) {
    static_assert(std::is_arithmetic_v<T>);
    Number<uint64_t>(values.size());
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  // Borrows `bytes`.
  explicit ByteReader(absl::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  // Whether all bytes were read without an error.
  bool done() const { return ok_ && rest_.empty(); }

  template <typename T>
  T Number() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    const absl::string_view bytes = Bytes(sizeof(T));
    if (ok_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  // Points into the reader's bytes.
  absl::string_view String() { return Bytes(Number<uint64_t>()); }
  template <typename T>
  std::vector<T> Array() {
    static_assert(std::is_arithmetic_v<T>);
    const uint64_t size = Number<uint64_t>();
    if (!ok_ || size > rest_.size() / sizeof(T)) {
      ok_ = false;
      return {};
    }
    const absl::string_view bytes = Bytes(size * sizeof(T));
    std::vector<T> values(size);
    if (size > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  // The number of the elements that follow, each of at least `min_bytes`. A number that does not
  // fit into the rest is an error, so that a wrong count cannot allocate more memory than the file
  // has bytes.
  uint64_t Count(size_t min_bytes = 1) {
    const uint64_t count = Number<uint64_t>();
    if (ok_ && count > rest_.size() / min_bytes) ok_ = false;
    return ok_ ? count : 0;
  }

 private:
  absl::string_view Bytes(uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const absl::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace palate::retrieval
