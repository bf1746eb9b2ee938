#include "retrieval/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "retrieval/columns.h"

namespace palate::retrieval {
namespace {

using ::testing::HasSubstr;

std::vector<AttributeDeclaration> Declarations() {
  return {{"brand", AttributeType::kString, true},  {"genres", AttributeType::kStringList, true},
          {"year", AttributeType::kInt64, true},    {"price", AttributeType::kDouble, true},
          {"in_stock", AttributeType::kBool, true}, {"secret", AttributeType::kString, false}};
}

Attributes Movie() {
  return {{"brand", std::string("Acme")},
          {"genres", std::vector<std::string>{"Comedy", "Drama"}},
          {"year", int64_t{1995}},
          {"price", 19.5},
          {"in_stock", true}};
}

bool Matches(const std::string& text, const Attributes& attributes) {
  const absl::StatusOr<Filter> filter = Filter::Parse(text, Declarations());
  EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
  return filter.ok() && filter->Matches(attributes);
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<Filter> filter = Filter::Parse(text, Declarations());
  EXPECT_FALSE(filter.ok()) << text;
  if (filter.ok()) return "";
  EXPECT_TRUE(absl::IsInvalidArgument(filter.status()));
  const std::vector<FieldViolation> violations = FieldViolations(filter.status());
  EXPECT_EQ(violations.size(), 1u);
  for (const FieldViolation& violation : violations) EXPECT_EQ(violation.field, "filter");
  return std::string(filter.status().message());
}

TEST(FilterTest, MatchesExampleOfTheHeader) {
  const std::string text =
      R"(genres: ANY("Comedy", "Drama") AND NOT (year < 1990) AND price <= 20.5 AND in_stock = true)";
  EXPECT_TRUE(Matches(text, Movie()));
  Attributes old = Movie();
  old["year"] = int64_t{1989};
  EXPECT_FALSE(Matches(text, old));
}

TEST(FilterTest, MatchesEverythingWhenEmpty) {
  EXPECT_TRUE(Matches("", {}));
  EXPECT_TRUE(Matches(" \t\n", Movie()));
  EXPECT_TRUE(Filter::Parse(" ", Declarations())->matches_everything());
}

TEST(FilterTest, ComparesEveryTypeWithItsOperators) {
  for (const char* text :
       {"year = 1995", "year != 1994", "year < 1996", "year <= 1995", "year > 1994", "year >= 1995",
        "year: ANY(1, 1995)", "price = 19.5", "price != 19", "price < 20", "price <= 19.5",
        "price > -1e3", "price >= +19.5", "brand = \"Acme\"", "brand != \"acme\"",
        "brand: ANY(\"x\", \"Acme\")", "genres: ANY(\"Drama\")", "in_stock = true",
        "in_stock != false"}) {
    EXPECT_TRUE(Matches(text, Movie())) << text;
    EXPECT_FALSE(Matches(absl::StrCat("NOT ", text), Movie())) << text;
  }
  for (const char* text : {"year = 1994", "year < 1995", "year: ANY(1)", "price > 19.5",
                           "brand: ANY(\"acme\")", "genres: ANY(\"Comed\")", "in_stock = false"}) {
    EXPECT_FALSE(Matches(text, Movie())) << text;
  }
}

TEST(FilterTest, ComparesIntegersBeyondDoublePrecisionExactly) {
  const Attributes item = {{"year", int64_t{9007199254740993}}};
  EXPECT_TRUE(Matches("year = 9007199254740993", item));
  EXPECT_FALSE(Matches("year = 9007199254740992", item));
  EXPECT_TRUE(Matches("year >= -9223372036854775808 AND year <= 9223372036854775807", item));
}

TEST(FilterTest, BindsNotBeforeAndBeforeOr) {
  EXPECT_TRUE(Matches("year = 1995 OR year = 1 AND year = 2", Movie()));
  EXPECT_FALSE(Matches("(year = 1995 OR year = 1) AND year = 2", Movie()));
  EXPECT_TRUE(Matches("NOT year = 1 AND year = 1995", Movie()));
  EXPECT_FALSE(Matches("NOT (year = 1 OR year = 1995)", Movie()));
  EXPECT_TRUE(Matches("NOT NOT year = 1995", Movie()));
}

TEST(FilterTest, TreatsMissingAttributeAsFalseUnderEveryOperator) {
  for (const char* text :
       {"year = 1", "year != 1", "year < 1", "year >= 1", "year: ANY(1)", "brand != \"x\"",
        "genres: ANY(\"x\")", "in_stock != true", "price > 0"}) {
    EXPECT_FALSE(Matches(text, {})) << text;
    EXPECT_TRUE(Matches(absl::StrCat("NOT (", text, ")"), {})) << text;
  }
}

TEST(FilterTest, ReadsStringEscapes) {
  const auto brand = [](std::string value) { return Attributes{{"brand", std::move(value)}}; };
  EXPECT_TRUE(Matches(R"(brand = "a\"b\\c\/d")", brand("a\"b\\c/d")));
  EXPECT_TRUE(Matches(R"(brand = "\n\r\t")", brand("\n\r\t")));
  EXPECT_TRUE(Matches(R"(brand = "\u00e9\u0416\u20ac")", brand("éЖ€")));
  EXPECT_TRUE(Matches(R"(brand = "\ud83d\ude00")", brand("😀")));
  EXPECT_TRUE(Matches("brand = \"é AND ) NOT\"", brand("é AND ) NOT")));
}

