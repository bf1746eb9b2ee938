#include "embedding/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "absl/time/clock.h"

namespace palate::embedding {
namespace {

using ::testing::HasSubstr;

class Group final : public WorkGroup {
 public:
  Group(Lane lane, std::vector<int64_t> costs, absl::Time deadline = absl::InfiniteFuture(),
        std::shared_ptr<const CancelFlag> cancelled = nullptr)
      : WorkGroup(lane, deadline, std::move(cancelled)) {
    for (int64_t cost : costs) AddCost(cost);
  }
};

std::shared_ptr<Group> Interactive(std::vector<int64_t> costs) { return std::make_shared<Group>(Lane::kInteractive, std::move(costs)); }
std::shared_ptr<Group> Bulk(std::vector<int64_t> costs) { return std::make_shared<Group>(Lane::kBulk, std::move(costs)); }

int CountOf(const std::vector<BatchUnit>& batch, const std::shared_ptr<Group>& group) {
  int count = 0;
  for (const BatchUnit& unit : batch) count += unit.group == group ? 1 : 0;
  return count;
}

BatchQueue::Options SmallBatches() {
  BatchQueue::Options options;
  options.batch_tokens = 100;
  options.bulk_share = 0.25;
  options.max_queued_tokens_interactive = 1000;
  options.max_queued_tokens_bulk = 1000;
  options.poll_interval = absl::Milliseconds(1);
  return options;
}

TEST(BatchQueue, CutsBatchesByTokensAndResumesAGroup) {
  BatchQueue queue(SmallBatches());
  const auto group = Interactive({40, 40, 40});
  ASSERT_TRUE(queue.Submit(group, false).ok());
  const auto first = queue.NextBatch();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(queue.queued_tokens(Lane::kInteractive), 40);
  const auto second = queue.NextBatch();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].unit, 2u);
  queue.Finish(first, absl::OkStatus());
  queue.Finish(second, absl::OkStatus());
  EXPECT_TRUE(queue.Wait(*group).ok());
}

TEST(BatchQueue, TakesAUnitLargerThanABatchAlone) {
  BatchQueue queue(SmallBatches());
  ASSERT_TRUE(queue.Submit(Interactive({500}), false).ok());
  ASSERT_TRUE(queue.Submit(Interactive({1}), false).ok());
  EXPECT_EQ(queue.NextBatch().size(), 1u);
  EXPECT_EQ(queue.NextBatch().size(), 1u);
}

TEST(BatchQueue, PutsCallsOfDifferentCallersIntoOneBatch) {
  BatchQueue queue(SmallBatches());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue.Submit(Interactive({10}), false).ok());
  EXPECT_EQ(queue.NextBatch().size(), 5u);
}

TEST(BatchQueue, InteractiveWorkGoesFirstAndBulkKeepsItsShare) {
  BatchQueue queue(SmallBatches());
  const auto bulk = Bulk(std::vector<int64_t>(30, 5));
  const auto interactive = Interactive(std::vector<int64_t>(40, 5));
  ASSERT_TRUE(queue.Submit(bulk, false).ok());
  ASSERT_TRUE(queue.Submit(interactive, false).ok());
  const auto batch = queue.NextBatch();
  EXPECT_EQ(batch[0].group, interactive);
  EXPECT_EQ(CountOf(batch, interactive), 15);
  EXPECT_EQ(CountOf(batch, bulk), 5);
}

TEST(BatchQueue, BulkWorkFillsBatchesThatInteractiveWorkLeaves) {
  BatchQueue queue(SmallBatches());
  const auto bulk = Bulk(std::vector<int64_t>(30, 5));
  ASSERT_TRUE(queue.Submit(bulk, false).ok());
  ASSERT_TRUE(queue.Submit(Interactive({5}), false).ok());
  EXPECT_EQ(CountOf(queue.NextBatch(), bulk), 19);
}

