#include "ranking/explain/evidence_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ranking/explain/evidence_text.h"
#include "ranking/explain/evidence_words.h"
#include "ranking/explain/explanation_grammar.h"
#include "ranking/explain/explanation_templates.h"

namespace palate::ranking {
namespace {

using Tokens = std::vector<TextToken>;
using Kind = TextToken::Kind;

constexpr size_t kMaxTokens = 80;  // with punctuation

constexpr size_t kMinSentence = 3;  // words and mentions

bool IsWord(const TextToken& token, absl::string_view word) {
  return token.kind == Kind::kWord && token.word == word;
}
bool IsTitle(const TextToken& token) {
  return token.kind == Kind::kMention && token.mention.kind != Mention::Kind::kValue;
}
bool IsValue(const TextToken& token) {
  return token.kind == Kind::kMention && token.mention.kind == Mention::Kind::kValue;
}

// An attribute and its value.
using Fact = std::pair<std::string, std::string>;
Fact FactOf(const TextToken& value) { return {value.mention.attribute, value.mention.value}; }

// A run of tokens: a sentence or a clause.
struct Run {
  size_t begin = 0;
  size_t end = 0;
};

std::vector<Run> SplitAt(const Tokens& tokens, Run run, bool clauses) {
  std::vector<Run> runs;
  size_t begin = run.begin;
  for (size_t i = run.begin; i <= run.end; ++i) {
    const bool here = i == run.end || tokens[i].kind == Kind::kSentenceBreak ||
                      (clauses && tokens[i].kind == Kind::kClauseBreak);
    if (!here) continue;
    if (i > begin) runs.push_back({begin, i});
    begin = i + 1;
  }
  return runs;
}

// Proves or refuses the claims of one text. Each check returns the reason of its refusal, or an
// empty string. In an unfinished text it refuses only what no later word can prove.
class Claims {
 public:
  Claims(const ExplanationPlan& plan, const Tokens& tokens, bool unfinished)
      : plan_(plan), tokens_(tokens), unfinished_(unfinished) {}

  std::string Refusal() const {
    if (tokens_.size() > kMaxTokens)
      return absl::StrCat("the text has ", tokens_.size(), " words and signs, at most ",
                          kMaxTokens);
    if (!unfinished_ && tokens_.empty()) return "the text is empty";
    if (!unfinished_ && tokens_.back().kind != Kind::kSentenceBreak)
      return "the text ends in the middle of a sentence";

    std::string refusal = RefuseWords();
    for (size_t i = 0; i < tokens_.size() && refusal.empty(); ++i) {
      if (IsValue(tokens_[i])) refusal = RefuseFrame(i);
    }

    const std::vector<Run> sentences = SplitAt(tokens_, {0, tokens_.size()}, /*clauses=*/false);
    for (const Run& sentence : sentences) {
      if (refusal.empty()) refusal = RefuseForm(sentence);
      if (refusal.empty()) refusal = RefuseSentence(sentence);
    }

    if (refusal.empty()) refusal = RefuseRepetition(sentences);
    if (refusal.empty() && !unfinished_ && !RestsOnSomething())
      refusal = "the text rests on no evidence";
    if (refusal.empty()) refusal = RefuseSentences(tokens_, unfinished_);
    return refusal;
  }

 private:
  // Whether this sentence or clause may still get more words.
  bool IsOpen(Run run) const { return unfinished_ && run.end == tokens_.size(); }