TEST(FilterTest, NamesPositionAndExpectationWhenUnparsable) {
  EXPECT_THAT(ErrorOf("year <"), HasSubstr("has the end at character 7; must be an integer"));
  EXPECT_THAT(ErrorOf("year = 1 and year = 2"),
              HasSubstr("\"and\" at character 10; must be AND, OR or the end"));
  EXPECT_THAT(ErrorOf("yaer = 1"), HasSubstr("\"yaer\" at character 1; must be one of the "
                                             "catalog's filterable attributes: brand, genres"));
  EXPECT_THAT(ErrorOf("brand = \"é€\" AND yaer = 1"), HasSubstr("at character 18"));
  EXPECT_THAT(ErrorOf("secret = \"x\""), HasSubstr("declares as filterable"));

  EXPECT_THAT(ErrorOf("year = \"1995\""), HasSubstr("at character 8; must be an integer"));
  EXPECT_THAT(ErrorOf("year = 1995.5"), HasSubstr("\"1995.5\" at character 8; must be an integer"));
  EXPECT_THAT(ErrorOf("year = 9223372036854775808"), HasSubstr("must be an integer of 64 bits"));
  EXPECT_THAT(ErrorOf("price < 1e999"), HasSubstr("must be a finite number"));
  EXPECT_THAT(ErrorOf("price < +-1"), HasSubstr("must be a finite number"));

  EXPECT_THAT(ErrorOf("price: ANY(1)"), HasSubstr("\":\" at character 6"));
  EXPECT_THAT(ErrorOf("genres = \"Drama\""), HasSubstr("ANY after a string list attribute"));
  EXPECT_THAT(ErrorOf("in_stock < true"), HasSubstr("after a true-or-false attribute"));
  EXPECT_THAT(ErrorOf("in_stock = 1"), HasSubstr("must be true or false"));
  EXPECT_THAT(ErrorOf("brand: (\"x\")"), HasSubstr("ANY after"));
  EXPECT_THAT(ErrorOf("brand: ANY \"x\""), HasSubstr("\"(\" after ANY"));
  EXPECT_THAT(ErrorOf("brand: ANY(\"x\" \"y\")"), HasSubstr("\",\" or \")\""));
  EXPECT_THAT(ErrorOf("brand: ANY()"), HasSubstr("a string in double quotes"));
  EXPECT_THAT(ErrorOf("(year = 1"), HasSubstr("must be AND, OR or \")\""));
  EXPECT_THAT(ErrorOf("year = 1)"), HasSubstr("at character 9"));

  EXPECT_THAT(ErrorOf("brand = \"abc"), HasSubstr("a string without an end at character 9"));
  EXPECT_THAT(ErrorOf("brand = \"abc\\"), HasSubstr("a string without an end"));
  EXPECT_THAT(ErrorOf("brand = \"\\x\""), HasSubstr("an unknown escape at character 10"));
  EXPECT_THAT(ErrorOf("brand = \"\\u12g4\""), HasSubstr("four hexadecimal digits"));
  EXPECT_THAT(ErrorOf("brand = \"\\ud83dx\""), HasSubstr("half a surrogate pair"));
  EXPECT_THAT(ErrorOf("€"), HasSubstr("\"€\" at character 1"));
  EXPECT_THAT(ErrorOf("AND"), HasSubstr("the name of an attribute"));
}

