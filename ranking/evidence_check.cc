#include "ranking/evidence_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ranking/evidence_text.h"
#include "ranking/explanation_templates.h"

namespace palate::ranking {
namespace {

using Tokens = std::vector<TextToken>;
using Kind = TextToken::Kind;

constexpr size_t kMaxTokens = 80;  // with punctuation

// Words that claim nothing by themselves.
const std::set<absl::string_view>& PlainWords() {
  static const auto& words = *new std::set<absl::string_view>{
      "a",        "about",     "added",   "after",   "all",       "also",     "an",       "and",       "another", "are",     "as",
      "at",       "back",      "because", "been",    "before",    "belongs",  "both",     "bring",     "brings",  "brought", "by",
      "catalog",  "catalogue", "change",  "choice",  "choose",    "chosen",   "chose",    "color",     "colors",  "colour",  "come",
      "comes",    "coming",    "design",  "designs", "different", "drawn",    "features", "find",      "finds",   "fit",     "fits",
      "for",      "from",      "go",      "goes",    "going",     "had",      "has",      "have",      "here",    "how",     "idea",
      "in",       "interest",  "into",    "is",      "it",        "item",     "items",    "its",       "it's",    "just",    "kind",
      "kinds",    "like",      "look",    "looks",   "made",      "match",    "matches",  "mind",      "more",    "now",     "of",
      "on",       "one",       "ones",    "or",      "pattern",   "patterns", "pick",     "picked",    "picks",   "piece",   "pieces",
      "right",    "same",      "showed",  "shown",   "since",     "so",       "some",     "something", "style",   "such",    "suggestion",
      "than",     "that",      "the",     "them",    "these",     "they",     "thing",    "things",    "this",    "those",   "to",
      "together", "too",       "try",     "was",     "we",        "well",     "went",     "were",      "what",    "when",    "where",
      "which",    "while",     "with",    "within",  "you",       "you've",   "your",     "yours",     "'s"};
  return words;
}

// A deed and the words that claim it.
const std::map<absl::string_view, Deed>& DeedWords() {
  static const auto& words = *new std::map<absl::string_view, Deed>{
      {"bought", Deed::kBought}, {"purchased", Deed::kBought}, {"ordered", Deed::kBought}, {"liked", Deed::kLiked},
      {"basket", Deed::kBasket}, {"cart", Deed::kBasket},      {"put", Deed::kBasket},     {"looked", Deed::kOpened},
      {"opened", Deed::kOpened}, {"rated", Deed::kRated},      {"highly", Deed::kRated},   {"watched", Deed::kWatched},
      {"played", Deed::kPlayed}, {"read", Deed::kRead},        {"saved", Deed::kSaved}};
  return words;
}

// Words that claim a habit, and how many events it takes.
const std::map<absl::string_view, int>& FrequencyWords() {
  static const auto& words = *new std::map<absl::string_view, int>{{"often", kOftenEvents},
                                                                   {"again", kOftenEvents},
                                                                   {"keep", kOftenEvents},
                                                                   {"frequently", kOftenEvents},
                                                                   {"time", kOftenEvents},
                                                                   {"times", kOftenEvents},
                                                                   {"usually", kOftenEvents},
                                                                   {"usual", kOftenEvents},
                                                                   {"regularly", kOftenEvents},
                                                                   {"several", kOftenEvents},
                                                                   {"twice", 2},
                                                                   {"once", 2},
                                                                   {"already", 1}};
  return words;
}

// Words that claim a source, any of the given ones.
struct SourceClaim {
  bool trending = false, fresh = false, searched = false, similar = false, neighbours = false;
};
const std::map<absl::string_view, SourceClaim>& SourceWords() {
  static const auto& words =
      *new std::map<absl::string_view, SourceClaim>{{"popular", {.trending = true}},  {"trending", {.trending = true}},
                                                    {"many", {.trending = true}},     {"people", {.trending = true, .neighbours = true}},
                                                    {"others", {.neighbours = true}}, {"similar", {.similar = true, .neighbours = true}},
                                                    {"close", {.similar = true}},     {"looking", {.similar = true}},
                                                    {"open", {.similar = true}},      {"new", {.fresh = true}},
                                                    {"arrived", {.fresh = true}},     {"arrival", {.fresh = true}},
                                                    {"search", {.searched = true}},   {"searched", {.searched = true}}};
  return words;
}

bool IsClaimWord(absl::string_view word) {
  return DeedWords().contains(word) || FrequencyWords().contains(word) || SourceWords().contains(word) || word == "price" ||
         word == "priced" || word == "range";
}

// Words around a value that say what kind of thing it is. Empty words stand for any.
struct Frame {
  std::string further;  // two words before the value
  std::string before;
  std::string after;
  std::string beyond;  // two words behind it
  std::string meaning;
  std::vector<PointRole> roles;
};

const std::vector<Frame>& Frames() {
  static const auto* const frames = new std::vector<Frame>{
      {"made", "of", "", "", "a material", {PointRole::kMaterial}},
      {"", "by", "", "", "a maker", {PointRole::kMaker}},
      {"", "from", "", "", "a maker", {PointRole::kMaker}},
      {"", "at", "", "", "a price", {PointRole::kPrice}},
      {"", "color", "", "", "a color", {PointRole::kColor}},
      {"", "with", "", "", "a fact named by its attribute", {PointRole::kOther, PointRole::kOccasion, PointRole::kPrice}},
      {"", "has", "", "", "a fact named by its attribute", {PointRole::kOther}},
      {"", "in", "", "", "a material or a color", {PointRole::kMaterial, PointRole::kColor, PointRole::kOther}},
      {"pick", "for", "", "", "an occasion", {PointRole::kOccasion}},
      {"made", "for", "", "", "an occasion", {PointRole::kOccasion}},
      {"belongs", "to", "", "", "a kind of thing", {PointRole::kKind}},
      {"", "", "pattern", "", "a pattern", {PointRole::kPattern}},
      {"", "", "patterns", "", "a pattern", {PointRole::kPattern}},
      {"", "", "look", "", "a style", {PointRole::kStyle}},
      {"", "", "style", "", "a style", {PointRole::kStyle}},
      {"", "", "in", "style", "a style", {PointRole::kStyle}},
      {"", "", "in", "mind", "an occasion", {PointRole::kOccasion}},
      {"", "", "design", "", "a style or a feature", {PointRole::kStyle, PointRole::kFeature}},
      {"", "", "designs", "", "a style or a feature", {PointRole::kStyle, PointRole::kFeature}},
      {"", "", "pick", "", "a kind of thing", {PointRole::kKind}},
      {"", "", "picks", "", "a kind of thing", {PointRole::kKind}},
      {"", "", "find", "", "a kind of thing", {PointRole::kKind}},
      {"", "", "finds", "", "a kind of thing", {PointRole::kKind}},
  };
  return *frames;
}

bool IsWord(const TextToken& token, absl::string_view word) { return token.kind == Kind::kWord && token.word == word; }
bool IsTitle(const TextToken& token) { return token.kind == Kind::kMention && token.mention.kind != Mention::Kind::kValue; }
bool IsValue(const TextToken& token) { return token.kind == Kind::kMention && token.mention.kind == Mention::Kind::kValue; }

// A run of tokens: a sentence or a clause.
struct Run {
  size_t begin = 0;
  size_t end = 0;
};

std::vector<Run> SplitAt(const Tokens& tokens, Run run, bool clauses) {
  std::vector<Run> runs;
  size_t begin = run.begin;
  for (size_t i = run.begin; i <= run.end; ++i) {
    const bool here = i == run.end || tokens[i].kind == Kind::kSentenceBreak || (clauses && tokens[i].kind == Kind::kClauseBreak);
    if (!here) continue;
    if (i > begin) runs.push_back({begin, i});
    begin = i + 1;
  }
  return runs;
}

// Proves or refuses the claims of one text. Each check returns why it refuses, or nothing. Of a text that is still being written, only what
// no later word can prove is refused.
class Checker {
 public:
  Checker(const ExplanationPlan& plan, const Tokens& tokens, bool unfinished) : plan_(plan), tokens_(tokens), unfinished_(unfinished) {}

