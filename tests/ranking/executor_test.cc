#include "ranking/engine/executor.h"

#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::ranking {
namespace {

// Holds the executor's thread in a step until released.
struct Gate {
  absl::Notification entered, open;
  bool Step() {
    entered.Notify();
    open.WaitForNotification();
    return false;
  }
};

TEST(ModelExecutor, RunsScoringBeforeDecodingAndDecodesInTurn) {
  std::string order;
  absl::Notification done;
  Gate gate;
  int a = 0, b = 0;
  ModelExecutor executor("test", {});
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.WaitForNotification();
  ASSERT_TRUE(executor.Submit(Lane::kDecoding, [&] { return order += 'a', ++a < 3; }).ok());
  ASSERT_TRUE(executor
                  .Submit(Lane::kDecoding,
                          [&] {
                            order += 'b';
                            if (++b == 3) done.Notify();
                            return b < 3;
                          })
                  .ok());
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return order += 's', false; }).ok());
  EXPECT_EQ(executor.waiting(Lane::kDecoding), 2u);
  gate.open.Notify();
  done.WaitForNotification();
  EXPECT_EQ(order, "sababab");
}

TEST(ModelExecutor, LetsAScoringInBetweenTwoSteps) {
  std::string order;
  absl::Notification done;
  int steps = 0;
  ModelExecutor executor("test", {});
  ASSERT_TRUE(executor
                  .Submit(Lane::kDecoding,
                          [&] {
                            order += 'd';
                            if (steps++ == 0) {
                              EXPECT_TRUE(executor.Submit(Lane::kScoring, [&] { return order += 's', false; }).ok());
                            }
                            if (steps == 2) done.Notify();
                            return steps < 2;
                          })
                  .ok());
  done.WaitForNotification();
  EXPECT_EQ(order, "dsd");
}

TEST(ModelExecutor, RefusesAtOnceWhenALaneIsFull) {
  Gate gate;
  ModelExecutor executor("test", {.max_scoring_tasks = 2, .max_decoding_tasks = 1});
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.WaitForNotification();
  EXPECT_TRUE(executor.Submit(Lane::kScoring, [] { return false; }).ok());
  EXPECT_TRUE(executor.Submit(Lane::kScoring, [] { return false; }).ok());
  EXPECT_EQ(executor.Submit(Lane::kScoring, [] { return false; }).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(executor.Submit(Lane::kDecoding, [] { return false; }).ok());
  EXPECT_EQ(executor.Submit(Lane::kDecoding, [] { return false; }).code(), absl::StatusCode::kResourceExhausted);
  gate.open.Notify();
}

TEST(ModelExecutor, SaysHowLongAStepHasBeenRunning) {
  Gate gate;
  ModelExecutor executor("test", {});
  EXPECT_EQ(executor.RunningFor(), absl::ZeroDuration());
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.WaitForNotification();
  while (executor.RunningFor() < absl::Milliseconds(1)) {
  }
  gate.open.Notify();
}

TEST(ModelExecutor, EndsUnfinishedTasksWhenDestroyed) {
  const auto held = std::make_shared<int>(0);
  absl::Notification running;
  {
    ModelExecutor executor("test", {});
    ASSERT_TRUE(executor
                    .Submit(Lane::kDecoding,
                            [held, &running] {
                              if (!running.HasBeenNotified()) running.Notify();
                              return true;
                            })
                    .ok());
    running.WaitForNotification();
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace palate::ranking