  const PlannedPoint* PointOf(const TextToken& token) const {
    return IsValue(token) && token.mention.point >= 0
               ? &plan_.points[static_cast<size_t>(token.mention.point)]
               : nullptr;
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

  // Refuses words outside mentions that are not in evidence_words.h.
  std::string RefuseWords() const {
    for (const TextToken& token : tokens_) {
      if (token.kind == Kind::kSign) return absl::StrCat("uses the sign '", token.word, "'");
      if (token.kind != Kind::kWord || IsPlainWord(token.word)) continue;
      const bool number = absl::ascii_isdigit(static_cast<unsigned char>(token.word[0]));
      return absl::StrCat("says ", number ? "the number " : "", "'", token.word,
                          "', which is not in the evidence");
    }
    return "";
  }

  // Refuses word sequences that do not form a sentence.
  std::string RefuseForm(Run sentence) const {
    if (!IsOpen(sentence) && sentence.end - sentence.begin < kMinSentence)
      return "a sentence of fewer than three words";
    for (size_t i = sentence.begin; i < sentence.end; ++i) {
      const TextToken& token = tokens_[i];
      if (token.kind != Kind::kWord || token.word == "'s") continue;

      const bool opens = i == sentence.begin;
      if (token.capital && !opens)
        return absl::StrCat("says '", token.word, "' with a capital within a sentence");
      if (opens && !token.capital && sentence.begin > 0)
        return absl::StrCat("begins a sentence with a small '", token.word, "'");
      if (!opens && tokens_[i - 1].kind == Kind::kWord && tokens_[i - 1].word == token.word) {
        return absl::StrCat("says '", token.word, "' twice in a row");
      }
      if (EndsHere(i, sentence) && LeadingWords().contains(token.word) &&
          (opens || !TakesParticle(tokens_[i - 1].word, token.word))) {
        return absl::StrCat("ends with '", token.word, "'");
      }
    }
    return "";
  }

  // Whether a sentence ends after the token, or a clause does by an unambiguous mark.
  bool EndsHere(size_t at, Run sentence) const {
    if (at + 1 == sentence.end) return !IsOpen(sentence);
    const TextToken& next = tokens_[at + 1];
    return next.kind == Kind::kClauseBreak &&
           (next.word == "," || next.word == ":" || next.word == ";");
  }

  std::string RefuseSentence(Run sentence) const {
    std::string refusal;
    for (size_t i = sentence.begin; i < sentence.end && refusal.empty(); ++i)
      refusal = RefuseClaimWord(sentence, i);
    if (refusal.empty()) refusal = RefuseComparison(sentence);
    if (refusal.empty()) refusal = RefuseConclusion(sentence);
    if (refusal.empty()) refusal = RefuseNovelty(sentence);

    std::vector<const TextToken*> before;  // values of the previous clause
    for (const Run& clause : SplitAt(tokens_, sentence, /*clauses=*/true)) {
      std::vector<const TextToken*> values = Select(clause, IsValue);
      // "which you have picked before" refers to the preceding value.
      const bool refers_back = values.empty() && Select(clause, IsTitle).empty();
      if (refusal.empty() && SpeaksOfUser(clause)) {
        refusal = RefuseTaste(refers_back ? before : values,
                              IsOpen(sentence) || Says(sentence, {"range", "usual", "usually"}));
      }
      if (refusal.empty()) refusal = RefuseFrequency(sentence, clause);
      if (refusal.empty() && SpeaksOfUser(clause))
        refusal = RefuseChoice(sentence, clause, refers_back ? before : values);
      before = std::move(values);
    }
    return refusal;
  }

  std::string RefuseClaimWord(Run sentence, size_t i) const {
    if (tokens_[i].kind != Kind::kWord) return "";
    const std::string& word = tokens_[i].word;

    if (const auto interaction = InteractionWords().find(word);
        interaction != InteractionWords().end())
      return RefuseInteraction(sentence, i, interaction->second);
    if (const auto source = SourceWords().find(word);
        source != SourceWords().end() && !Brought(source->second) && !IsCloseTo(sentence, word)) {
      return absl::StrCat("says '", word, "', which is not why the item is here");
    }
    if (word == "like") return RefuseLike(sentence, i);

    if (IsOpen(sentence)) return "";  // the facts that these words require may follow
    if (word == "range" && !HasPoint(sentence, [](const PlannedPoint& p) {
          return p.kind == PlannedPoint::Kind::kInRange;
        })) {
      return "speaks of a range without a number in the user's range";
    }
    if ((word == "price" || word == "priced") && !HasPrice(sentence))
      return "speaks of a price without saying it";
    if (word == "put" && !Says(sentence, {"basket", "cart"}))
      return "says 'put' without saying where";
    return "";
  }

  bool Brought(const SourceClaim& claim) const {
    return (claim.trending && plan_.trending) || (claim.fresh && plan_.fresh) ||
           (claim.searched && plan_.searched) || (claim.similar && plan_.similar) ||
           (claim.neighbors && plan_.neighbors);
  }

  // "Close to T" needs no source if the item was found because of T.
  bool IsCloseTo(Run sentence, absl::string_view word) const {
    if (word != "close") return false;
    const std::vector<const TextToken*> titles = Select(sentence, IsTitle);
    const auto close = [this](const TextToken* title) {
      return title->mention.kind != Mention::Kind::kEvent ||
             plan_.events[static_cast<size_t>(title->mention.event)].close;
    };
    const bool some = std::any_of(plan_.events.begin(), plan_.events.end(),
                                  [](const PlannedEvent& event) { return event.close; });
    return some && std::all_of(titles.begin(), titles.end(), close);
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
      if (RoleOf(value->mention.attribute, value->mention.value) == PointRole::kPrice) return true;
    }
    return false;
  }

