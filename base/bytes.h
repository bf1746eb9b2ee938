// Byte codecs for keys, files and the wire: big-endian integers that sort as numbers, checksums,
// digests, UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace palate {

void AppendBigEndian32(uint32_t value, std::string& out);
void AppendBigEndian64(uint64_t value, std::string& out);
// Take the number off the front of `in`; false (and `in` untouched) when too few bytes are left.
bool ConsumeBigEndian32(absl::string_view& in, uint32_t& value);
bool ConsumeBigEndian64(absl::string_view& in, uint64_t& value);

// CRC-32C (Castagnoli) of `data`.
uint32_t Crc32c(absl::string_view data);

// SHA-256: 32 raw bytes.
std::string Sha256(absl::string_view data);

// The same of data that comes in pieces. Used by one thread at a time.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(absl::string_view piece);
  // The digest of all pieces. Called once, last.
  std::string Finish();

 private:
  void* const context_;  // an EVP_MD_CTX
};

// Vectors travel and rest as little-endian float32.
std::string FloatsToBytes(absl::Span<const float> values);
// InvalidArgument when the length is no multiple of 4.
absl::StatusOr<std::vector<float>> FloatsFromBytes(absl::string_view bytes);

bool IsValidUtf8(absl::string_view text);

// At most `limit` bytes of `text`, cut at a character, control characters escaped, quoted: for
// error messages about input.
std::string QuoteForMessage(absl::string_view text, size_t limit = 60);

}  // namespace palate
