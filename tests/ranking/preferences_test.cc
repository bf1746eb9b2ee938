#include "ranking/preferences.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Preference* FindPreference(const std::vector<Preference>& preferences,
                                 const std::string& value) {
  for (const Preference& preference : preferences) {
    if (preference.value == value) return &preference;
  }
  return nullptr;
}

TEST(SummarizeTest, IsEmptyForAnEmptyHistory) {
  const PreferenceSummary summary = Summarize({});
  EXPECT_THAT(summary.likes, IsEmpty());
  EXPECT_THAT(summary.dislikes, IsEmpty());
  EXPECT_THAT(summary.ranges, IsEmpty());
}

TEST(SummarizeTest, PutsTheStrongestLikeFirstWithItsEvidence) {
  const PreferenceSummary summary = Summarize(WalnutHistory());
  ASSERT_FALSE(summary.likes.empty());
  EXPECT_EQ(summary.likes[0].value, "walnut");
  EXPECT_EQ(summary.likes[0].attribute, "material");
  EXPECT_THAT(summary.likes[0].evidence_item_ids, ElementsAre("lamp", "stool", "mug"));
  for (size_t i = 1; i < summary.likes.size(); ++i)
    EXPECT_GE(summary.likes[i - 1].weight, summary.likes[i].weight);
}

TEST(SummarizeTest, PutsWhatWasTurnedDownUnderDislikes) {
  const PreferenceSummary summary = Summarize(WalnutHistory());
  const Preference* brass = FindPreference(summary.dislikes, "brass");
  ASSERT_NE(brass, nullptr);
  EXPECT_LT(brass->weight, 0);
  EXPECT_THAT(brass->evidence_item_ids, ElementsAre("clock"));
  EXPECT_EQ(FindPreference(summary.likes, "brass"), nullptr);
}

TEST(SummarizeTest, WeighsByHandComputedDecayAndShrinkage) {
  SummaryOptions options;
  options.half_life = absl::Hours(24);
  options.shrinkage = 1;
  options.min_share = 0;
  const std::vector<HistoryEntry> history = {
      MakeEntry(MakeItem("a", "A", {{"color", "red"}}), "like", 4, 0),
      MakeEntry(MakeItem("b", "B", {{"color", "red"}}), "like", 2, 1)};

  const PreferenceSummary summary = Summarize(history, options);
  ASSERT_EQ(summary.likes.size(), 1u);
  // Weights 1 and 0.5, trusts 1 and 0.5: (1 + 0.25) / (1.5 + 1).
  EXPECT_NEAR(summary.likes[0].weight, 0.5, 1e-9);
}

TEST(SummarizeTest, SolvesTheRidgeEquations) {
  SummaryOptions options;
  options.shrinkage = 1;
  options.min_share = 0;
  // Red and round on the first item (weight 1), round alone on the second (weight 0.5), at the same
  // time:
  //
  //   2 red + round = 1 and red + 3 round = 1.5, so red = 0.3 and round = 0.4.
  const std::vector<HistoryEntry> history = {
      MakeEntry(MakeItem("a", "A", {{"color", "red"}, {"shape", "round"}}), "like", 2),
      MakeEntry(MakeItem("b", "B", {{"shape", "round"}}), "click", 1)};

  const PreferenceSummary summary = Summarize(history, options);
  ASSERT_EQ(summary.likes.size(), 2u);
  EXPECT_EQ(summary.likes[0].value, "round");
  EXPECT_NEAR(summary.likes[0].weight, 0.4, 1e-6);
  EXPECT_NEAR(summary.likes[1].weight, 0.3, 1e-6);
}

TEST(SummarizeTest, CountsAnItemOnceByItsStrongestEvent) {
  std::vector<HistoryEntry> history = WalnutHistory();
  const PreferenceSummary once = Summarize(history);
  for (int i = 0; i < 20; ++i) history.push_back(MakeEntry(history[0].item, "view", 0.1, 1));
  const PreferenceSummary often = Summarize(history);
  ASSERT_EQ(once.likes.size(), often.likes.size());
  for (size_t i = 0; i < once.likes.size(); ++i)
    EXPECT_NEAR(once.likes[i].weight, often.likes[i].weight, 1e-9);
}

TEST(SummarizeTest, MeasuresDecayFromTheUsersNewestEvent) {
  std::vector<HistoryEntry> history = WalnutHistory();
  const PreferenceSummary now = Summarize(history);
  for (HistoryEntry& entry : history) entry.time -= absl::Hours(24 * 365 * 20);
  const PreferenceSummary long_ago = Summarize(history);
  ASSERT_EQ(now.likes.size(), long_ago.likes.size());
  for (size_t i = 0; i < now.likes.size(); ++i)
    EXPECT_NEAR(now.likes[i].weight, long_ago.likes[i].weight, 1e-9);
}

