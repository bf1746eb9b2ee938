// Bytes of our own files: little-endian numbers, length-prefixed strings and arrays, every read
// checked against the end.
//
// A reader turns bad at the first read that does not fit and then returns zeros: check ok() once
// behind a group of reads.
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

static_assert(std::endian::native == std::endian::little,
              "arrays are written as they lie in memory");

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
  // Read to the last byte without an error.
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
  // A number of things that take at least `min_bytes` each, so that a wrong count cannot ask for
  // more memory than the file has bytes.
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