  // The title that an interaction refers to: the first one after it in its clause ("you bought T"),
  // else the last one before it ("T, which you bought").
  const TextToken* ObjectOf(Run sentence, size_t at) const {
    for (size_t i = at + 1; i < sentence.end && tokens_[i].kind != Kind::kClauseBreak; ++i) {
      if (IsTitle(tokens_[i])) return &tokens_[i];
    }
    for (size_t i = at; i > sentence.begin; --i) {
      if (IsTitle(tokens_[i - 1])) return &tokens_[i - 1];
    }
    return nullptr;
  }

  std::string RefuseInteraction(Run sentence, size_t at, Interaction interaction) const {
    const TextToken* object = ObjectOf(sentence, at);
    const std::string claim = absl::StrCat("says '", tokens_[at].word, "'");
    if (object == nullptr && IsOpen(sentence)) return "";
    if (object == nullptr)
      return absl::StrCat(claim, " without an item of the history that it is said of");
    if (object->mention.kind != Mention::Kind::kEvent)
      return absl::StrCat(claim, " of the recommended item itself");

    const PlannedEvent& event = plan_.events[static_cast<size_t>(object->mention.event)];
    if (event.interaction == interaction) return "";
    return absl::StrCat(claim, " of '", event.title, "', which the user ",
                        InteractionPhrase(event.interaction));
  }

  // "like" compares with a title or states a preference; a mention must follow in both cases.
  std::string RefuseLike(Run sentence, size_t at) const {
    size_t i = at + 1;
    for (; i < sentence.end && tokens_[i].kind != Kind::kClauseBreak; ++i) {
      if (tokens_[i].kind == Kind::kMention) return "";
    }
    return unfinished_ && i == tokens_.size() ? "" : "says 'like' of nothing in the evidence";
  }

  // Refuses a value whose surrounding words claim another kind of value: "made of" claims a
  // material, "a … pattern" a pattern.
  std::string RefuseFrame(size_t value) const {
    const auto word = [&](size_t at) {
      return at < tokens_.size() && tokens_[at].kind == Kind::kWord ? tokens_[at].word
                                                                    : std::string();
    };

    const std::string further = value > 1 ? word(value - 2) : "";
    // An interest may be in any value.
    const std::string before = value > 0 && further != "interest" ? word(value - 1) : "";
    const Mention& mention = tokens_[value].mention;
    const PointRole role = RoleOf(mention.attribute, mention.value);

    for (const Frame& frame : Frames()) {
      const bool fits = (frame.further.empty() || frame.further == further) &&
                        (frame.before.empty() || frame.before == before) &&
                        (frame.after.empty() || frame.after == word(value + 1)) &&
                        (frame.beyond.empty() || frame.beyond == word(value + 2));
      if (fits && std::find(frame.roles.begin(), frame.roles.end(), role) == frame.roles.end()) {
        return absl::StrCat("says of '", mention.value, "' that it is ", frame.meaning,
                            ", but it is the item's ", mention.attribute);
      }
    }

    const bool decided = value + 1 < tokens_.size() || !unfinished_;
    if (role == PointRole::kOccasion && before == "with" && decided && word(value + 1) != "in") {
      return absl::StrCat("says of '", mention.value,
                          "' that it comes with the item, but one can only have it in mind");
    }
    return "";
  }

