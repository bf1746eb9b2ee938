#include "base/bytes.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <utf8.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace palate {

static_assert(std::endian::native == std::endian::little,
              "vectors are stored as little-endian float32 by copying memory");

void AppendBigEndian32(uint32_t value, std::string& out) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void AppendBigEndian64(uint64_t value, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

bool ConsumeBigEndian32(absl::string_view& in, uint32_t& value) {
  if (in.size() < 4) return false;
  value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(in[i]);
  in.remove_prefix(4);
  return true;
}

bool ConsumeBigEndian64(absl::string_view& in, uint64_t& value) {
  if (in.size() < 8) return false;
  value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(in[i]);
  in.remove_prefix(8);
  return true;
}

uint32_t Crc32c(absl::string_view data) {
  constexpr size_t kMaxPart = size_t{1} << 30;  // crc32_iscsi takes the length as an int
  uint32_t crc = ~uint32_t{0};

  while (!data.empty()) {
    const absl::string_view part = data.substr(0, kMaxPart);
    auto* bytes =
        reinterpret_cast<unsigned char*>(const_cast<char*>(part.data()));  // not written to
    crc = crc32_iscsi(bytes, static_cast<int>(part.size()), crc);
    data.remove_prefix(part.size());
  }

  return ~crc;
}

std::string Sha256(absl::string_view data) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
             EVP_sha256(), nullptr);
  return digest;
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}
Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Stream::Add(absl::string_view piece) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), piece.data(), piece.size());
}

std::string Sha256Stream::Finish() {
  std::string digest(32, '\0');
  unsigned int size = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_),
                     reinterpret_cast<unsigned char*>(digest.data()), &size);
  return digest;
}

std::string FloatsToBytes(absl::Span<const float> values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

absl::StatusOr<std::vector<float>> FloatsFromBytes(absl::string_view bytes) {
  if (bytes.size() % sizeof(float) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a float32 vector of ", bytes.size(), " bytes; must be a multiple of 4"));
  }

  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

bool IsValidUtf8(absl::string_view text) { return utf8::is_valid(text.begin(), text.end()); }

absl::string_view CutAtCharacter(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

namespace {

// Escapes U+0080 to U+009F, which terminals obey as they do those of ASCII, in valid UTF-8.
std::string EscapeC1(absl::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool control = static_cast<uint8_t>(text[i]) == 0xC2 && i + 1 < text.size() &&
                         static_cast<uint8_t>(text[i + 1]) < 0xA0;
    if (control) {
      absl::StrAppend(&escaped, absl::CEscape(text.substr(i++, 2)));
    } else {
      escaped.push_back(text[i]);
    }
  }
  return escaped;
}

}  // namespace

std::string QuoteForMessage(absl::string_view text, size_t limit) {
  const bool cut = text.size() > limit;
  const absl::string_view shown = CutAtCharacter(text, limit);
  const std::string escaped =
      IsValidUtf8(shown) ? EscapeC1(absl::Utf8SafeCEscape(shown)) : absl::CHexEscape(shown);
  return absl::StrCat("\"", escaped, cut ? "…\"" : "\"");
}

}  // namespace palate
