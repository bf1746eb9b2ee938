#include "embedding/fetch/host_list.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"

namespace palate::embedding {
namespace {

constexpr size_t kMaxHostBytes = 253;
constexpr int kMaxPort = 65535;

bool IsHostCharacter(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_'; }

bool IsName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxHostBytes || name.front() == '.' || name.back() == '.')
    return false;
  return std::all_of(name.begin(), name.end(), IsHostCharacter) && !absl::StrContains(name, "..");
}

bool IsBracketedAddress(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "[") || !absl::ConsumeSuffix(&name, "]")) return false;
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isxdigit(c) || c == ':' || c == '.';
  });
}

}  // namespace

absl::StatusOr<HostList> HostList::Parse(absl::string_view text) {
  HostList list;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (part.empty()) continue;

    absl::string_view name = part;
    Entry entry;
    const size_t colon = name.rfind(':');
    if (colon != absl::string_view::npos && !absl::EndsWith(name, "]")) {
      if (!absl::SimpleAtoi(name.substr(colon + 1), &entry.port) || entry.port < 1 ||
          entry.port > kMaxPort) {
        return absl::InvalidArgumentError(absl::StrCat(
            QuoteForMessage(part), " must have a port from 1 to ", kMaxPort, " after its colon"));
      }
      name = name.substr(0, colon);
    }

    entry.only_below = absl::ConsumePrefix(&name, "*.");
    if (!IsName(name) && (entry.only_below || !IsBracketedAddress(name))) {
      return absl::InvalidArgumentError(
          absl::StrCat(QuoteForMessage(part), " is not a host name, a *.name or an address"));
    }

    entry.name = absl::StrCat(entry.only_below ? "." : "", absl::AsciiStrToLower(name));
    list.entries_.push_back(std::move(entry));
  }
  return list;
}

bool HostList::Allows(absl::string_view host, int port, int default_port) const {
  std::string name = absl::AsciiStrToLower(host);
  if (absl::EndsWith(name, ".")) name.pop_back();  // "example.com." is the same name

  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    if (port != (entry.port == 0 ? default_port : entry.port)) return false;
    return entry.only_below ? name.size() > entry.name.size() && absl::EndsWith(name, entry.name)
                            : name == entry.name;
  });
}

}  // namespace palate::embedding
