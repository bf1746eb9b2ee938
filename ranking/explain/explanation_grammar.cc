#include "ranking/explain/explanation_grammar.h"

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "ranking/explain/explanation_plan.h"

namespace palate::ranking {
namespace {

// The notation: alternatives are separated by " | "; "<rule>" stands for a rule, "@role" for a
// value of the role, "#name" for the item's title, "#title" for a title of
// the history; everything else is a word or a sign.
struct NotedRule {
  const char* name;
  const char* alternatives;
};

constexpr NotedRule kRules[] = {
    {"text", "<sentence> | <sentence> <sentence> | <sentence> <sentence> <sentence>"},
    {"sentence", "<clauses> . | <clauses> !"},
    {"clauses",
     "<taste> | <taste> , and <subject> <predicate> | <taste> : <subject> <predicate> too | "
     "<taste> , so here is one that <predicate> | <taste> and <noun> : <subject> <both> | "
     "<taste> , such as <title> , and <subject> <predicate> | <taste> ; <look> | "
     "you <did> | you <did> , and <subject> <predicate> too | "
     "because you <did> : <subject> <predicate> as well | because you <did> : <subject> "
     "<predicate> | since you <did> , here is another one that <predicate> | "
     "like <title> , which you <deed> , <subject> <predicate> | "
     "like <title> , <subject> <predicate> | just like <title> , <subject> <predicate> | "
     "<subject> <predicate> | <subject> <predicate> , which you have picked before | "
     "<subject> <also> | <subject> <also> , which you have picked before | "
     "something different to try : <subject> <predicate> | "
     "for a change , here is one that <predicate> | <range> | <source> | <close> | <plain> | "
     "<look>"},
    {"taste", "<habit> <noun> | you like <noun>"},
    {"habit",
     "you often go for | you keep coming back to | again and again you choose | you often choose | "
     "time and again you pick | you are often drawn to | twice now you have picked | "
     "you have chosen | more than once you went for | you have already picked | "
     "twice now you showed interest in | you showed interest in | you have picked | you went for"},
    {"noun",
     "@material | things made of @material | pieces in @material | @style designs | "
     "the @style look | the @style style | things in @color | the color @color | @color | "
     "@pattern patterns | the @pattern pattern | things with @occasion in mind | "
     "picks made for @occasion | @kind picks | @kind finds | @category picks | @category finds | "
     "@feature designs | @feature things | things that are @feature | things by @maker | @maker | "
     "things priced at @price | picks priced at @price | things with @other | picks with @other"},
    {"predicate",
     "is made of @material | comes in @material | is in @material | has the @style look | "
     "is @style in style | has <a> @style design | comes in @color | is in @color | "
     "has the color @color | has <a> @pattern pattern | comes with <a> @pattern pattern | "
     "is made with @occasion in mind | is a pick for @occasion | is <a> @kind pick | "
     "is <a> @kind find | is <a> @category pick | belongs to @category | is <a> @category find | "
     "is @feature | has <a> @feature design | is by @maker | comes from @maker | "
     "is priced at @price | comes at @price | comes with @other | has @other"},
    {"both", "has both | brings both together"},
    {"subject", "it | this one | #name | the #name"},
    {"title", "#title | the #title"},
    {"a", "a | an"},
    {"did",
     "bought <title> | liked <title> | put <title> in your basket | looked at <title> | "
     "rated <title> highly | watched <title> | played <title> | read <title> | saved <title> | "
     "chose <title>"},
    {"deed",
     "bought | liked | put in your basket | looked at | rated highly | watched | played | read | "
     "saved | chose"},
    {"look",
     "the #name 's look is @style | the look of #name is @style | the look of this one is @style"},
    {"range",
     "at @price , it is within the price range you usually choose | "
     "its price of @price is in your usual range | "
     "the price , @price , is within your usual range | "
     "with @other , it is within the range you usually choose"},
    {"source",
     "it is popular right now | right now it is trending | many people choose it right now | "
     "it has just arrived | it is new here | it is a new arrival | it matches your search | "
     "it fits what you searched for | it is close to what you are looking at | "
     "it is similar to what you have open | people with similar picks chose it too | "
     "others with similar picks went for it"},
    {"close",
     "close to <title> , which you <deed> | <subject> is close to <title> , which you "
     "<deed>"},
    {"plain", "a pick from the catalog to try | something else to try"},
};

struct Symbol {
  enum class Kind { kWord, kRule, kValue, kName, kTitle };
  Kind kind = Kind::kWord;
  std::string text;                    // kWord
  size_t rule = 0;                     // kRule
  PointRole role = PointRole::kOther;  // kValue
};
using Alternative = std::vector<Symbol>;

// "is made of …" becomes "is also made of …", "comes in …" becomes "also comes in …".
std::string Also(const std::string& predicates) {
  std::vector<std::string> also;
  for (const absl::string_view predicate : absl::StrSplit(predicates, " | ")) {
    also.push_back(absl::StartsWith(predicate, "is ")
                       ? absl::StrCat("is also ", predicate.substr(3))
                       : absl::StrCat("also ", predicate));
  }
  std::string joined;
  for (const std::string& alternative : also)
    absl::StrAppend(&joined, joined.empty() ? "" : " | ", alternative);
  return joined;
}

PointRole RoleNamed(absl::string_view name) {
  static const auto& roles = *new std::map<std::string, PointRole, std::less<>>{
      {"material", PointRole::kMaterial}, {"style", PointRole::kStyle},
      {"color", PointRole::kColor},       {"pattern", PointRole::kPattern},
      {"occasion", PointRole::kOccasion}, {"kind", PointRole::kKind},
      {"category", PointRole::kCategory}, {"feature", PointRole::kFeature},
      {"maker", PointRole::kMaker},       {"price", PointRole::kPrice},
      {"other", PointRole::kOther}};
  return roles.find(std::string(name))->second;
}

class Rules {
 public:
  static const Rules& Get() {
    static const auto* const rules = new Rules();
    return *rules;
  }
  const std::vector<Alternative>& of(size_t rule) const { return alternatives_[rule]; }
  size_t size() const { return alternatives_.size(); }
  size_t start() const { return start_; }