  std::string Refusal() const {
    if (tokens_.size() > kMaxTokens) return absl::StrCat("the text has ", tokens_.size(), " words and signs, at most ", kMaxTokens);
    if (!unfinished_ && tokens_.empty()) return "the text is empty";
    if (!unfinished_ && tokens_.back().kind != Kind::kSentenceBreak) return "the text ends in the middle of a sentence";
    std::string refusal = RefuseWords();
    for (size_t i = 0; i < tokens_.size() && refusal.empty(); ++i) {
      if (IsValue(tokens_[i])) refusal = RefuseFrame(i);
    }
    const std::vector<Run> sentences = SplitAt(tokens_, {0, tokens_.size()}, /*clauses=*/false);
    for (const Run& sentence : sentences) {
      if (refusal.empty()) refusal = RefuseSentence(sentence);
    }
    if (refusal.empty()) refusal = RefuseRepetition(sentences);
    if (refusal.empty() && !unfinished_ && !RestsOnSomething()) refusal = "the text rests on no evidence";
    return refusal;
  }

 private:
  const PlannedPoint* PointOf(const TextToken& token) const {
    return IsValue(token) && token.mention.point >= 0 ? &plan_.points[static_cast<size_t>(token.mention.point)] : nullptr;
  }

  std::vector<const TextToken*> Select(Run run, bool (*wanted)(const TextToken&)) const {
    std::vector<const TextToken*> selected;
    for (size_t i = run.begin; i < run.end; ++i) {
      if (wanted(tokens_[i])) selected.push_back(&tokens_[i]);
    }
    return selected;
  }