  // A title and a value in one sentence claim that the title's item has the value.
  std::string RefuseComparison(Run sentence) const {
    std::set<int> events;
    for (const TextToken* title : Select(sentence, IsTitle)) {
      if (title->mention.kind == Mention::Kind::kEvent) events.insert(title->mention.event);
    }
    if (events.empty()) return "";

    for (const TextToken* value : Select(sentence, IsValue)) {
      const PlannedPoint* point = PointOf(*value);
      for (const int event : events) {
        const bool shares =
            point != nullptr &&
            std::find(point->events.begin(), point->events.end(), event) != point->events.end();
        if (shares) continue;
        return absl::StrCat("says '", value->mention.value, "' beside '",
                            plan_.events[static_cast<size_t>(event)].title,
                            "', which is not known to share it");
      }
    }
    return "";
  }

  bool SpeaksOfUser(Run clause) const { return Says(clause, {"you", "your", "you've", "yours"}); }

  // "You often choose walnut, and this one is …" is a conclusion: the item may only be said to have
  // what the user is said to like.
  std::string RefuseConclusion(Run sentence) const {
    std::set<Fact> taste;
    for (const Run& clause : SplitAt(tokens_, sentence, /*clauses=*/true)) {
      const bool of_user = SpeaksOfUser(clause);
      const bool apart = clause.begin > sentence.begin && tokens_[clause.begin - 1].word == ";";
      if (apart) taste.clear();

      for (const TextToken* value : Select(clause, IsValue)) {
        const Fact fact = FactOf(*value);
        if (of_user) {
          taste.insert(fact);
        } else if (!taste.empty() && !taste.contains(fact)) {
          return absl::StrCat("says '", fact.second, "' as if it followed from a taste for '",
                              taste.begin()->second, "'");
        }
      }
    }
    return "";
  }

  std::string RefuseFrequency(Run sentence, Run clause) const {
    for (size_t i = clause.begin; i < clause.end; ++i) {
      const auto found = tokens_[i].kind == Kind::kWord ? FrequencyWords().find(tokens_[i].word)
                                                        : FrequencyWords().end();
      if (found == FrequencyWords().end()) continue;

      const bool usual = absl::StartsWith(tokens_[i].word, "usual");
      if (usual && HasPoint(sentence, [](const PlannedPoint& p) {
            return p.kind == PlannedPoint::Kind::kInRange;
          }))
        continue;

      const std::vector<const TextToken*> values = Select(clause, IsValue);
      const std::string claim = absl::StrCat("says '", tokens_[i].word, "'");
      if (values.empty() && IsOpen(usual ? sentence : clause)) return "";
      if (values.empty()) return absl::StrCat(claim, " of nothing in the evidence");
      for (const TextToken* value : values) {
        const PlannedPoint* point = PointOf(*value);
        const int events = point != nullptr ? point->num_events : 0;
        if (events < found->second) {
          return absl::StrCat(claim, " of '", value->mention.value, "', which ", events,
                              " events show, at least ", found->second);
        }
      }
    }
    return "";
  }

