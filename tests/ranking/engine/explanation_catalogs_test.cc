// What the built-in model says about catalogs that are unlike the one it was trained on. Texts are
// judged by sentence_judge.h and recounted from the data below; neither reads the plan or the
// check.
#include <algorithm>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ranking/engine/llm_engine.h"
#include "ranking/reasons.h"
#include "tests/ranking/engine/sentence_judge.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

using List = std::vector<std::string>;

constexpr int kItems = 40;
constexpr int kUsers = 12;
constexpr int kHistory = 6;
constexpr int kTextsPerUser = 11;

struct EventKind {
  const char* type;
  double weight;
  const char* deed;  // what a text may say of it
  bool chosen;       // more than a look
};

struct TestCatalog {
  std::string name;
  List title_words;
  std::map<std::string, List> values;  // one of them for each attribute
  std::vector<std::string> numbers;
  std::vector<EventKind> events;
  bool described = false;
};

std::vector<TestCatalog> Catalogs() {
  const std::vector<EventKind> shop = {{"purchase", 3, "bought", true},
                                       {"page_view", 2, "looked at", false},
                                       {"add_to_cart", 2, "basket", true}};
  const std::vector<EventKind> films = {{"rating", 2, "highly", true}};
  const std::vector<EventKind> recipes = {{"save", 2, "saved", true},
                                          {"view", 2, "looked at", false}};
  return {
      {"titles", {"Hyena", "Monday pages", "Gray lighthouse", "Salt and rope"}, {}, {}, shop},
      {"descriptions", {"Northern light", "The clock maker"}, {}, {}, shop, true},
      {"books",
       {"Winter roads", "The glass house", "A field in spring"},
       {{"author", {"Ann Bell", "Jorge Ruiz", "Mei Tan"}},
        {"genres", {"mystery", "essay", "historical"}},
        {"publisher", {"Northgate", "Lumen"}}},
       {"pages"},
       shop},
      {"recipes",
       {"Grandma pie", "Lentil stew", "Quick noodles"},
       {{"cuisine", {"italian", "thai", "mexican"}}, {"course", {"dinner", "breakfast"}}},
       {"minutes"},
       recipes},
      {"electronics",
       {"Volt headphones", "Arc speaker", "Pixelate camera"},
       {{"brand", {"Voltix", "Arcadia"}},
        {"features", {"waterproof", "wireless", "USB-C port", "noise-reduced"}},
        {"vintage", {"2015", "2019"}},
        {"color", {"black", "white", "orange"}}},
       {"price", "weight"},
       shop},
      {"movielens",
       {"Old Picture One (1942)", "Recent Picture (2006)", "What? (1999)"},
       {{"genres", {"Action", "Drama", "Comedy", "Thriller"}}},
       {"year"},
       films},
  };
}

// One user of a catalog and the items to explain.
struct World {
  const TestCatalog* catalog = nullptr;
  std::vector<ItemFacts> items;
};

World MakeWorld(const TestCatalog& catalog, std::mt19937_64& random) {
  World world;
  world.catalog = &catalog;
  for (int i = 0; i < kItems; ++i) {
    Attributes attributes;
    for (const auto& [name, values] : catalog.values)
      attributes[name] = values[random() % values.size()];
    for (const std::string& name : catalog.numbers)
      attributes[name] = static_cast<double>(20 + random() % 60);
    ItemFacts item = MakeItem(
        absl::StrCat("i", i),
        absl::StrCat(catalog.title_words[random() % catalog.title_words.size()], " ", i + 1000),
        std::move(attributes));
    if (catalog.described) item.description = "A quiet story in short chapters about the coast.";
    world.items.push_back(std::move(item));
  }
  return world;
}

ExplainInput MakeInput(const World& world, const std::vector<HistoryEntry>& history, size_t item,
                       std::mt19937_64& random) {
  ExplainInput input;
  input.history = history;
  input.item = world.items[item];
  input.reasons = {kContentReason};
  if (random() % 2 == 0) input.reasons.push_back(kTrendingReason);
  if (random() % 2 == 0) input.reasons.push_back(kFreshReason);
  input.age = absl::Hours(24) * static_cast<double>(random() % 2 == 0 ? random() % 30 : 6000);
  input.popularity = static_cast<double>(random() % 20);
  input.close_item_ids = {history[random() % history.size()].item.item_id};
  return input;
}

