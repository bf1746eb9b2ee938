#include "ranking/diversity.h"

#include <algorithm>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::ranking {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Ids(const std::vector<DiversityCandidate>& candidates,
                             const std::vector<DiversityPick>& picks) {
  std::vector<std::string> ids;
  for (const DiversityPick& pick : picks) ids.push_back(candidates[pick.index].item_id);
  return ids;
}

std::vector<DiversityCandidate> Numbered(int count) {
  std::vector<DiversityCandidate> candidates;
  for (int i = 0; i < count; ++i) {
    DiversityCandidate candidate;
    candidate.item_id = "i" + std::to_string(100 + i);
    candidate.score = count - i;
    candidates.push_back(candidate);
  }
  return candidates;
}

TEST(DiversifyTest, EqualsHandComputedMarginalRelevance) {
  const std::vector<float> east = {1, 0}, north = {0, 1}, between = {0.8f, 0.6f};
  std::vector<DiversityCandidate> candidates(3);
  candidates[0] = {"a", 1.0, east, {}};
  candidates[1] = {"b", 0.9, between, {}};
  candidates[2] = {"c", 0.5, north, {}};

  // Scaled scores 1, 0.8, 0. Strength 0.4, after "a": b = 0.48 - 0.32, c = 0.
  EXPECT_THAT(Ids(candidates, Diversify(candidates, {.num_results = 3, .strength = 0.4})),
              ElementsAre("a", "b", "c"));
  // Strength 0.6: b = 0.32 - 0.48, c = 0.
  EXPECT_THAT(Ids(candidates, Diversify(candidates, {.num_results = 3, .strength = 0.6})),
              ElementsAre("a", "c", "b"));
  EXPECT_THAT(Ids(candidates, Diversify(candidates, {.num_results = 3, .strength = 0})),
              ElementsAre("a", "b", "c"));
}

TEST(DiversifyTest, BreaksTiesByItemId) {
  std::vector<DiversityCandidate> candidates = Numbered(3);
  for (DiversityCandidate& candidate : candidates) candidate.score = 1;
  std::reverse(candidates.begin(), candidates.end());
  EXPECT_THAT(Ids(candidates, Diversify(candidates, {.num_results = 2})),
              ElementsAre("i100", "i101"));
}

TEST(DiversifyTest, HoldsCapsWhileOthersAreLeft) {
  std::vector<DiversityCandidate> candidates = Numbered(6);
  for (size_t i = 0; i < 6; ++i) candidates[i].capped_values = {{i < 4 ? "lighting" : "garden"}};
  const DiversityOptions options{.num_results = 5, .strength = 0, .caps = {{"category", 2}}};
  const std::vector<DiversityPick> picks = Diversify(candidates, options);
  EXPECT_THAT(Ids(candidates, picks), ElementsAre("i100", "i101", "i104", "i105", "i102"));
  EXPECT_FALSE(picks[3].over_cap);
  EXPECT_TRUE(picks[4].over_cap);
}

TEST(DiversifyTest, ExploresTheAskedShareFromBeyondTheTopAndNeverFirst) {
  const std::vector<DiversityCandidate> candidates = Numbered(50);
  const DiversityOptions options{
      .num_results = 10, .strength = 0, .exploration_share = 0.2, .seed = 7};
  const std::vector<DiversityPick> picks = Diversify(candidates, options);
  ASSERT_EQ(picks.size(), 10u);
  EXPECT_FALSE(picks[0].explored);

  int explored = 0;
  std::set<size_t> distinct;
  for (const DiversityPick& pick : picks) {
    explored += pick.explored ? 1 : 0;
    EXPECT_EQ(pick.explored, pick.index >= 10);
    distinct.insert(pick.index);
  }

  EXPECT_EQ(explored, 2);
  EXPECT_EQ(distinct.size(), 10u);
  EXPECT_EQ(Ids(candidates, picks), Ids(candidates, Diversify(candidates, options)));
  DiversityOptions other = options;
  other.seed = 8;
  EXPECT_NE(Ids(candidates, picks), Ids(candidates, Diversify(candidates, other)));
}

