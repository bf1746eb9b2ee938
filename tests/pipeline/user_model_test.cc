#include "pipeline/user_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/fakes/fake_pipeline_parts.h"

namespace palate::pipeline {
namespace {

const absl::Time kNewest = absl::FromUnixSeconds(
    820454400);  // 1996: the age of an event is relative to the user's newest one

TEST(UserModelTest, HalvesAWeightPerHalfLifeBehindTheNewestEvent) {
  FakeFeatures features;
  features.AddItem("a", {1, 0});
  features.AddEvent("a", 1, kNewest);
  features.AddEvent("a", 1, kNewest - absl::Hours(24));
  features.AddEvent("a", -2, kNewest - absl::Hours(48));

  const std::vector<double> weights = DecayedWeights(features.context.events, absl::Hours(24));
  ASSERT_EQ(weights.size(), 3u);
  EXPECT_DOUBLE_EQ(weights[0], 1);
  EXPECT_DOUBLE_EQ(weights[1], 0.5);
  EXPECT_DOUBLE_EQ(weights[2], -0.5);
}

TEST(UserModelTest, EventAheadOfTheClockDoesNotDecayTheOthers) {
  FakeFeatures features;
  features.AddItem("a", {1, 0});
  features.AddEvent("a", 1, kNewest + absl::Hours(24 * 36500));
  features.AddEvent("a", 1, kNewest);
  features.AddEvent("a", 1, kNewest - absl::Hours(24));
  const std::vector<double> weights =
      DecayedWeights(features.context.events, absl::Hours(24), kNewest);
  EXPECT_DOUBLE_EQ(weights[0], 1);
  EXPECT_DOUBLE_EQ(weights[1], 1);
  EXPECT_DOUBLE_EQ(weights[2], 0.5);
}

TEST(UserModelTest, KeepsUnrelatedInterestsApart) {
  FakeFeatures features;
  features.AddItem("a", {1, 0});
  features.AddItem("b", {1, 0.1f});
  features.AddItem("c", {0, 1});
  for (const char* id : {"a", "b", "c"}) features.AddEvent(id, 1, kNewest);

  const UserModel model = BuildUserModel(features.context, {});
  ASSERT_EQ(model.likes.size(), 2u);
  EXPECT_EQ(model.likes[0].item_ids, (std::vector<std::string>{"a", "b"}));
  EXPECT_NEAR(model.likes[0].weight, 2.0 / 3, 1e-9);
  EXPECT_EQ(model.likes[1].item_ids, std::vector<std::string>{"c"});
  EXPECT_NEAR(Dot(model.likes[0].centroid, model.likes[0].centroid), 1, 1e-6);
  EXPECT_TRUE(model.dislikes.empty());
}

TEST(UserModelTest, NetsSeveralEventsOnOneItem) {
  FakeFeatures features;
  features.AddItem("a", {1, 0});
  features.AddEvent("a", 1, kNewest);
  features.AddEvent("a", -3, kNewest);

  const UserModel model = BuildUserModel(features.context, {});
  EXPECT_TRUE(model.likes.empty());
  ASSERT_EQ(model.dislikes.size(), 1u);
  EXPECT_EQ(model.dislikes[0].item_ids, std::vector<std::string>{"a"});
}

TEST(UserModelTest, IsEmptyWithoutEventsOrVectors) {
  FakeFeatures features;
  EXPECT_TRUE(BuildUserModel({}, {}).likes.empty());
  features.AddItem("a", {1, 0}).vectors.clear();
  features.AddEvent("a", 1, kNewest);
  EXPECT_TRUE(BuildUserModel(features.context, {}).likes.empty());
}

TEST(UserModelTest, NeverMakesMoreCentroidsThanAllowed) {
  FakeFeatures features;
  for (int i = 0; i < 12; ++i) {
    const std::string id = absl::StrCat("item", i);
    features.AddItem(
        id, {static_cast<float>(std::cos(i * 0.5)), static_cast<float>(std::sin(i * 0.5))});
    features.AddEvent(id, 1, kNewest);
  }
  UserModelOptions options;
  options.max_centroids = 3;
  options.join_similarity = 0.99;
  EXPECT_EQ(BuildUserModel(features.context, options).likes.size(), 3u);
}

}  // namespace
}  // namespace palate::pipeline
