#include "ranking/prompt.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "ranking/preferences.h"

namespace palate::ranking {
namespace {

// " walnut" for "Walnut", " living room" for "living  room": one space before every word, ASCII
// lower case.
std::string SpacedWords(absl::string_view text) {
  std::string spaced;
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n_"), absl::SkipWhitespace())) {
    absl::StrAppend(&spaced, " ", absl::AsciiStrToLower(word));
  }
  return spaced;
}

// The token for the number of supporting events; sentences distinguish these three.
SpecialToken FrequencyToken(int num_events) {
  if (num_events >= kOftenEvents) return SpecialToken::kOften;
  return num_events == 2 ? SpecialToken::kTwice : SpecialToken::kOnce;
}

// One value of an item line: an optional mark and its words.
struct Phrase {
  bool marked = false;
  SpecialToken mark = SpecialToken::kPad;
  std::string words;
};

int CountPhrase(const Phrase& phrase, const TokenCounter& count) {
  return (phrase.marked ? 1 : 0) + count(phrase.words);
}

void AppendPhrase(const Phrase& phrase, std::vector<Segment>& segments) {
  if (phrase.marked) segments.push_back(Segment::Special(phrase.mark));
  // Adjacent texts form one segment, because the tokenizer encodes them as one text.
  if (!segments.empty() && segments.back().kind == Segment::Kind::kText) {
    segments.back().text += phrase.words;
  } else {
    segments.push_back(Segment::Text(phrase.words));
  }
}

// Tiers of equal width up to the summary's strongest preference, so that the marks of one prompt
// are comparable.
SpecialToken MarkOf(double weight, double strongest) {
  const int tier =
      std::clamp(static_cast<int>(std::abs(weight) / strongest * kNumTiers) + 1, 1, kNumTiers);
  return MarkOfTier(weight > 0 ? tier : -tier);
}

// The position of `value` relative to the range. "Far" means further than the width of the range,
// or than a quarter of its upper end if that is more.
SpecialToken RelationOf(double value, const PreferenceSummary::Range& range) {
  const double reach = std::max(range.high - range.low, 0.25 * std::abs(range.high));
  if (value < range.low)
    return value < range.low - reach ? SpecialToken::kFarBelow : SpecialToken::kBelow;
  if (value > range.high)
    return value > range.high + reach ? SpecialToken::kFarAbove : SpecialToken::kAbove;
  return SpecialToken::kInside;
}

// A bool is written as its attribute name: "waterproof", "no refund".
std::string SpacedValue(const AttributeWord& word) {
  if (word.value != "yes" && word.value != "no") return SpacedWords(word.value);
  return absl::StrCat(word.value == "no" ? " no" : "", SpacedWords(word.attribute));
}

// Writes item lines with the marks of one summary.
class LineWriter {
 public:
  LineWriter(const PreferenceSummary& summary, const PromptOptions& options,
             const TokenCounter& count)
      : options_(options), count_(count), ranges_(summary.ranges) {
    for (const auto* side : {&summary.likes, &summary.dislikes}) {
      for (const Preference& p : *side) strongest_ = std::max(strongest_, std::abs(p.weight));
    }
    for (const auto* side : {&summary.likes, &summary.dislikes}) {
      for (const Preference& p : *side)
        marks_.emplace(AttributeWord{p.attribute, p.value}, MarkOf(p.weight, strongest_));
    }
  }

  SpecialToken Mark(const Preference& preference) const {
    return MarkOf(preference.weight, strongest_);
  }

  // <|item|> … <|label|>
  std::vector<Segment> Line(const ItemFacts& item) const {
    std::vector<Phrase> phrases = PhrasesOf(item);
    Shorten(phrases);

    std::vector<Segment> line = {Segment::Special(SpecialToken::kItem)};
    for (const Phrase& phrase : phrases) AppendPhrase(phrase, line);
    line.push_back(Segment::Special(SpecialToken::kLabel));
    return line;
  }

  int Count(const std::vector<Segment>& segments) const {
    int tokens = 0;
    for (const Segment& segment : segments)
      tokens += segment.kind == Segment::Kind::kSpecial ? 1 : count_(segment.text);
    return tokens;
  }