TEST(BatchQueue, RefusesCallsAtOnceWhenTheLaneIsFull) {
  BatchQueue queue(SmallBatches());
  ASSERT_TRUE(queue.Submit(Interactive({1000}), false).ok());
  const absl::Status refused = queue.Submit(Interactive({1}), false);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("1000 tokens wait in the interactive lane, at most 1000"));
  EXPECT_TRUE(queue.Submit(Bulk({1}), false).ok()) << "the other lane has room";
  EXPECT_TRUE(queue.Submit(Interactive({1}), true).ok()) << "an admitted call may go on";
}

TEST(BatchQueue, DropsQueuedWorkWhoseDeadlinePassed) {
  BatchQueue queue(SmallBatches());
  const auto late = std::make_shared<Group>(Lane::kInteractive, std::vector<int64_t>{10}, absl::Now() - absl::Seconds(1));
  const auto good = Interactive({10});
  ASSERT_TRUE(queue.Submit(late, false).ok());
  ASSERT_TRUE(queue.Submit(good, false).ok());
  const auto batch = queue.NextBatch();
  EXPECT_EQ(CountOf(batch, late), 0);
  EXPECT_EQ(CountOf(batch, good), 1);
  EXPECT_EQ(queue.Wait(*late).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(BatchQueue, WaitEndsAtTheDeadlineAndFreesTheLane) {
  BatchQueue queue(SmallBatches());
  const auto group = std::make_shared<Group>(Lane::kBulk, std::vector<int64_t>{10}, absl::Now() + absl::Milliseconds(20));
  ASSERT_TRUE(queue.Submit(group, false).ok());
  EXPECT_EQ(queue.Wait(*group).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(queue.queued_tokens(Lane::kBulk), 0);
}

TEST(BatchQueue, WaitEndsWhenTheCallIsCancelled) {
  BatchQueue queue(SmallBatches());
  const auto cancelled = std::make_shared<CancelFlag>(false);
  const auto group = std::make_shared<Group>(Lane::kBulk, std::vector<int64_t>{10}, absl::InfiniteFuture(), cancelled);
  ASSERT_TRUE(queue.Submit(group, false).ok());
  std::thread canceller([&] { cancelled->store(true); });
  EXPECT_EQ(queue.Wait(*group).code(), absl::StatusCode::kCancelled);
  canceller.join();
  EXPECT_EQ(queue.queued_tokens(Lane::kBulk), 0);
}

TEST(BatchQueue, FinishPassesOnAFailure) {
  BatchQueue queue(SmallBatches());
  const auto group = Interactive({60, 60});
  ASSERT_TRUE(queue.Submit(group, false).ok());
  const auto batch = queue.NextBatch();
  queue.Finish(batch, absl::InternalError("broken"));
  EXPECT_EQ(queue.Wait(*group).message(), "broken");
  EXPECT_EQ(queue.queued_tokens(Lane::kInteractive), 0) << "the rest is not worth computing";
}

TEST(BatchQueue, ShutdownWakesCallersAndExecutor) {
  BatchQueue queue(SmallBatches());
  const auto group = Interactive({10});
  ASSERT_TRUE(queue.Submit(group, false).ok());
  std::thread executor([&] {
    while (!queue.NextBatch().empty()) {
    }
  });
  queue.Shutdown();
  executor.join();
  EXPECT_EQ(queue.Submit(Interactive({1}), false).code(), absl::StatusCode::kUnavailable);
}

TEST(BatchQueue, EveryCallerGetsItsAnswerUnderContention) {
  BatchQueue queue(SmallBatches());
  std::thread executor([&] {
    while (true) {
      const auto batch = queue.NextBatch();
      if (batch.empty()) return;
      queue.Finish(batch, absl::OkStatus());
    }
  });
  std::atomic<int> answered = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const auto group = t % 2 == 0 ? Interactive({7, 30, 5}) : Bulk({50, 3});
        while (absl::IsResourceExhausted(queue.Submit(group, false))) std::this_thread::yield();
        if (queue.Wait(*group).ok()) ++answered;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  queue.Shutdown();
  executor.join();
  EXPECT_EQ(answered, 1200);
  EXPECT_EQ(queue.queued_tokens(Lane::kInteractive), 0);
}

}  // namespace
}  // namespace palate::embedding
