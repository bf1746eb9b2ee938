#include "ranking/engine/llm_executor.h"

#include <latch>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::ranking {
namespace {

// Uses latches because ThreadSanitizer does not see the synchronization of absl::Notification in
// the installed Abseil.

// Blocks the executor in a step until opened.
struct Gate {
  std::latch entered{1}, open{1};
  bool Step() {
    entered.count_down();
    open.wait();
    return false;
  }
};

TEST(ModelExecutorTest, RunsScoringBeforeDecodingAndDecodesInTurn) {
  std::string order;
  std::latch done(1);
  Gate gate;
  int a = 0, b = 0;
  ModelExecutor executor("test", {});

  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.wait();
  ASSERT_TRUE(executor.Submit(Lane::kDecoding, [&] { return order += 'a', ++a < 3; }).ok());
  ASSERT_TRUE(executor
                  .Submit(Lane::kDecoding,
                          [&] {
                            order += 'b';
                            if (++b == 3) done.count_down();
                            return b < 3;
                          })
                  .ok());
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return order += 's', false; }).ok());
  EXPECT_EQ(executor.waiting(Lane::kDecoding), 2u);

  gate.open.count_down();
  done.wait();
  EXPECT_EQ(order, "sababab");
}

TEST(ModelExecutorTest, LetsAScoringInBetweenTwoSteps) {
  std::string order;
  std::latch done(1);
  int steps = 0;
  ModelExecutor executor("test", {});

  ASSERT_TRUE(
      executor
          .Submit(
              Lane::kDecoding,
              [&] {
                order += 'd';
                if (steps++ == 0) {
                  EXPECT_TRUE(
                      executor.Submit(Lane::kScoring, [&] { return order += 's', false; }).ok());
                }
                if (steps == 2) done.count_down();
                return steps < 2;
              })
          .ok());

  done.wait();
  EXPECT_EQ(order, "dsd");
}

TEST(ModelExecutorTest, RefusesAtOnceWhenALaneIsFull) {
  Gate gate;
  ModelExecutor executor("test", {.max_scoring_tasks = 2, .max_decoding_tasks = 1});
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.wait();

  EXPECT_TRUE(executor.Submit(Lane::kScoring, [] { return false; }).ok());
  EXPECT_TRUE(executor.Submit(Lane::kScoring, [] { return false; }).ok());
  EXPECT_EQ(executor.Submit(Lane::kScoring, [] { return false; }).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(executor.Submit(Lane::kDecoding, [] { return false; }).ok());
  EXPECT_EQ(executor.Submit(Lane::kDecoding, [] { return false; }).code(),
            absl::StatusCode::kResourceExhausted);

  gate.open.count_down();
}

TEST(ModelExecutorTest, SaysHowLongAStepHasBeenRunning) {
  Gate gate;
  ModelExecutor executor("test", {});
  EXPECT_EQ(executor.RunningFor(), absl::ZeroDuration());
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.wait();
  while (executor.RunningFor() < absl::Milliseconds(1)) {
  }
  gate.open.count_down();
}

TEST(ModelExecutorTest, SlowStepThatMakesProgressDoesNotCountAsLongRunning) {
  Gate gate;
  ModelExecutor executor("test", {});
  ASSERT_TRUE(executor.Submit(Lane::kScoring, [&] { return gate.Step(); }).ok());
  gate.entered.wait();
  while (executor.RunningFor() < absl::Milliseconds(20)) {
  }
  const absl::Time progress = absl::Now();
  executor.NoteProgress();
  const absl::Duration since = executor.RunningFor();
  EXPECT_LE(since, absl::Now() - progress);
  gate.open.count_down();
}

TEST(ModelExecutorTest, EndsUnfinishedTasksWhenDestroyed) {
  const auto held = std::make_shared<int>(0);
  std::latch running(1);
  {
    ModelExecutor executor("test", {});
    ASSERT_TRUE(executor
                    .Submit(Lane::kDecoding,
                            [held, &running] {
                              if (!running.try_wait()) running.count_down();
                              return true;
                            })
                    .ok());
    running.wait();
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace palate::ranking