 private:
  std::vector<Phrase> PhrasesOf(const ItemFacts& item) const {
    std::vector<Phrase> phrases;
    for (const auto& [name, value] : item.attributes) {
      const std::optional<double> number = NumberOf(item.attributes, name);
      if (number.has_value()) AddNumber(name, *number, phrases);
      for (const AttributeWord& word : WordsOf({{name, value}})) AddWord(word, phrases);
    }

    if (options_.include_title || phrases.empty()) {
      // Word by word, so that truncation drops only the end of a long title.
      for (absl::string_view word :
           absl::StrSplit(SpacedWords(item.title), ' ', absl::SkipEmpty())) {
        phrases.push_back({false, SpecialToken::kPad, absl::StrCat(" ", word)});
      }
    }
    return phrases;
  }

  void AddNumber(const std::string& name, double value, std::vector<Phrase>& phrases) const {
    for (const PreferenceSummary::Range& range : ranges_) {
      if (range.attribute == name)
        phrases.push_back({true, RelationOf(value, range), SpacedWords(name)});
    }
  }

  void AddWord(const AttributeWord& word, std::vector<Phrase>& phrases) const {
    const auto mark = marks_.find(word);
    const bool named = mark != marks_.end();
    const auto& named_only = options_.named_only;
    if (!named &&
        std::find(named_only.begin(), named_only.end(), word.attribute) != named_only.end())
      return;

    const bool marked = named && options_.mark_matches;
    phrases.push_back({marked, marked ? mark->second : SpecialToken::kPad, SpacedValue(word)});
  }

  // Shortens to max_item_tokens: drops unmarked phrases from the end, then marked ones.
  void Shorten(std::vector<Phrase>& phrases) const {
    int tokens = 2;  // <|item|> and <|label|>
    for (const Phrase& phrase : phrases) tokens += CountPhrase(phrase, count_);

    for (const bool marked : {false, true}) {
      for (size_t i = phrases.size(); i > 0 && tokens > options_.max_item_tokens; --i) {
        if (phrases[i - 1].marked != marked) continue;
        tokens -= CountPhrase(phrases[i - 1], count_);
        phrases.erase(phrases.begin() + static_cast<std::ptrdiff_t>(i) - 1);
      }
    }
  }

  const PromptOptions& options_;
  const TokenCounter& count_;
  const std::vector<PreferenceSummary::Range>& ranges_;
  double strongest_ = 0;
  std::map<AttributeWord, SpecialToken> marks_;
};

// A history entry in the form of the prompt.
struct ShownEntry {
  std::vector<Segment> line;
  SpecialToken label;
  int tokens = 0;
};

// The strongest event per item, newest first, at most `limit`. Engaged and averse events take
// precedence over passing ones.
std::vector<const HistoryEntry*> ChooseHistory(const std::vector<HistoryEntry>& history, int limit,
                                               int& num_items) {
  std::map<std::string, size_t> position;
  std::vector<const HistoryEntry*> distinct;
  for (const HistoryEntry& entry : history) {
    const auto [found, added] = position.emplace(entry.item.item_id, distinct.size());
    if (added) {
      distinct.push_back(&entry);
    } else if (std::abs(entry.weight) > std::abs(distinct[found->second]->weight)) {
      distinct[found->second] = &entry;
    }
  }

  num_items = static_cast<int>(distinct.size());
  const double largest = MaxAbsoluteWeight(history);
  const auto informative = [largest](const HistoryEntry* e) {
    return EngagementOf(e->weight, largest) != Engagement::kPassing;
  };
  int room_for_passing =
      limit - static_cast<int>(std::count_if(distinct.begin(), distinct.end(), informative));

  std::vector<const HistoryEntry*> chosen;
  for (const HistoryEntry* entry : distinct) {
    if (static_cast<int>(chosen.size()) >= limit) break;
    if (informative(entry) || room_for_passing-- > 0) chosen.push_back(entry);
  }
  return chosen;
}

SpecialToken LabelOf(double weight, double largest) {
  switch (EngagementOf(weight, largest)) {
    case Engagement::kEngaged:
      return SpecialToken::kYes;
    case Engagement::kAverse:
      return SpecialToken::kNo;
    case Engagement::kPassing:
      break;
  }
  return SpecialToken::kSeen;
}

// The summary part of the prefix, shortened to `budget` tokens: ranges are dropped first, then the
// weakest preference of the longer list.
std::vector<Segment> SummarySegments(PreferenceSummary summary, const LineWriter& writer,
                                     int budget) {
  while (true) {
    std::vector<Segment> segments;
    for (const auto* side : {&summary.likes, &summary.dislikes}) {
      for (const Preference& p : *side) {
        AppendPhrase({true, writer.Mark(p), SpacedValue({p.attribute, p.value})}, segments);
      }
    }
    for (const PreferenceSummary::Range& range : summary.ranges) {
      AppendPhrase({true, SpecialToken::kInside, SpacedWords(range.attribute)}, segments);
    }

    if (segments.empty() || writer.Count(segments) <= budget) return segments;
    if (!summary.ranges.empty()) {
      summary.ranges.pop_back();
    } else if (summary.dislikes.size() >= summary.likes.size()) {
      summary.dislikes.pop_back();
    } else {
      summary.likes.pop_back();
    }
  }
}

}  // namespace