  // What the user only looked at was not chosen.
  std::string RefuseChoice(Run sentence, Run clause,
                           const std::vector<const TextToken*>& values) const {
    int required = 1;
    const TextToken* verb = nullptr;
    for (size_t i = clause.begin; i < clause.end; ++i) {
      const TextToken& token = tokens_[i];
      if (token.kind != Kind::kWord) continue;
      if (const auto found = FrequencyWords().find(token.word); found != FrequencyWords().end())
        required = std::max(required, found->second);
      const bool noun = i == clause.begin || !IsWord(tokens_[i - 1], "you");
      if (ChoiceWords().contains(token.word) || (token.word == "pick" && !noun)) verb = &token;
    }
    if (verb == nullptr) return "";

    const auto chosen = [required](const PlannedPoint& point) {
      return point.kind == PlannedPoint::Kind::kInRange || point.num_choices >= required;
    };
    const bool possible = std::any_of(plan_.points.begin(), plan_.points.end(), chosen);
    for (const TextToken* value : values) {
      const PlannedPoint* point = PointOf(*value);
      if (point == nullptr || !chosen(*point))
        return absl::StrCat("says '", verb->word, "' of '", value->mention.value,
                            "', which the user only looked at");
    }
    for (const TextToken* title : Select(sentence, IsTitle)) {
      if (title->mention.kind != Mention::Kind::kEvent) continue;
      const PlannedEvent& event = plan_.events[static_cast<size_t>(title->mention.event)];
      if (event.interaction == Interaction::kOpened)
        return absl::StrCat("says '", verb->word, "' of '", event.title,
                            "', which the user only looked at");
    }
    return possible || !IsOpen(clause) || Says(clause, {"chose"})
               ? ""
               : absl::StrCat("says '", verb->word, "' of nothing that the user chose so often");
  }

  // "Something different" is not what the user likes.
  std::string RefuseNovelty(Run sentence) const {
    if (!Says(sentence, {"different", "change"})) return "";
    const bool liked = HasPoint(sentence, [](const PlannedPoint& point) {
      return point.kind == PlannedPoint::Kind::kLikedValue;
    });
    return liked ? "calls different what the user likes" : "";
  }

  // A number within the user's range may only be described as such: "70 is in your usual range",
  // not "70, which you have picked before".
  std::string RefuseTaste(const std::vector<const TextToken*>& values, bool of_range) const {
    for (const TextToken* value : values) {
      const std::vector<AttributeWord> words =
          WordsOf({{value->mention.attribute, value->mention.value}});
      const bool disliked =
          !words.empty() &&
          std::find(plan_.disliked.begin(), plan_.disliked.end(), words[0]) != plan_.disliked.end();
      if (disliked)
        return absl::StrCat("says '", value->mention.value,
                            "' as the user's taste, but the user turns away from it");

      const PlannedPoint* point = PointOf(*value);
      const bool shown =
          point != nullptr && (point->kind == PlannedPoint::Kind::kLikedValue ||
                               (point->kind == PlannedPoint::Kind::kInRange && of_range));
      if (!shown) {
        return absl::StrCat("says '", value->mention.value,
                            "' as the user's taste, which the history does not show");
      }
    }
    return "";
  }

  // A fact may be stated once: not twice in a clause, nor again in a later sentence.
  std::string RefuseRepetition(const std::vector<Run>& sentences) const {
    std::set<Fact> earlier;
    for (const Run& sentence : sentences) {
      std::set<Fact> in_sentence;
      for (const Run& clause : SplitAt(tokens_, sentence, /*clauses=*/true)) {
        std::set<Fact> in_clause;
        for (const TextToken* value : Select(clause, IsValue)) {
          const Fact fact = FactOf(*value);
          if (earlier.contains(fact) || !in_clause.insert(fact).second)
            return absl::StrCat("says '", fact.second, "' twice");
        }
        in_sentence.merge(in_clause);
      }
      earlier.merge(in_sentence);
    }
    return "";
  }

  bool RestsOnSomething() const {
    const bool nothing_to_say = plan_.points.empty();
    return nothing_to_say ||
           std::any_of(tokens_.begin(), tokens_.end(), [](const TextToken& token) {
             return token.kind == Kind::kMention ||
                    (token.kind == Kind::kWord && SourceWords().contains(token.word));
           });
  }