// The first `low` candidates are of tier 0, the others of tier 1 though their scores are higher.
std::vector<DiversityCandidate> Tiered(int low, int count) {
  std::vector<DiversityCandidate> candidates = Numbered(count);
  for (int i = 0; i < count; ++i) {
    candidates[static_cast<size_t>(i)].tier = i < low ? 0 : 1;
    if (i >= low) candidates[static_cast<size_t>(i)].score += 1000;
  }
  return candidates;
}

TEST(DiversifyTest, CandidateOfAHigherTierPassesNoneOfALowerWithMarginalRelevance) {
  const std::vector<float> east = {1, 0}, north = {0, 1};
  std::vector<DiversityCandidate> candidates = Tiered(5, 10);
  for (size_t i = 0; i < 10; ++i) candidates[i].vector = i < 5 ? east : north;
  for (const double strength : {0.0, 1e-6, 0.5, 1.0}) {
    const std::vector<DiversityPick> picks =
        Diversify(candidates, {.num_results = 8, .strength = strength});
    for (size_t i = 0; i < picks.size(); ++i) EXPECT_EQ(picks[i].index < 5, i < 5) << strength;
  }
}

TEST(DiversifyTest, HigherTierFollowsWhereTheCapsLetNoMoreOfTheLowerIn) {
  std::vector<DiversityCandidate> candidates = Tiered(3, 5);
  for (size_t i = 0; i < 5; ++i) candidates[i].capped_values = {{i < 3 ? "lighting" : "garden"}};
  const std::vector<DiversityPick> picks =
      Diversify(candidates, {.num_results = 4, .strength = 0, .caps = {{"category", 2}}});
  EXPECT_THAT(Ids(candidates, picks), ElementsAre("i100", "i101", "i103", "i104"));
}

TEST(DiversifyTest, ExploresWithinTheLowerTierBeforeTheHigher) {
  const std::vector<DiversityCandidate> candidates = Tiered(20, 50);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const DiversityOptions options{
        .num_results = 10, .strength = 0, .exploration_share = 0.5, .seed = seed};
    for (const DiversityPick& pick : Diversify(candidates, options)) EXPECT_LT(pick.index, 20u);
  }
}

TEST(DiversifyTest, ExploredResultsOfAHigherTierComeLast) {
  const std::vector<DiversityCandidate> candidates = Tiered(10, 50);
  const std::vector<DiversityPick> picks = Diversify(
      candidates, {.num_results = 10, .strength = 0, .exploration_share = 0.3, .seed = 3});
  for (size_t i = 0; i < picks.size(); ++i) {
    EXPECT_EQ(picks[i].index >= 10, i >= 7);
    EXPECT_EQ(picks[i].explored, i >= 7);
  }
}

TEST(DiversifyTest, FirstResultIsNeverExploredWhateverTheShare) {
  for (const double share : {0.1, 0.5, 0.6, 0.9, 1.0}) {
    for (const int wanted : {1, 2, 3, 7, 10}) {
      const std::vector<DiversityPick> picks =
          Diversify(Numbered(50),
                    {.num_results = wanted, .strength = 0, .exploration_share = share, .seed = 11});
      ASSERT_EQ(picks.size(), static_cast<size_t>(wanted));
      EXPECT_FALSE(picks[0].explored) << share << " of " << wanted;
      EXPECT_EQ(std::count_if(picks.begin(), picks.end(),
                              [](const DiversityPick& pick) { return pick.explored; }),
                std::min(static_cast<int>(share * wanted), wanted - 1))
          << share << " of " << wanted;
    }
  }
}

TEST(DiversifyTest, ServesWhatThereIs) {
  EXPECT_TRUE(Diversify({}, {.num_results = 5}).empty());
  EXPECT_TRUE(Diversify(Numbered(3), {.num_results = 0}).empty());
  EXPECT_EQ(Diversify(Numbered(3), {.num_results = 10, .exploration_share = 1}).size(), 3u);
  EXPECT_EQ(Diversify(Numbered(30), {.num_results = 10, .exploration_share = 1}).size(), 10u);
}

}  // namespace
}  // namespace palate::ranking