  bool Says(Run run, std::initializer_list<absl::string_view> words) const {
    for (size_t i = run.begin; i < run.end; ++i) {
      for (const absl::string_view word : words) {
        if (IsWord(tokens_[i], word)) return true;
      }
    }
    return false;
  }

  // Every word outside of mentions must be known to this file.
  std::string RefuseWords() const {
    for (const TextToken& token : tokens_) {
      if (token.kind == Kind::kSign) return absl::StrCat("uses the sign '", token.word, "'");
      if (token.kind != Kind::kWord || IsPlainWord(token.word)) continue;
      const bool number = absl::ascii_isdigit(static_cast<unsigned char>(token.word[0]));
      return absl::StrCat("says ", number ? "the number " : "", "'", token.word, "', which is not in the evidence");
    }
    return "";
  }

  std::string RefuseSentence(Run sentence) const {
    std::string refusal;
    for (size_t i = sentence.begin; i < sentence.end && refusal.empty(); ++i) refusal = RefuseClaimWord(sentence, i);
    if (refusal.empty()) refusal = RefuseComparison(sentence);
    std::vector<const TextToken*> before;  // values of the clause before
    for (const Run& clause : SplitAt(tokens_, sentence, /*clauses=*/true)) {
      std::vector<const TextToken*> values = Select(clause, IsValue);
      // "which you have picked before" speaks of the value before it.
      const bool refers_back = values.empty() && Select(clause, IsTitle).empty();
      if (refusal.empty() && Says(clause, {"you", "your", "you've", "yours"})) {
        refusal = RefuseTaste(refers_back ? before : values, Says(sentence, {"range", "usual", "usually"}));
      }
      if (refusal.empty()) refusal = RefuseFrequency(sentence, clause);
      before = std::move(values);
    }
    return refusal;
  }

  std::string RefuseClaimWord(Run sentence, size_t i) const {
    if (tokens_[i].kind != Kind::kWord) return "";
    const std::string& word = tokens_[i].word;
    if (const auto deed = DeedWords().find(word); deed != DeedWords().end()) return RefuseDeed(sentence, i, deed->second);
    if (const auto source = SourceWords().find(word); source != SourceWords().end() && !Brought(source->second)) {
      return absl::StrCat("says '", word, "', which is not why the item is here");
    }
    if (unfinished_) return "";  // a mention may follow
    if (word == "range" && !HasPoint(sentence, [](const PlannedPoint& p) { return p.kind == PlannedPoint::Kind::kInRange; })) {
      return "speaks of a range without a number in the user's range";
    }
    if ((word == "price" || word == "priced") && !HasPrice(sentence)) return "speaks of a price without saying it";
    if (word == "like") return RefuseLike(sentence, i);
    if (word == "put" && !Says(sentence, {"basket", "cart"})) return "says 'put' without saying where";
    return "";
  }

