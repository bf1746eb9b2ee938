#include "ranking/pointwise_text.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PointwiseTextTest, AnEmptyHistoryIsAnEmptyQuery) { EXPECT_EQ(QueryFromHistory({}), ""); }

TEST(PointwiseTextTest, AQueryNamesLikesDislikesAndRecentTitles) {
  std::vector<HistoryEntry> history;
  for (int i = 0; i < 4; ++i) {
    ItemFacts liked{"liked" + std::to_string(i),
                    "Chair " + std::to_string(i),
                    "",
                    {{"material", std::string("walnut")}, {"price", 100.0 + i}}};
    history.push_back({liked, "buy", 1.0, absl::UnixEpoch() - absl::Hours(i)});
    ItemFacts disliked{"disliked" + std::to_string(i),
                       "Lamp " + std::to_string(i),
                       "",
                       {{"material", std::string("brass")}}};
    history.push_back({disliked, "dislike", -1.0, absl::UnixEpoch() - absl::Hours(i)});
  }

  const std::string query = QueryFromHistory(history);
  EXPECT_THAT(query, HasSubstr("Likes: material walnut."));
  EXPECT_THAT(query, HasSubstr("Dislikes: material brass."));
  EXPECT_THAT(query, HasSubstr("Usual price: 10"));
  EXPECT_THAT(query, HasSubstr("Recently liked: Chair 0; Chair 1; Chair 2; Chair 3."));
  EXPECT_THAT(query, Not(HasSubstr("Lamp")));
}

TEST(PointwiseTextTest, ADocumentIsTitleDescriptionAndAttributes) {
  const ItemFacts item{"id",
                       "Oak chair",
                       "It stands.",
                       {{"colors", std::vector<std::string>{"red", "blue"}},
                        {"foldable", true},
                        {"price", 12.5},
                        {"stock", int64_t{3}}}};
  EXPECT_EQ(DocumentFromFacts(item),
            "Oak chair\nIt stands.\ncolors: red, blue\nfoldable: yes\nprice: 12.5\nstock: 3");
  EXPECT_EQ(DocumentFromFacts({}), "");
}

TEST(PointwiseTextTest, NumbersHaveAllOfTheirDigits) {
  for (const auto& [price, text] : std::map<double, std::string>{
           {1234567, "1234567"}, {1234571, "1234571"}, {0.1234567, "0.1234567"}}) {
    ItemFacts item;
    item.attributes = {{"price", price}};
    EXPECT_EQ(DocumentFromFacts(item), "price: " + text);
  }
}

TEST(PointwiseTextTest, ALongDescriptionEndsAtAWholeCharacter) {
  ItemFacts item;
  for (int i = 0; i < 1500; ++i) item.description += "\xC3\xA9";  // two bytes each
  item.description = "a" + item.description;  // so that byte 2,000 is inside a character
  const std::string document = DocumentFromFacts(item);
  EXPECT_EQ(document.size(), 1999u);
  EXPECT_EQ(document.back(), '\xA9');
}

}  // namespace
}  // namespace palate::ranking
