#include "ranking/engine/score_queue.h"

#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <thread>

#include "base/call_context.h"
#include "ranking/engine/llm_executor.h"

namespace palate::ranking {
namespace {

class ScoreQueueTest : public ::testing::Test {
 protected:
  // The executor's thread ends before the queue goes.
  void TearDown() override { executor_.reset(); }

  // A step that says that it runs, and ends when it may.
  ScoreQueue::Step BlockingStep() {
    return [this](const std::function<bool()>& wanted) -> absl::StatusOr<bool> {
      running_.count_down();
      may_end_.wait();
      still_wanted_ = wanted();
      return false;
    };
  }

  std::latch running_{1};
  std::latch may_end_{1};
  bool still_wanted_ = true;  // at the end of the blocking step
  std::unique_ptr<ModelExecutor> executor_ =
      std::make_unique<ModelExecutor>("test", ExecutorLimits());
  ScoreQueue queue_{*executor_};
};

TEST_F(ScoreQueueTest, RunsStepsUntilNothingRemains) {
  int steps = 0;
  EXPECT_TRUE(
      queue_
          .Run(10,
               [&](const std::function<bool()>&) -> absl::StatusOr<bool> { return ++steps < 3; },
               {})
          .ok());
  EXPECT_EQ(steps, 3);
}

TEST_F(ScoreQueueTest, CancellationWakesTheCallerWhileItsStepRuns) {
  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status status;
  std::thread caller(
      [&] { status = queue_.Run(10, BlockingStep(), {.cancellation = cancellation}); });
  running_.wait();

  cancellation->Cancel();
  caller.join();  // though the step still runs
  EXPECT_TRUE(absl::IsCancelled(status)) << status;

  may_end_.count_down();
  executor_.reset();
  EXPECT_FALSE(still_wanted_);
}

TEST_F(ScoreQueueTest, DeadlineEndsTheWaitWhileItsStepRuns) {
  const absl::Status status =
      queue_.Run(10, BlockingStep(), {.deadline = absl::Now() + absl::Milliseconds(20)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(queue_.refused_for_deadline(), 1);
  may_end_.count_down();
}

TEST_F(ScoreQueueTest, RequestIsServedThoughTheWarmUpsWereFarTooSlow) {
  int runs = 0;
  ASSERT_TRUE(queue_
                  .MeasureWarmUps([&]() -> absl::StatusOr<int64_t> {
                    // A loaded machine: 5 ms or more for a token, or 500 s for the request below.
                    absl::SleepFor(absl::Milliseconds(5));
                    ++runs;
                    return 1;
                  })
                  .ok());
  EXPECT_EQ(runs, 4);
  const auto step = [](const std::function<bool()>&) -> absl::StatusOr<bool> { return false; };
  for (int i = 0; i < 3; ++i) {
    const absl::Status status =
        queue_.Run(100'000, step, {.deadline = absl::Now() + absl::Seconds(10)});
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_LT(queue_.seconds_per_token(), 1e-4);
  EXPECT_EQ(queue_.refused_for_deadline(), 0);
}

TEST_F(ScoreQueueTest, CallThatIsAlreadyCancelledIsNotComputed) {
  const auto cancellation = std::make_shared<Cancellation>();
  cancellation->Cancel();
  std::thread ahead([&] { EXPECT_TRUE(queue_.Run(10, BlockingStep(), {}).ok()); });
  running_.wait();
  bool computed = false;
  const auto step = [&](const std::function<bool()>&) -> absl::StatusOr<bool> {
    computed = true;
    return false;
  };
  EXPECT_TRUE(absl::IsCancelled(queue_.Run(10, step, {.cancellation = cancellation})));
  may_end_.count_down();
  ahead.join();
  EXPECT_TRUE(
      queue_.Run(10, [](const std::function<bool()>&) -> absl::StatusOr<bool> { return false; }, {})
          .ok());
  EXPECT_FALSE(computed);
}

}  // namespace
}  // namespace palate::ranking