TEST(FilterTest, TakesDecimalNumbersOnly) {
  for (const char* number :
       {"0", "-0", "+7", "-7", "19.50", ".5", "5.", "1e3", "1E-3", "-1.5e+3", "0.5", "0e0"}) {
    EXPECT_TRUE(Filter::Parse(absl::StrCat("price < ", number), Declarations()).ok()) << number;
  }
  for (const char* number :
       {"0x10", "0X1p3", "0x",    "-0x1", "010",  "-007", "00",        "00.5",  "1_000",
        "1e",   "1e+",   ".",     "-",    "+",    "-.e1", "1.2.3",     "1-2",   "--1",
        "1f",   "1d",    "1e5.5", "-inf", "+nan", "-nan", "+infinity", "1e400", "0b11"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("price < ", number)),
                HasSubstr("at character 9; must be a finite number"))
        << number;
  }
  for (const char* word : {"inf", "nan", "infinity", "NaN"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("price < ", word)), HasSubstr("must be a finite number"))
        << word;
  }
  for (const char* number : {"0x10", "010", "1e3", "1.0", "1.", "-0x1", "1L", "+-1", "0b1"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("year: ANY(", number, ")")),
                HasSubstr("at character 11; must be an integer"))
        << number;
  }
}

TEST(FilterTest, RefusesInputBeyondItsLimits) {
  EXPECT_THAT(ErrorOf(std::string(kMaxFilterBytes + 1, ' ')),
              HasSubstr("8193 bytes; must be at most 8192"));
  EXPECT_THAT(ErrorOf("brand = \"\xff\""), HasSubstr("not valid UTF-8"));

  const auto nested = [](int depth) {
    return std::string(depth, '(') + "year = 1" + std::string(depth, ')');
  };
  EXPECT_TRUE(Filter::Parse(nested(kMaxFilterNesting), Declarations()).ok());
  EXPECT_THAT(ErrorOf(nested(kMaxFilterNesting + 1)), HasSubstr("more than 64 levels"));
  EXPECT_THAT(ErrorOf(std::string(4000, '(')), HasSubstr("more than 64 levels"));
  std::string negations;
  for (int i = 0; i < 2000; ++i) negations += "NOT ";
  EXPECT_THAT(ErrorOf(negations), HasSubstr("more than 64 levels"));

  const std::vector<std::string> values(kMaxFilterLiterals, "1");
  EXPECT_TRUE(
      Filter::Parse(absl::StrCat("year: ANY(", absl::StrJoin(values, ","), ")"), Declarations())
          .ok());
  EXPECT_THAT(ErrorOf(absl::StrCat("year: ANY(", absl::StrJoin(values, ","), ",1)")),
              HasSubstr("more than 1000 literals"));
}

TEST(FilterTest, NeverCrashesOnRandomBytes) {
  std::mt19937 random(7);
  const std::vector<std::string> pieces = {
      "year", "price", "brand", "genres", "in_stock", "(",    ")",  "AND", "OR",
      "NOT",  "ANY",   ":",     "=",      "!=",       "<",    ">=", "\"",  "\\",
      "\\u",  ",",     "1",     "-",      "1.5",      "true", " ",  "é"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const int length = std::uniform_int_distribution<>(0, 20)(random);
    for (int i = 0; i < length; ++i) text += pieces[random() % pieces.size()];
    const absl::StatusOr<Filter> filter = Filter::Parse(text, Declarations());
    if (filter.ok()) filter->Matches(Movie());
  }
}

// Random filters, each as text and as a function that evaluates it without the parser.
class RandomFilters {
 public:
  explicit RandomFilters(uint32_t seed) : random_(seed) {}

  struct Expression {
    std::string text;
    std::function<bool(const Attributes&)> holds;
  };

  Expression Any(int depth) {
    switch (depth == 0 ? 0 : Below(4)) {
      case 1: {
        const Expression inner = Any(depth - 1);
        return {absl::StrCat("NOT (", inner.text, ")"),
                [=](const Attributes& a) { return !inner.holds(a); }};
      }

      case 2: {
        const Expression left = Any(depth - 1), right = Any(depth - 1);
        return {absl::StrCat("(", left.text, ") AND (", right.text, ")"),
                [=](const Attributes& a) { return left.holds(a) && right.holds(a); }};
      }

      case 3: {
        const Expression left = Any(depth - 1), right = Any(depth - 1);
        return {absl::StrCat("((", left.text, ") OR ", "(", right.text, "))"),
                [=](const Attributes& a) { return left.holds(a) || right.holds(a); }};
      }

      default:
        return Term();
    }
  }

