#include "ranking/explain/evidence_text.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "ranking/preferences.h"

namespace palate::ranking {
namespace {

bool IsLetter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// Whether text[i] joins the characters on both sides of it into one word.
bool JoinsWord(absl::string_view text, size_t i) {
  if (i == 0 || i + 1 >= text.size() || !IsLetter(text[i - 1]) || !IsLetter(text[i + 1]))
    return false;
  if (text[i] == '-' || text[i] == '\'') return true;
  return (text[i] == '.' || text[i] == ',') && IsDigit(text[i - 1]) && IsDigit(text[i + 1]);
}

TextToken::Kind KindOfSign(char c) {
  if (absl::StrContains(".!?", c)) return TextToken::Kind::kSentenceBreak;
  if (absl::StrContains(",:;()-'\"", c)) return TextToken::Kind::kClauseBreak;
  return TextToken::Kind::kSign;
}

void AddWord(absl::string_view word, std::vector<TextToken>& tokens) {
  std::string lower = absl::AsciiStrToLower(word);
  const bool possessive = lower.size() > 2 && absl::EndsWith(lower, "'s");
  if (possessive) lower.resize(lower.size() - 2);
  const bool capital = absl::ascii_isupper(static_cast<unsigned char>(word[0]));
  tokens.push_back({TextToken::Kind::kWord, std::move(lower), {}, capital});
  if (possessive) tokens.push_back({TextToken::Kind::kWord, "'s", {}});
}

}  // namespace

std::vector<TextToken> TokenizeText(absl::string_view original) {
  const std::string text = absl::StrReplaceAll(original, {{"\u2018", "'"},
                                                          {"\u2019", "'"},
                                                          {"\u201c", "\""},
                                                          {"\u201d", "\""},
                                                          {"\u2013", " - "},
                                                          {"\u2014", " - "}});

  std::vector<TextToken> tokens;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    while (i < text.size() && (IsLetter(text[i]) || (i > begin && JoinsWord(text, i)))) ++i;
    if (i > begin) {
      AddWord(absl::string_view(text).substr(begin, i - begin), tokens);
      continue;
    }
    if (!absl::ascii_isspace(static_cast<unsigned char>(text[i]))) {
      tokens.push_back({KindOfSign(text[i]), std::string(1, text[i]), {}});
    }
    ++i;
  }
  return tokens;
}

MentionMatcher::MentionMatcher(const ExplanationPlan& plan, bool (*plain)(absl::string_view)) {
  if (plan.name_sayable) Add(plan.item.title, {Mention::Kind::kName, -1, -1, "", ""}, plain);
  for (size_t i = 0; i < plan.events.size(); ++i) {
    Add(plan.events[i].title, {Mention::Kind::kEvent, static_cast<int>(i), -1, "", ""}, plain);
  }

  // Points are added before the item's other facts, because of two facts with the same spelling the
  // first match is used.
  for (size_t i = 0; i < plan.points.size(); ++i) {
    const PlannedPoint& point = plan.points[i];
    const Mention mention{Mention::Kind::kValue, -1, static_cast<int>(i), point.attribute,
                          point.value};
    Add(point.said, mention, plain);
    Add(point.value, mention, plain);
  }

  for (const AttributeWord& word : WordsOf(plan.item.attributes)) {
    const bool flag = std::holds_alternative<bool>(plan.item.attributes.at(word.attribute));
    if (flag && word.value == "no") continue;
    const std::string spelling =
        flag ? absl::StrReplaceAll(word.attribute, {{"_", " "}}) : word.value;
    const Mention mention{Mention::Kind::kValue, -1, -1, word.attribute, spelling};
    Add(SaidOf(word.attribute, spelling), mention, plain);
    Add(spelling, mention, plain);
  }

  for (const auto& [name, value] : plan.item.attributes) {
    const std::optional<double> number = NumberOf(plan.item.attributes, name);
    if (!number.has_value()) continue;
    const auto point = std::find_if(plan.points.begin(), plan.points.end(),
                                    [&name](const PlannedPoint& p) { return p.attribute == name; });
    const int index =
        point == plan.points.end() ? -1 : static_cast<int>(point - plan.points.begin());
    const Mention mention{Mention::Kind::kValue, -1, index, name, FormatNumber(*number)};
    Add(mention.value, mention, plain);
    if (IsHundredths(*number)) Add(absl::StrFormat("%.2f", *number), mention, plain);
  }

  for (auto& [word, patterns] : patterns_) {
    std::stable_sort(patterns.begin(), patterns.end(), [](const Pattern& a, const Pattern& b) {
      return a.tokens.size() > b.tokens.size();
    });
  }
}

void MentionMatcher::Add(const std::string& spelling, Mention mention,
                         bool (*plain)(absl::string_view)) {
  std::vector<TextToken> tokens = TokenizeText(spelling);
  // The punctuation of a sentence may replace that at the end of a title.
  while (!tokens.empty() && tokens.back().kind != TextToken::Kind::kWord) tokens.pop_back();
  const auto says_something = [plain](const TextToken& t) {
    return t.kind == TextToken::Kind::kWord && !plain(t.word);
  };
  if (std::none_of(tokens.begin(), tokens.end(), says_something)) return;

  std::vector<Pattern>& patterns = patterns_[tokens.front().word];
  patterns.push_back({std::move(tokens), std::move(mention)});
}

const MentionMatcher::Pattern* MentionMatcher::Find(absl::Span<const TextToken> text) const {
  const auto starting = patterns_.find(text.front().word);
  if (starting == patterns_.end()) return nullptr;
  const auto same = [](const TextToken& a, const TextToken& b) {
    return a.kind == b.kind && a.word == b.word;
  };

  for (const Pattern& pattern : starting->second) {
    if (pattern.tokens.size() > text.size()) continue;
    if (std::equal(pattern.tokens.begin(), pattern.tokens.end(), text.begin(), same))
      return &pattern;
  }
  return nullptr;
}

std::vector<TextToken> MentionMatcher::Match(std::vector<TextToken> tokens) const {
  std::vector<TextToken> matched;
  matched.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size();) {
    const Pattern* found = Find(absl::MakeConstSpan(tokens).subspan(i));
    if (found == nullptr) {
      matched.push_back(std::move(tokens[i++]));
    } else {
      matched.push_back({TextToken::Kind::kMention, "", found->mention});
      i += found->tokens.size();
    }
  }
  return matched;
}

Mention MentionOfSlot(const ExplanationPlan& plan, const Segment& slot) {
  for (int i = 0; i < static_cast<int>(plan.points.size()); ++i) {
    const PlannedPoint& point = plan.points[static_cast<size_t>(i)];
    if (slot.Is(ValueSlot(i))) return {Mention::Kind::kValue, -1, i, point.attribute, point.value};
  }
  for (int i = 0; i < static_cast<int>(plan.events.size()); ++i) {
    if (slot.Is(TitleSlot(i))) return {Mention::Kind::kEvent, i, -1, "", ""};
  }
  return {Mention::Kind::kName, -1, -1, "", ""};
}

}  // namespace palate::ranking