  const ExplanationPlan& plan_;
  const Tokens& tokens_;
  const bool unfinished_;
};

// The facts that an accepted text cites, in the order of first mention, each once.
std::vector<Evidence> CitedEvidence(const ExplanationPlan& plan, const Tokens& tokens) {
  std::vector<Evidence> cited;
  const auto add = [&cited](Evidence evidence) {
    const auto same = [&evidence](const Evidence& e) {
      return e.kind == evidence.kind && e.item_id == evidence.item_id &&
             e.attribute == evidence.attribute && e.value == evidence.value;
    };
    if (std::none_of(cited.begin(), cited.end(), same)) cited.push_back(std::move(evidence));
  };

  const std::string& item = plan.item.item_id;
  for (const TextToken& token : tokens) {
    if (token.kind == Kind::kWord &&
        (token.word == "popular" || token.word == "trending" || token.word == "many")) {
      add({Evidence::Kind::kTrend, item, "trending", ""});
    }

    if (token.kind != Kind::kMention) continue;
    const Mention& mention = token.mention;
    if (mention.kind == Mention::Kind::kName)
      add({Evidence::Kind::kItemFact, item, "title", plan.item.title});
    if (mention.kind == Mention::Kind::kEvent) {
      const PlannedEvent& event = plan.events[static_cast<size_t>(mention.event)];
      add({Evidence::Kind::kUserEvent, event.item_id, "title", event.title});
    }
    if (mention.kind != Mention::Kind::kValue) continue;
    add({Evidence::Kind::kItemFact, item, mention.attribute, mention.value});
    if (mention.point < 0) continue;
    for (const std::string& id :
         plan.points[static_cast<size_t>(mention.point)].evidence_item_ids) {
      add({Evidence::Kind::kUserEvent, id, mention.attribute, mention.value});
    }
  }
  return cited;
}

// Slots are mentions by construction; the words between them may spell further ones.
Tokens TokenizeSegments(const ExplanationPlan& plan, const MentionMatcher& matcher,
                        const std::vector<Segment>& text) {
  Tokens tokens;
  for (const Segment& segment : text) {
    if (segment.kind == Segment::Kind::kSpecial) {
      tokens.push_back({Kind::kMention, "", MentionOfSlot(plan, segment)});
      continue;
    }

    Tokens spelled = matcher.Match(TokenizeText(segment.text));
    tokens.insert(tokens.end(), std::make_move_iterator(spelled.begin()),
                  std::make_move_iterator(spelled.end()));
  }
  return tokens;
}

EvidenceVerdict Judge(const ExplanationPlan& plan, std::string text, const Tokens& tokens) {
  EvidenceVerdict verdict;
  verdict.reason = Claims(plan, tokens, /*unfinished=*/false).Refusal();
  verdict.accepted = verdict.reason.empty();
  verdict.text = std::move(text);
  if (verdict.accepted) verdict.evidence = CitedEvidence(plan, tokens);
  return verdict;
}

}  // namespace

EvidenceChecker::EvidenceChecker(const ExplanationPlan& plan)
    : plan_(plan), matcher_(std::make_unique<const MentionMatcher>(plan, IsPlainWord)) {}

EvidenceChecker::~EvidenceChecker() = default;

EvidenceVerdict EvidenceChecker::Check(const std::vector<Segment>& text) const {
  absl::StatusOr<std::string> filled = FillSlots(plan_, text);
  if (!filled.ok()) return {false, std::string(filled.status().message()), "", {}};
  return Judge(plan_, *std::move(filled), TokenizeSegments(plan_, *matcher_, text));
}

EvidenceVerdict EvidenceChecker::Check(absl::string_view text) const {
  return Judge(plan_, std::string(text), matcher_->Match(TokenizeText(text)));
}

std::string EvidenceChecker::RefuseBeginning(const std::vector<Segment>& text) const {
  const absl::StatusOr<std::string> filled = FillSlots(plan_, text);
  if (!filled.ok()) return std::string(filled.status().message());
  const Tokens tokens = TokenizeSegments(plan_, *matcher_, text);
  return Claims(plan_, tokens, /*unfinished=*/true).Refusal();
}

}  // namespace palate::ranking