int EstimateTokens(const std::string& text) {
  int tokens = 0;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty()))
    tokens += static_cast<int>((word.size() + 3) / 4);
  return tokens;
}

RankPrompt BuildRankPrompt(const RankInput& input, const PreferenceSummary& summary,
                           const PromptOptions& options, const TokenCounter& count) {
  const LineWriter writer(summary, options, count);
  RankPrompt prompt;
  prompt.prefix.push_back(Segment::Special(SpecialToken::kUser));

  int budget = options.max_prefix_tokens - 2;  // <|user|> and <|history|>
  std::vector<Segment> words = SummarySegments(summary, writer, budget);
  budget -= writer.Count(words);
  prompt.prefix.insert(prompt.prefix.end(), std::make_move_iterator(words.begin()),
                       std::make_move_iterator(words.end()));
  prompt.prefix.push_back(Segment::Special(SpecialToken::kHistory));

  int num_items = 0;
  const double largest = MaxAbsoluteWeight(input.history);
  std::vector<ShownEntry> shown;
  for (const HistoryEntry* entry : ChooseHistory(input.history, options.max_history, num_items)) {
    ShownEntry next{writer.Line(entry->item), LabelOf(entry->weight, largest)};
    next.tokens = writer.Count(next.line) + 1;
    if (next.tokens > budget) break;
    budget -= next.tokens;
    shown.push_back(std::move(next));
  }

  prompt.truncated_history = num_items - static_cast<int>(shown.size());
  for (auto entry = shown.rbegin(); entry != shown.rend(); ++entry) {  // oldest first
    prompt.prefix.insert(prompt.prefix.end(), entry->line.begin(), entry->line.end());
    prompt.prefix.push_back(Segment::Special(entry->label));
    prompt.history_labels.push_back(entry->label);
  }

  prompt.candidates.reserve(input.candidates.size());
  for (const ItemFacts& candidate : input.candidates)
    prompt.candidates.push_back(writer.Line(candidate));
  return prompt;
}

std::vector<Segment> BuildExplainPrompt(const ExplanationPlan& plan) {
  std::vector<Segment> prompt = {Segment::Special(SpecialToken::kExplain)};
  if (plan.name_sayable) prompt.push_back(Segment::Special(SpecialToken::kName));
  for (size_t i = 0; i < plan.points.size(); ++i) {
    const PlannedPoint& point = plan.points[i];
    prompt.push_back(Segment::Special(ValueSlot(static_cast<int>(i))));
    prompt.push_back(Segment::Text(absl::StrCat(" ", PointRoleWord(point.role))));
    if (point.kind == PlannedPoint::Kind::kInRange)
      prompt.push_back(Segment::Special(SpecialToken::kInside));
    if (point.kind == PlannedPoint::Kind::kLikedValue)
      prompt.push_back(Segment::Special(FrequencyToken(FrequencyOf(point))));
  }

  for (size_t i = 0; i < plan.events.size(); ++i) {
    prompt.push_back(Segment::Special(SpecialToken::kEvent));
    prompt.push_back(Segment::Special(TitleSlot(static_cast<int>(i))));
    prompt.push_back(
        Segment::Text(absl::StrCat(" ", InteractionPhrase(plan.events[i].interaction))));
    for (size_t p = 0; p < plan.points.size(); ++p) {
      const std::vector<int>& events = plan.points[p].events;
      if (std::find(events.begin(), events.end(), static_cast<int>(i)) == events.end()) continue;
      prompt.push_back(Segment::Special(ValueSlot(static_cast<int>(p))));
    }
  }

  const std::pair<bool, const char*> reasons[] = {{plan.trending, " trending"},
                                                  {plan.fresh, " new"},
                                                  {plan.searched, " search"},
                                                  {plan.similar, " similar"},
                                                  {plan.neighbors, " others"}};
  for (const auto& [given, word] : reasons) {
    if (!given) continue;
    prompt.push_back(Segment::Special(SpecialToken::kReason));
    prompt.push_back(Segment::Text(word));
  }
  prompt.push_back(Segment::Special(SpecialToken::kWrite));
  return prompt;
}

}  // namespace palate::ranking
