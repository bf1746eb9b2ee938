#include "offline/evaluation/served.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/fakes/fake_offline_client.h"

namespace palate::evaluation {
namespace {

TEST(ServedQualityTest, TellsBothOrdersApartAndCountsTheModelsOwnExplanations) {
  offline::FakeClient client;
  // The first stage puts "a" first, the model puts "d" first, and "d" is what the user wanted.
  client.served = {{"a", {4, 1}}, {"b", {3, 2}}, {"c", {2, 3}}, {"d", {1, 4}}};
  std::vector<EvaluationCase> cases(3);
  for (size_t i = 0; i < cases.size(); ++i) {
    cases[i].user_id = absl::StrCat("u", i);
    cases[i].relevance = {{"d", 1}};
    cases[i].seen = {"p"};
  }

  ServedOptions options;
  options.explained_users = 2;

  const auto quality = EvaluateServed(client, cases, {"p", "d"}, options, [](int64_t, int64_t) {});
  ASSERT_TRUE(quality.ok()) << quality.status();

  EXPECT_EQ(quality->users, 3);
  EXPECT_NEAR(quality->first_stage, 1 / std::log2(5), 1e-9);
  EXPECT_NEAR(quality->with_model, 1, 1e-9);
  EXPECT_NEAR(quality->oracle, 1, 1e-9);
  EXPECT_NEAR(quality->popularity, 1, 1e-9);  // "p" was seen, so "d" is the most popular unseen
  EXPECT_NEAR(quality->gain.relative, std::log2(5) - 1, 1e-9);
  EXPECT_GT(quality->gain.low, 0);
  EXPECT_EQ(quality->explanations, 8);
  EXPECT_EQ(quality->explanations_by_model, 4);
}

TEST(ServedQualityTest, IsEmptyWithoutUsers) {
  offline::FakeClient client;
  const auto quality = EvaluateServed(client, {}, {}, {}, [](int64_t, int64_t) {});
  ASSERT_TRUE(quality.ok());
  EXPECT_EQ(quality->users, 0);
  EXPECT_EQ(quality->gain.low, 0);
}

}  // namespace
}  // namespace palate::evaluation
