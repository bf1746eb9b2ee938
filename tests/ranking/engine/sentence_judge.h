// Judges explanations without the evidence check: whether each sentence has one of the shapes
// below, and what the shapes claim. Facts are replaced before the comparison: T stands for a title,
// V for a value with the words of its attribute.
#pragma once

#include <map>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace palate::ranking {

// The shapes of good sentences, written down by hand from English and not from the grammar of the
// check; a sentence of no shape is ungrammatical.
inline const std::vector<std::regex>& GoodSentences() {
  static const auto& shapes = *new std::vector<std::regex>([] {
    const std::string thing =
        "(V|the color V|the V (look|style|pattern)|V (designs|patterns|picks|finds|things)|"
        "(things|pieces|picks) (in|with|by|made of|made for|priced at|that are) V( in mind)?)";
    const std::string is =
        "(is (also )?(made of|in|by|priced at|made with|a pick for) V( in mind)?|"
        "is (also )?V( in style)?|is (also )?an? V (pick|find)|(also )?comes (in|with|from|at) V|"
        "(also )?comes with an? V pattern|(also )?has V|(also )?has the (V look|color V)|"
        "(also )?has an? V (design|pattern)|(also )?belongs to V)";
    const std::string it = "([Ii]t|[Tt]his one|T)";
    const std::string done =
        "(bought T|liked T|put T in your basket|looked at T|rated T highly|watched T|played T|"
        "read T|saved T|chose T)";
    const std::string did =
        "(bought|liked|put in your basket|looked at|rated highly|watched|played|read|saved|chose)";
    const std::string habit =
        "(You (often go for|keep coming back to|often choose|are often drawn to|have chosen|"
        "have already picked|showed interest in|have picked|went for)|"
        "(Again and again|Time and again) you (choose|pick)|Twice now you (have picked|showed "
        "interest in)|More than once you went for) " +
        thing;

    std::vector<std::regex> all;
    for (const std::string& shape :
         {absl::StrCat(habit, "(, such as T)?(, and ", it, " ", is, "|: ", it, " ", is, " too)"),
          absl::StrCat(habit, ", so here is one that ", is),
          absl::StrCat(habit, " and ", thing, ": ", it, " (has both|brings both together)"),
          absl::StrCat("You ", done, "(, and ", it, " ", is, " too)?"),
          absl::StrCat("Because you ", done, ": ", it, " ", is, "( as well)?"),
          absl::StrCat("Since you ", done, ", here is another one that ", is),
          absl::StrCat("(Just like|Like) T(, which you ", did, ")?, ", it, " ", is),
          absl::StrCat(it, " ", is, "(, which you have picked before)?"),
          absl::StrCat("Something different to try: ", it, " ", is),
          absl::StrCat("For a change, here is one that ", is),
          absl::StrCat("Close to T, which you ", did),
          std::string("At V, it is within the price range you usually choose|"
                      "Its price of V is in your usual range|"
                      "The price, V, is within your usual range|"
                      "With V, it is within the range you usually choose"),
          std::string("It is popular right now|Right now it is trending|"
                      "Many people choose it right now|It has just arrived|It is new here|"
                      "It is a new arrival|It matches your search|It fits what you searched for|"
                      "It is close to what you are looking at|It is similar to what you have open|"
                      "(People|Others) with similar picks (chose it too|went for it)"),
          std::string("A pick from the catalog to try|Something else to try")}) {
      all.emplace_back(absl::StrCat("(", shape, ")[.!]"));
    }
    return all;
  }());
  return shapes;
}

inline bool IsGoodSentence(const std::string& shape) {
  static auto& judged = *new std::map<std::string, bool>;
  const auto [verdict, added] = judged.emplace(shape, false);
  if (!added) return verdict->second;

  for (const std::regex& good : GoodSentences()) {
    verdict->second = verdict->second || std::regex_match(shape, good);
  }
  return verdict->second;
}

}  // namespace palate::ranking
