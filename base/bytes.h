// Byte codecs for keys, files and messages: big-endian integers, whose bytes sort as the numbers
// do, checksums, digests and UTF-8. The functions are thread-safe.
//
// Usage:
//   std::string key;
//   AppendBigEndian64(revision, key);
//   absl::string_view rest = key;
//   uint64_t read = 0;
//   const bool complete = ConsumeBigEndian64(rest, read);
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
// Remove the number from the front of `in`. When fewer bytes are left, they return false and leave
// `in` and `value` unchanged.
bool ConsumeBigEndian32(absl::string_view& in, uint32_t& value);
bool ConsumeBigEndian64(absl::string_view& in, uint64_t& value);

// CRC-32C (Castagnoli) of `data`.
uint32_t Crc32c(absl::string_view data);

// SHA-256: 32 raw bytes.
std::string Sha256(absl::string_view data);

// SHA-256 of data that arrives in pieces. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(absl::string_view piece);
  // The digest of all pieces: 32 raw bytes. The last call on this object.
  std::string Finish();

 private:
  void* const context_;  // an EVP_MD_CTX
};

// Vectors are sent and stored as little-endian float32.
std::string FloatsToBytes(absl::Span<const float> values);
// InvalidArgument when the length is not a multiple of 4.
absl::StatusOr<std::vector<float>> FloatsFromBytes(absl::string_view bytes);

bool IsValidUtf8(absl::string_view text);

// The longest beginning of `text` that ends at a character and has at most `limit` bytes. Of text
// that is not UTF-8, a few bytes less than `limit` may be left.
absl::string_view CutAtCharacter(absl::string_view text, size_t limit);

// Quotes input for an error message: at most `limit` bytes of `text`, cut at a character, with
// control characters escaped. Of invalid UTF-8 every byte beyond ASCII is escaped as well.
std::string QuoteForMessage(absl::string_view text, size_t limit = 60);

}  // namespace palate
