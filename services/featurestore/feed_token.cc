#include "services/featurestore/feed_token.h"

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::services {
namespace {

constexpr char kFormat = 1;

void AppendSized(const std::string& text, std::string& out) {
  AppendBigEndian32(static_cast<uint32_t>(text.size()), out);
  out += text;
}

bool ConsumeSized(absl::string_view& in, std::string& text) {
  uint32_t size = 0;
  if (!ConsumeBigEndian32(in, size) || size > in.size()) return false;
  text = std::string(in.substr(0, size));
  in.remove_prefix(size);
  return true;
}

}  // namespace

std::string EncodeFeedToken(const FeedPositions& positions) {
  std::string out(1, kFormat);
  for (const auto& [catalog, token] : positions) {
    AppendSized(catalog, out);
    AppendSized(token, out);
  }
  return out;
}

absl::StatusOr<FeedPositions> DecodeFeedToken(absl::string_view token) {
  const absl::Status wrong = InvalidField(
      "resume_token", absl::StrCat("of ", token.size(), " bytes is unknown"), "a next_token");
  if (token.empty() || token[0] != kFormat) return wrong;
  token.remove_prefix(1);

  FeedPositions positions;
  while (!token.empty()) {
    std::string catalog;
    if (!ConsumeSized(token, catalog) || !ConsumeSized(token, positions[catalog])) return wrong;
  }
  return positions;
}

}  // namespace palate::services
