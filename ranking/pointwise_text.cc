#include "ranking/pointwise_text.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "domain/attribute.h"
#include "ranking/preferences.h"

namespace palate::ranking {
namespace {

constexpr size_t kMaxDescriptionBytes = 2000;
constexpr size_t kMaxRecentTitles = 6;

// At most the first `max_bytes` of `text`, cut between UTF-8 characters.
absl::string_view Beginning(absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::string ValueText(const AttributeValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value))
    return absl::StrJoin(*list, ", ");
  if (const auto* whole = std::get_if<int64_t>(&value)) return absl::StrCat(*whole);
  if (const auto* real = std::get_if<double>(&value)) return NumberText(*real);
  return std::get<bool>(value) ? "yes" : "no";
}

std::string PreferencesText(const std::vector<Preference>& preferences) {
  return absl::StrJoin(preferences, "; ", [](std::string* out, const Preference& preference) {
    absl::StrAppend(out, preference.attribute, " ", preference.value);
  });
}

std::string RecentTitles(const std::vector<HistoryEntry>& history) {
  const double largest = MaxAbsoluteWeight(history);
  std::vector<absl::string_view> titles;
  std::set<absl::string_view> seen;
  for (const HistoryEntry& entry : history) {
    if (titles.size() >= kMaxRecentTitles) break;
    if (entry.item.title.empty() || EngagementOf(entry.weight, largest) != Engagement::kEngaged)
      continue;
    if (seen.insert(entry.item.item_id).second) titles.push_back(entry.item.title);
  }
  return absl::StrJoin(titles, "; ");
}

void AppendSentence(absl::string_view name, absl::string_view content, std::string& text) {
  if (content.empty()) return;
  absl::StrAppend(&text, text.empty() ? "" : " ", name, ": ", content, ".");
}

}  // namespace

std::string QueryFromHistory(const std::vector<HistoryEntry>& history) {
  const PreferenceSummary summary = Summarize(history);
  std::string text;
  AppendSentence("Likes", PreferencesText(summary.likes), text);
  AppendSentence("Dislikes", PreferencesText(summary.dislikes), text);
  for (const PreferenceSummary::Range& range : summary.ranges) {
    AppendSentence(absl::StrCat("Usual ", range.attribute),
                   absl::StrCat(NumberText(range.low), " to ", NumberText(range.high)), text);
  }
  AppendSentence("Recently liked", RecentTitles(history), text);
  return text;
}

std::string DocumentFromFacts(const ItemFacts& item) {
  std::vector<std::string> lines;
  if (!item.title.empty()) lines.push_back(item.title);
  if (!item.description.empty())
    lines.emplace_back(Beginning(item.description, kMaxDescriptionBytes));
  for (const auto& [name, value] : item.attributes)
    lines.push_back(absl::StrCat(name, ": ", ValueText(value)));
  return absl::StrJoin(lines, "\n");
}

}  // namespace palate::ranking
