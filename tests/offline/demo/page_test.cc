#include "offline/demo/page.h"

#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temp_folder.h"

namespace palate::demo {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Page OneShopper(PageRecommendation recommendation) {
  PageShopper shopper{
      .name = "shopper-001",
      .truth = "likes walnut",
      .history = {{.title = "Old lamp", .badge = "purchase", .detail = "2 days ago"}},
      .recommendations = {std::move(recommendation)},
      .notes = {"rerank skipped: DEADLINE"}};

  return {.title = "Demo",
          .lead = "A lead.",
          .figures = {{"400", "products"}},
          .tables = {{"Quality", {{"order", "NDCG@10"}, {"oracle", "0.9"}}, "note"}},
          .shoppers = {std::move(shopper)}};
}

TEST(RenderPageTest, ShowsHistoryRecommendationExplanationEvidenceAndTable) {
  const std::string html =
      RenderPage(OneShopper({.item = {.title = "Walnut stool", .facts = "walnut, 49.00"},
                             .score = 0.5,
                             .reasons = {"taste"},
                             .explanation = "You bought a lamp of walnut.",
                             .by_model = true,
                             .evidence = {"Old lamp, purchase"}}));

  for (const char* part :
       {"shopper-001", "likes walnut", "Old lamp", "purchase", "2 days ago", "Walnut stool",
        "walnut, 49.00", "score 0.500", "taste", ">LLM<", "You bought a lamp of walnut.",
        "Old lamp, purchase", "Quality", "NDCG@10", "oracle", "400", "rerank skipped: DEADLINE"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
}

TEST(RenderPageTest, MarksTheTemplatesWords) {
  const std::string html = RenderPage(
      OneShopper({.item = {.title = "T"}, .explanation = "Popular.", .by_model = false}));
  EXPECT_THAT(html, HasSubstr(">TEMPLATE<"));
  EXPECT_THAT(html, Not(HasSubstr(">LLM<")));
}

TEST(RenderPageTest, EscapesEveryText) {
  const std::string hostile = "<script>alert(1)</script>\"'&";
  PageRecommendation entry{.item = {hostile, hostile, "", hostile, hostile},
                           .reasons = {hostile},
                           .explanation = hostile,
                           .evidence = {hostile}};

  Page page = OneShopper(entry);
  page.title = page.lead = page.figures[0].value = page.figures[0].label = hostile;
  page.tables[0] = {hostile, {{hostile}, {hostile}}, hostile};
  page.shoppers[0].name = page.shoppers[0].truth = hostile;
  page.shoppers[0].history[0] = entry.item;
  page.shoppers[0].notes = {hostile};

  const std::string html = RenderPage(page);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
}

TEST(RenderPageTest, ShowsOnlyImagesOfItsOwn) {
  const auto shown = [](const std::string& image) {
    return RenderPage(OneShopper({.item = {.title = "T", .image = image}})).find("<img") !=
           std::string::npos;
  };

  EXPECT_TRUE(shown(ImageDataUri("abc", "image/jpeg")));
  EXPECT_TRUE(shown("pictures/p-1.jpg"));
  EXPECT_FALSE(shown("https://example.com/p.jpg"));
  EXPECT_FALSE(shown("//example.com/p.jpg"));
  EXPECT_FALSE(shown("javascript:alert(1)"));
  EXPECT_FALSE(shown("data:text/html;base64,AAAA"));
  EXPECT_FALSE(shown(""));
}

TEST(ImageDataUriTest, EncodesBytesAsBase64) {
  EXPECT_EQ(ImageDataUri("hello", "image/png"), "data:image/png;base64,aGVsbG8=");
}

TEST(WritePageTest, WritesTheFileAndNamesAPathThatCannotBeWritten) {
  const TempFolder folder;
  const std::string path = folder.file("page.html");
  const Page page = OneShopper({.item = {.title = "T"}});

  ASSERT_TRUE(WritePage(page, path).ok());

  std::stringstream written;
  written << std::ifstream(path).rdbuf();
  EXPECT_EQ(written.str(), RenderPage(page));

  const absl::Status status = WritePage(page, "/nonexistent/folder/page.html");
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/folder/page.html"));
}

}  // namespace
}  // namespace palate::demo