  bool Brought(const SourceClaim& claim) const {
    return (claim.trending && plan_.trending) || (claim.fresh && plan_.fresh) || (claim.searched && plan_.searched) ||
           (claim.similar && plan_.similar) || (claim.neighbours && plan_.neighbours);
  }

  template <typename Predicate>
  bool HasPoint(Run run, Predicate predicate) const {
    for (size_t i = run.begin; i < run.end; ++i) {
      const PlannedPoint* point = PointOf(tokens_[i]);
      if (point != nullptr && predicate(*point)) return true;
    }
    return false;
  }

  bool HasPrice(Run run) const {
    for (const TextToken* value : Select(run, IsValue)) {
      if (RoleOf(value->mention.attribute) == PointRole::kPrice) return true;
    }
    return false;
  }

  // The title that a deed is said of: behind it in its clause ("you bought T"), else the last one before it ("T, which you bought").
  const TextToken* ObjectOf(Run sentence, size_t at) const {
    for (size_t i = at + 1; i < sentence.end && tokens_[i].kind != Kind::kClauseBreak; ++i) {
      if (IsTitle(tokens_[i])) return &tokens_[i];
    }
    for (size_t i = at; i > sentence.begin; --i) {
      if (IsTitle(tokens_[i - 1])) return &tokens_[i - 1];
    }
    return nullptr;
  }

  std::string RefuseDeed(Run sentence, size_t at, Deed deed) const {
    const TextToken* object = ObjectOf(sentence, at);
    const std::string claim = absl::StrCat("says '", tokens_[at].word, "'");
    if (object == nullptr && unfinished_) return "";
    if (object == nullptr) return absl::StrCat(claim, " without an item of the history that it is said of");
    if (object->mention.kind != Mention::Kind::kEvent) return absl::StrCat(claim, " of the recommended item itself");
    const PlannedEvent& event = plan_.events[static_cast<size_t>(object->mention.event)];
    if (event.deed == deed) return "";
    return absl::StrCat(claim, " of '", event.title, "', which the user ", DeedPhrase(event.deed));
  }

  // "like" compares with a title, or says what the user likes; in both cases with a mention behind it.
  std::string RefuseLike(Run sentence, size_t at) const {
    for (size_t i = at + 1; i < sentence.end && tokens_[i].kind != Kind::kClauseBreak; ++i) {
      if (tokens_[i].kind == Kind::kMention) return "";
    }
    return "says 'like' of nothing in the evidence";
  }

  // What the words around a value say that it is: "made of walnut" a material, "a striped pattern" a pattern.
  std::string RefuseFrame(size_t value) const {
    const auto word = [&](size_t at) { return at < tokens_.size() && tokens_[at].kind == Kind::kWord ? tokens_[at].word : std::string(); };
    const std::string before = value > 0 ? word(value - 1) : "";
    const std::string further = value > 1 ? word(value - 2) : "";
    const PointRole role = RoleOf(tokens_[value].mention.attribute);
    for (const Frame& frame : Frames()) {
      const bool fits = (frame.further.empty() || frame.further == further) && (frame.before.empty() || frame.before == before) &&
                        (frame.after.empty() || frame.after == word(value + 1)) &&
                        (frame.beyond.empty() || frame.beyond == word(value + 2));
      if (fits && std::find(frame.roles.begin(), frame.roles.end(), role) == frame.roles.end()) {
        return absl::StrCat("says of '", tokens_[value].mention.value, "' that it is ", frame.meaning, ", but it is the item's ",
                            tokens_[value].mention.attribute);
      }
    }
    return "";
  }