TEST(SummarizeTest, SaysLittleOfAValueThatIsOnEverythingSeen) {
  std::vector<HistoryEntry> history;
  for (int i = 0; i < 8; ++i) {
    const bool liked = i % 2 == 0;
    history.push_back(MakeEntry(
        MakeItem(std::to_string(i), "x", {{"color", liked ? "red" : "blue"}, {"shape", "round"}}),
        liked ? "like" : "view", liked ? 1.0 : 0.0));
  }

  const PreferenceSummary summary = Summarize(history);
  ASSERT_FALSE(summary.likes.empty());
  EXPECT_EQ(summary.likes[0].value, "red");
}

TEST(SummarizeTest, KeepsCountsWhenTheHistoryHoldsPurchasesOnly) {
  std::vector<HistoryEntry> history;
  for (int i = 0; i < 6; ++i) {
    history.push_back(MakeEntry(
        MakeItem(std::to_string(i), "x", {{"color", i < 5 ? "red" : "blue"}}), "purchase", 2.0));
  }

  const PreferenceSummary summary = Summarize(history);
  ASSERT_FALSE(summary.likes.empty());
  EXPECT_EQ(summary.likes[0].value, "red");
}

TEST(SummarizeTest, MakesRangesFromEngagedItemsOnly) {
  const PreferenceSummary summary = Summarize(WalnutHistory());
  ASSERT_EQ(summary.ranges.size(), 1u);
  EXPECT_EQ(summary.ranges[0].attribute, "price");
  EXPECT_EQ(summary.ranges[0].low, 40.0);  // the mug; the rug was only seen, the clock disliked
  EXPECT_EQ(summary.ranges[0].high, 80.0);
}

TEST(SummarizeTest, PassesOverLongTextAndCountsListsAndBools) {
  const std::vector<HistoryEntry> history = {
      MakeEntry(MakeItem("a", "A",
                         {{"plot", std::string(500, 'x')},
                          {"genres", std::vector<std::string>{"Comedy", " comedy ", "Drama"}},
                          {"subtitled", true}}),
                "like", 1)};

  const PreferenceSummary summary = Summarize(history);
  EXPECT_NE(FindPreference(summary.likes, "comedy"), nullptr);
  EXPECT_NE(FindPreference(summary.likes, "drama"), nullptr);
  EXPECT_NE(FindPreference(summary.likes, "yes"), nullptr);
  EXPECT_EQ(summary.likes.size(), 3u);
}

TEST(SummarizeTest, StaysWithinItsLimitsOnManyValues) {
  std::vector<HistoryEntry> history;
  for (int i = 0; i < 300; ++i) {
    std::vector<std::string> tags;
    for (int t = 0; t < 40; ++t) tags.push_back("tag" + std::to_string(i * 7 + t));
    history.push_back(MakeEntry(MakeItem(std::to_string(i), "x", {{"tags", tags}}),
                                i % 3 == 0 ? "dislike" : "like", i % 3 == 0 ? -1 : 1, i));
  }

  const SummaryOptions options;
  const PreferenceSummary summary = Summarize(history);
  EXPECT_LE(summary.likes.size(), static_cast<size_t>(options.max_likes));
  EXPECT_LE(summary.dislikes.size(), static_cast<size_t>(options.max_dislikes));
  for (const Preference& like : summary.likes)
    EXPECT_LE(like.evidence_item_ids.size(), static_cast<size_t>(options.max_evidence));
}

TEST(SummarizeTest, SurvivesZeroWeightsAndInfiniteTimes) {
  std::vector<HistoryEntry> history = WalnutHistory();
  for (HistoryEntry& entry : history) entry.weight = 0;
  EXPECT_THAT(Summarize(history).likes, IsEmpty());
  history = WalnutHistory();
  history.back().time = absl::InfinitePast();
  EXPECT_FALSE(Summarize(history).likes.empty());
}

TEST(EngagementOfTest, ComparesWithTheStrongestEvent) {
  EXPECT_EQ(EngagementOf(2, 2), Engagement::kEngaged);
  EXPECT_EQ(EngagementOf(0.1, 2), Engagement::kPassing);
  EXPECT_EQ(EngagementOf(-0.1, 2), Engagement::kPassing);
  EXPECT_EQ(EngagementOf(-1, 2), Engagement::kAverse);
  EXPECT_EQ(EngagementOf(0, 0), Engagement::kPassing);
}

}  // namespace
}  // namespace palate::ranking