  Attributes Item() {
    Attributes item;
    if (Below(4) != 0) item["brand"] = Word();
    if (Below(4) != 0) {
      std::vector<std::string> genres;
      for (int i = Below(4); i > 0; --i) genres.push_back(Word());
      item["genres"] = genres;
    }
    if (Below(4) != 0) item["year"] = int64_t{Below(5)};
    if (Below(4) != 0) item["price"] = Below(5) / 2.0;
    if (Below(4) != 0) item["in_stock"] = Below(2) == 0;
    return item;
  }

 private:
  int Below(int limit) { return std::uniform_int_distribution<>(0, limit - 1)(random_); }
  std::string Word() { return std::string(1, static_cast<char>('a' + Below(4))); }

  Expression Term() {
    switch (Below(5)) {
      case 0: {
        const std::string word = Word();
        const bool equal = Below(2) == 0;
        return {absl::StrCat("brand ", equal ? "=" : "!=", " \"", word, "\""),
                [=](const Attributes& a) {
                  return a.contains("brand") &&
                         (std::get<std::string>(a.at("brand")) == word) == equal;
                }};
      }

      case 1: {
        const std::string one = Word(), two = Word();
        return {
            absl::StrCat("genres:ANY(\"", one, "\",\"", two, "\")"), [=](const Attributes& a) {
              if (!a.contains("genres")) return false;
              for (const std::string& genre : std::get<std::vector<std::string>>(a.at("genres"))) {
                if (genre == one || genre == two) return true;
              }
              return false;
            }};
      }

      case 2: {
        const bool wanted = Below(2) == 0;
        return {absl::StrCat("in_stock = ", wanted ? "true" : "false"), [=](const Attributes& a) {
                  return a.contains("in_stock") && std::get<bool>(a.at("in_stock")) == wanted;
                }};
      }

      case 3:
        return Number<int64_t>("year", Below(5));
      default:
        return Number<double>("price", Below(5) / 2.0);
    }
  }

  template <typename T>
  Expression Number(std::string name, T operand) {
    const int op = Below(6);
    static constexpr const char* kSymbols[] = {"=", "!=", "<", "<=", ">", ">="};

    return {absl::StrCat(name, kSymbols[op], operand), [=](const Attributes& a) {
              if (!a.contains(name)) return false;
              const T value = std::get<T>(a.at(name));
              const bool results[] = {value == operand, value != operand,
                                      value<operand, value <= operand, value> operand,
                                      value >= operand};
              return results[op];
            }};
  }

  std::mt19937 random_;
};

TEST(FilterTest, AgreesWithNaiveEvaluatorRowByRowAndByColumnOnRandomExpressions) {
  RandomFilters random(1);
  for (int round = 0; round < 300; ++round) {
    const size_t rows = 1 + round % 130;
    std::vector<Attributes> items;
    std::map<AttributeColumns::Key, AttributeColumnBuilder> builders;
    for (size_t row = 0; row < rows; ++row) {
      items.push_back(random.Item());
      for (const auto& [name, value] : items.back()) {
        builders.try_emplace(AttributeColumns::Key(name, TypeOf(value)), TypeOf(value), rows)
            .first->second.Set(row, value);
      }
    }

    std::map<AttributeColumns::Key, AttributeColumn> finished;
    for (auto& [key, builder] : builders) finished.emplace(key, builder.Finish());
    const AttributeColumns columns(rows, std::move(finished));

    const RandomFilters::Expression expression = random.Any(4);
    const absl::StatusOr<Filter> filter = Filter::Parse(expression.text, Declarations());
    ASSERT_TRUE(filter.ok()) << expression.text << ": " << filter.status();
    const absl::StatusOr<Bitmap> bitmap =
        columns.Evaluate(*filter, [] { return absl::OkStatus(); });
    ASSERT_TRUE(bitmap.ok());

    for (size_t row = 0; row < rows; ++row) {
      ASSERT_EQ(columns.Get(row), items[row]);
      ASSERT_EQ(filter->Matches(items[row]), expression.holds(items[row])) << expression.text;
      ASSERT_EQ(bitmap->Test(row), expression.holds(items[row])) << expression.text;
    }
  }
}

}  // namespace
}  // namespace palate::retrieval