  // A title and a value in one sentence say that the title's item has the value.
  std::string RefuseComparison(Run sentence) const {
    std::set<int> events;
    for (const TextToken* title : Select(sentence, IsTitle)) {
      if (title->mention.kind == Mention::Kind::kEvent) events.insert(title->mention.event);
    }
    if (events.empty()) return "";
    for (const TextToken* value : Select(sentence, IsValue)) {
      const PlannedPoint* point = PointOf(*value);
      for (const int event : events) {
        const bool shares = point != nullptr && std::find(point->events.begin(), point->events.end(), event) != point->events.end();
        if (shares) continue;
        return absl::StrCat("says '", value->mention.value, "' beside '", plan_.events[static_cast<size_t>(event)].title,
                            "', which is not known to share it");
      }
    }
    return "";
  }

  std::string RefuseFrequency(Run sentence, Run clause) const {
    for (size_t i = clause.begin; i < clause.end; ++i) {
      const auto found = tokens_[i].kind == Kind::kWord ? FrequencyWords().find(tokens_[i].word) : FrequencyWords().end();
      if (found == FrequencyWords().end()) continue;
      const bool usual = absl::StartsWith(tokens_[i].word, "usual");
      if (usual && HasPoint(sentence, [](const PlannedPoint& p) { return p.kind == PlannedPoint::Kind::kInRange; })) continue;
      const std::vector<const TextToken*> values = Select(clause, IsValue);
      const std::string claim = absl::StrCat("says '", tokens_[i].word, "'");
      if (values.empty() && unfinished_) return "";
      if (values.empty()) return absl::StrCat(claim, " of nothing in the evidence");
      for (const TextToken* value : values) {
        const PlannedPoint* point = PointOf(*value);
        const int events = point != nullptr ? point->num_events : 0;
        if (events < found->second) {
          return absl::StrCat(claim, " of '", value->mention.value, "', which ", events, " events show, at least ", found->second);
        }
      }
    }
    return "";
  }

  // A number within the user's range is their taste only as that: "70 is in your usual range", not "70, which you have picked before".
  std::string RefuseTaste(const std::vector<const TextToken*>& values, bool of_range) const {
    for (const TextToken* value : values) {
      const std::vector<AttributeWord> words = WordsOf({{value->mention.attribute, value->mention.value}});
      const bool disliked = !words.empty() && std::find(plan_.disliked.begin(), plan_.disliked.end(), words[0]) != plan_.disliked.end();
      if (disliked) return absl::StrCat("says '", value->mention.value, "' as the user's taste, but the user turns away from it");
      const PlannedPoint* point = PointOf(*value);
      const bool shown =
          point != nullptr && (point->kind == PlannedPoint::Kind::kLikedValue || (point->kind == PlannedPoint::Kind::kInRange && of_range));
      if (!shown) {
        return absl::StrCat("says '", value->mention.value, "' as the user's taste, which the history does not show");
      }
    }
    return "";
  }

  // A fact is said once: neither twice in a clause nor again in a later sentence.
  std::string RefuseRepetition(const std::vector<Run>& sentences) const {
    using Fact = std::pair<std::string, std::string>;
    std::set<Fact> earlier;
    for (const Run& sentence : sentences) {
      std::set<Fact> in_sentence;
      for (const Run& clause : SplitAt(tokens_, sentence, /*clauses=*/true)) {
        std::set<Fact> in_clause;
        for (const TextToken* value : Select(clause, IsValue)) {
          const Fact fact(value->mention.attribute, value->mention.value);
          if (earlier.contains(fact) || !in_clause.insert(fact).second) return absl::StrCat("says '", fact.second, "' twice");
        }
        in_sentence.merge(in_clause);
      }
      earlier.merge(in_sentence);
    }
    return "";
  }

  bool RestsOnSomething() const {
    const bool nothing_to_say = plan_.points.empty();
    return nothing_to_say || std::any_of(tokens_.begin(), tokens_.end(), [](const TextToken& token) {
             return token.kind == Kind::kMention || (token.kind == Kind::kWord && SourceWords().contains(token.word));
           });
  }