 private:
  Rules() {
    std::map<std::string, std::string> noted;
    for (const NotedRule& rule : kRules) noted[rule.name] = rule.alternatives;
    noted["also"] = Also(noted["predicate"]);

    for (const auto& [name, text] : noted) numbers_.emplace(name, numbers_.size());
    start_ = numbers_.at("text");
    alternatives_.resize(numbers_.size());
    for (const auto& [name, text] : noted) {
      for (const absl::string_view alternative : absl::StrSplit(text, " | "))
        alternatives_[numbers_.at(name)].push_back(Read(alternative));
    }
  }

  Alternative Read(absl::string_view text) const {
    Alternative symbols;
    for (const absl::string_view part : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      if (part.front() == '<') {
        const std::string name(part.substr(1, part.size() - 2));
        symbols.push_back({Symbol::Kind::kRule, "", numbers_.at(name)});
      } else if (part.front() == '@') {
        symbols.push_back({Symbol::Kind::kValue, "", 0, RoleNamed(part.substr(1))});
      } else if (part.front() == '#') {
        symbols.push_back({part == "#name" ? Symbol::Kind::kName : Symbol::Kind::kTitle, "", 0});
      } else {
        symbols.push_back({Symbol::Kind::kWord, std::string(part), 0});
      }
    }
    return symbols;
  }

  std::map<std::string, size_t> numbers_;
  size_t start_ = 0;
  std::vector<std::vector<Alternative>> alternatives_;
};

// Finds every end of a rule at every position, each once. No rule begins with itself, so it ends.
class Parser {
 public:
  // A set of positions in the text.
  using Positions = std::bitset<128>;

  // REQUIRES: the text is shorter than Positions.
  explicit Parser(const std::vector<TextToken>& tokens)
      : tokens_(tokens), roles_(tokens.size()), ends_(Rules::Get().size() * (tokens.size() + 1)) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const Mention& mention = tokens[i].mention;
      if (tokens[i].kind == TextToken::Kind::kMention && mention.kind == Mention::Kind::kValue)
        roles_[i] = RoleOf(mention.attribute, mention.value);
    }
  }

  Positions Ends(size_t rule, size_t begin) {
    std::optional<Positions>& known = ends_[rule * (tokens_.size() + 1) + begin];
    if (known.has_value()) return *known;

    Positions ends;
    for (const Alternative& alternative : Rules::Get().of(rule)) {
      Positions reached;
      reached.set(begin);
      for (const Symbol& symbol : alternative) {
        reached = Advance(symbol, reached);
        if (reached.none()) break;
      }
      ends |= reached;
    }
    known = ends;
    return ends;
  }

  // Whether some rule could go on after the last token.
  bool goes_on() const { return goes_on_; }
  // The first token that no rule takes.
  size_t furthest() const { return furthest_; }

 private:
  Positions Advance(const Symbol& symbol, const Positions& from) {
    Positions reached;
    for (size_t at = 0; at <= tokens_.size(); ++at) {
      if (!from.test(at)) continue;
      if (symbol.kind == Symbol::Kind::kRule) {
        reached |= Ends(symbol.rule, at);
      } else if (at == tokens_.size()) {
        goes_on_ = true;
      } else if (Takes(symbol, at)) {
        reached.set(at + 1);
        furthest_ = std::max(furthest_, at + 1);
      }
    }
    return reached;
  }

  bool Takes(const Symbol& symbol, size_t at) const {
    const TextToken& token = tokens_[at];
    const bool mention = token.kind == TextToken::Kind::kMention;
    switch (symbol.kind) {
      case Symbol::Kind::kWord:
        return !mention && token.word == symbol.text;
      case Symbol::Kind::kName:
        return mention && token.mention.kind == Mention::Kind::kName;
      case Symbol::Kind::kTitle:
        return mention && token.mention.kind == Mention::Kind::kEvent;
      case Symbol::Kind::kValue:
        return roles_[at] == symbol.role;
      case Symbol::Kind::kRule:
        break;
    }
    return false;
  }

  const std::vector<TextToken>& tokens_;
  std::vector<std::optional<PointRole>> roles_;  // of values
  std::vector<std::optional<Positions>> ends_;   // by rule and begin
  bool goes_on_ = false;
  size_t furthest_ = 0;
};

std::string Spelled(const TextToken& token) {
  if (token.kind != TextToken::Kind::kMention) return token.word;
  if (token.mention.kind == Mention::Kind::kValue) return token.mention.value;
  return token.mention.kind == Mention::Kind::kName ? "the item's title" : "a title of the history";
}

}  // namespace

std::string RefuseSentences(const std::vector<TextToken>& tokens, bool unfinished) {
  if (tokens.size() >= Parser::Positions().size()) return "the text is too long";
  Parser parser(tokens);
  if (parser.Ends(Rules::Get().start(), 0).test(tokens.size())) return "";
  if (unfinished && parser.goes_on()) return "";

  if (parser.furthest() >= tokens.size()) return "the text is not a whole sentence";
  return absl::StrCat("is no sentence that the check understands from '",
                      Spelled(tokens[parser.furthest()]), "' on");
}

}  // namespace palate::ranking