// Replaces facts by T and V, the longest spelling first.
std::string ShapeOf(std::string text, const ExplainInput& input) {
  std::vector<std::pair<std::string, std::string>> spellings = {{input.item.title, "T"}};
  for (const HistoryEntry& entry : input.history) spellings.emplace_back(entry.item.title, "T");
  for (const auto& [name, value] : input.item.attributes) {
    const auto* word = std::get_if<std::string>(&value);
    const std::string said =
        word != nullptr ? *word : absl::StrCat(static_cast<int>(std::get<double>(value)));
    spellings.emplace_back(absl::StrCat(said, " as the ", name), "V");
    spellings.emplace_back(absl::StrCat(said, " ", name), "V");
    spellings.emplace_back(said, "V");
  }
  std::stable_sort(spellings.begin(), spellings.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  for (const auto& [spelling, letter] : spellings)
    text = absl::StrReplaceAll(text, {{spelling, letter}});
  return text;
}

// What is false in an accepted or a template text, by a recount; empty if nothing is.
std::string FalseIn(const std::string& text, const ExplainInput& input, const World& world) {
  const auto says = [&text](absl::string_view words) { return absl::StrContains(text, words); };

  if ((says(" new ") || says("arrived") || says("arrival")) && *input.age > absl::Hours(24 * 30))
    return "not new";
  if ((says("popular") || says("trending") || says("Many people")) && *input.popularity < 10)
    return "not popular";

  // A value of the catalog that the item lacks.
  for (const auto& [name, values] : world.catalog->values) {
    for (const std::string& value : values) {
      const bool has = input.item.attributes.at(name) == AttributeValue(value);
      if (!has && absl::StrContains(
                      absl::StrCat(" ", absl::StrReplaceAll(text, {{input.item.title, ""}}), " "),
                      absl::StrCat(" ", value, " ")))
        return absl::StrCat("no ", value);
    }
  }

  for (const HistoryEntry& entry : input.history) {
    if (says(absl::StrCat("Close to ", entry.item.title)) &&
        entry.item.item_id != input.close_item_ids[0])
      return "not close";
  }

  // The deed of a title, and the events behind a habit.
  for (const HistoryEntry& entry : input.history) {
    if (!says(entry.item.title)) continue;
    for (const EventKind& kind : world.catalog->events) {
      const bool claims = says(kind.deed);
      const bool happened =
          std::any_of(input.history.begin(), input.history.end(), [&](const HistoryEntry& other) {
            return other.item.item_id == entry.item.item_id && other.event_type == kind.type;
          });
      if (claims && !happened) return absl::StrCat("not ", kind.deed, ": ", entry.item.title);
    }
  }

  int best_events = 0, best_choices = 0;
  for (const auto& [name, value] : input.item.attributes) {
    const auto* word = std::get_if<std::string>(&value);
    if (word == nullptr || !says(*word)) continue;
    std::set<std::string> events, choices;
    for (const HistoryEntry& entry : input.history) {
      if (entry.item.attributes.at(name) != value) continue;
      events.insert(entry.item.item_id);
      if (entry.event_type != std::string("page_view") && entry.event_type != std::string("view"))
        choices.insert(entry.item.item_id);
    }
    best_events = std::max(best_events, static_cast<int>(events.size()));
    best_choices = std::max(best_choices, static_cast<int>(choices.size()));
  }
  const bool range = says("usual");
  const bool often = says("often") || says("gain") || says("keep");
  const bool twice = says("Twice") || says("More than once");
  const int needed = often ? 3 : (twice ? 2 : 1);
  if ((often || twice) && best_events < needed) return "not so often";
  const bool choice = says("You have picked") || says("have chosen") || says("You went") ||
                      says("you have picked") || says("you choose") || says("often choose") ||
                      says("often go") || says("you pick") || says("already picked") ||
                      says("you went");
  if (choice && !range && best_choices < needed) return "not chosen";
  return "";
}

TEST(ExplanationCatalogsTest, NoTextIsUngrammaticalOrFalseInCatalogsUnlikeTheDemos) {
  const auto engine = LlmEngine::Load(std::string(PALATE_SOURCE_DIR) + "/assets/shopper-lm", {});
  ASSERT_TRUE(engine.ok()) << engine.status();

  std::mt19937_64 random(11);
  absl::Duration writing;
  int asked = 0, by_model = 0, texts = 0;
  const std::vector<TestCatalog> catalogs = Catalogs();
  for (const TestCatalog& catalog : catalogs) {
    const World world = MakeWorld(catalog, random);
    int catalog_model = 0, catalog_texts = 0;
    for (int user = 0; user < kUsers; ++user) {
      std::vector<HistoryEntry> history;
      const size_t first = random() % kItems;
      for (int e = 0; e < kHistory; ++e) {
        const EventKind& kind = catalog.events[random() % catalog.events.size()];
        history.push_back(MakeEntry(world.items[(first + static_cast<size_t>(e)) % kItems],
                                    kind.type, kind.weight, e));
      }

      std::vector<ExplainInput> inputs;
      for (size_t i = 0; i < kTextsPerUser; ++i)
        inputs.push_back(MakeInput(world, history, (first + kHistory + i) % kItems, random));

      const absl::Time began = absl::Now();
      const auto explanations = (*engine)->Explain(inputs, nullptr, {});
      writing += absl::Now() - began;
      ASSERT_TRUE(explanations.ok()) << explanations.status();
      for (size_t i = 0; i < inputs.size(); ++i) {
        const Explanation& explanation = (*explanations)[i];
        const std::string shape = ShapeOf(explanation.text, inputs[i]);
        for (absl::string_view rest = shape; !rest.empty();) {
          const size_t end = rest.find(". ");
          const std::string sentence(rest.substr(0, end == rest.npos ? end : end + 1));
          rest.remove_prefix(end == rest.npos ? rest.size() : end + 2);
          EXPECT_TRUE(IsGoodSentence(sentence)) << explanation.text << "\n" << sentence;
        }
        EXPECT_EQ(FalseIn(explanation.text, inputs[i], world), "") << explanation.text;

        ++texts, ++catalog_texts;
        asked += explanation.cause != TemplateCause::kNothingToSay;
        catalog_model += explanation.source == ExplanationSource::kLlm;
      }
    }
    by_model += catalog_model;
    std::cout << catalog.name << ": " << catalog_texts << " texts, "
              << catalog_texts - catalog_model << " of them templates\n";
  }

  std::cout << texts << " texts, the model was asked for " << asked << " and wrote " << by_model
            << " in " << writing << "\n";
  EXPECT_GE(texts, 600);
  EXPECT_GE(asked, 500);
  EXPECT_GT(by_model, asked / 2);
}

}  // namespace
}  // namespace palate::ranking