  const ExplanationPlan& plan_;
  const Tokens& tokens_;
  const bool unfinished_;
};

// What an accepted text cites, in the order of first mention, each once.
std::vector<Evidence> CitedEvidence(const ExplanationPlan& plan, const Tokens& tokens) {
  std::vector<Evidence> cited;
  const auto add = [&cited](Evidence evidence) {
    const auto same = [&evidence](const Evidence& e) {
      return e.kind == evidence.kind && e.item_id == evidence.item_id && e.attribute == evidence.attribute && e.value == evidence.value;
    };
    if (std::none_of(cited.begin(), cited.end(), same)) cited.push_back(std::move(evidence));
  };
  const std::string& item = plan.item.item_id;
  for (const TextToken& token : tokens) {
    if (token.kind == Kind::kWord && (token.word == "popular" || token.word == "trending" || token.word == "many")) {
      add({Evidence::Kind::kTrend, item, "trending", ""});
    }
    if (token.kind != Kind::kMention) continue;
    const Mention& mention = token.mention;
    if (mention.kind == Mention::Kind::kName) add({Evidence::Kind::kItemFact, item, "title", plan.item.title});
    if (mention.kind == Mention::Kind::kEvent) {
      const PlannedEvent& event = plan.events[static_cast<size_t>(mention.event)];
      add({Evidence::Kind::kUserEvent, event.item_id, "title", event.title});
    }
    if (mention.kind != Mention::Kind::kValue) continue;
    add({Evidence::Kind::kItemFact, item, mention.attribute, mention.value});
    if (mention.point < 0) continue;
    for (const std::string& id : plan.points[static_cast<size_t>(mention.point)].evidence_item_ids) {
      add({Evidence::Kind::kUserEvent, id, mention.attribute, mention.value});
    }
  }
  return cited;
}

// Slots are mentions by construction; the words between them may spell others.
Tokens TokenizeSegments(const ExplanationPlan& plan, const std::vector<Segment>& text) {
  const MentionMatcher matcher(plan, IsPlainWord);
  Tokens tokens;
  for (const Segment& segment : text) {
    if (segment.kind == Segment::Kind::kSpecial) {
      tokens.push_back({Kind::kMention, "", MentionOfSlot(plan, segment)});
      continue;
    }
    const Tokens spelt = matcher.Match(TokenizeText(segment.text));
    tokens.insert(tokens.end(), spelt.begin(), spelt.end());
  }
  return tokens;
}

EvidenceVerdict Judge(const ExplanationPlan& plan, std::string text, const Tokens& tokens) {
  EvidenceVerdict verdict;
  verdict.reason = Checker(plan, tokens, /*unfinished=*/false).Refusal();
  verdict.accepted = verdict.reason.empty();
  verdict.text = std::move(text);
  if (verdict.accepted) verdict.evidence = CitedEvidence(plan, tokens);
  return verdict;
}

}  // namespace

bool IsPlainWord(absl::string_view word) { return PlainWords().contains(word) || IsClaimWord(word); }

EvidenceVerdict CheckExplanation(const ExplanationPlan& plan, const std::vector<Segment>& text) {
  absl::StatusOr<std::string> filled = FillSlots(plan, text);
  if (!filled.ok()) return {false, std::string(filled.status().message()), "", {}};
  return Judge(plan, *std::move(filled), TokenizeSegments(plan, text));
}

std::string RefuseBeginning(const ExplanationPlan& plan, const std::vector<Segment>& text) {
  const absl::StatusOr<std::string> filled = FillSlots(plan, text);
  if (!filled.ok()) return std::string(filled.status().message());
  const Tokens tokens = TokenizeSegments(plan, text);
  return Checker(plan, tokens, /*unfinished=*/true).Refusal();
}

EvidenceVerdict CheckExplanation(const ExplanationPlan& plan, absl::string_view text) {
  return Judge(plan, std::string(text), MentionMatcher(plan, IsPlainWord).Match(TokenizeText(text)));
}

}  // namespace palate::ranking
