#include "embedding/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>

#include "absl/time/clock.h"

namespace palate::embedding {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Work final : public QueuedWork {
 public:
  using QueuedWork::QueuedWork;

  absl::Status CheckStillWanted(absl::Time) const override {
    return abandoned ? absl::CancelledError("not wanted") : absl::OkStatus();
  }
  void Dropped(const absl::Status& why) override { dropped = why; }

  std::atomic<bool> abandoned = false;
  absl::Status dropped;
};

BatchQueue::Options SmallBatches() {
  BatchQueue::Options options;
  options.batch_tokens = 100;
  options.bulk_share = 0.25;
  options.max_queued_tokens_interactive = 1000;
  options.max_queued_tokens_bulk = 1000;
  return options;
}

class BatchQueueTest : public ::testing::Test {
 protected:
  std::shared_ptr<Work> Push(Lane lane, int64_t tokens) {
    auto work = std::make_shared<Work>(lane, tokens);
    EXPECT_TRUE(queue_.Push(work).ok());
    return work;
  }
  std::shared_ptr<Work> Interactive(int64_t tokens) { return Push(Lane::kInteractive, tokens); }
  std::shared_ptr<Work> Bulk(int64_t tokens) { return Push(Lane::kBulk, tokens); }
  // The tokens of the next batch's work, bulk work negative.
  std::vector<int64_t> Next() {
    std::vector<int64_t> tokens;
    for (const auto& work : queue_.NextBatch())
      tokens.push_back(work->lane() == Lane::kBulk ? -work->tokens() : work->tokens());
    return tokens;
  }
  static int64_t Sum(const std::vector<int64_t>& tokens, bool bulk) {
    int64_t sum = 0;
    for (int64_t count : tokens) sum += (count < 0) == bulk ? std::abs(count) : 0;
    return sum;
  }

  BatchQueue queue_{SmallBatches()};
};

TEST_F(BatchQueueTest, CutsBatchesByTokens) {
  for (int i = 0; i < 5; ++i) Interactive(40);
  EXPECT_THAT(Next(), ElementsAre(40, 40));
  EXPECT_THAT(Next(), ElementsAre(40, 40));
  EXPECT_THAT(Next(), ElementsAre(40));
}

TEST_F(BatchQueueTest, JoinsWorkOfLikeLengthAroundTheOldest) {
  for (int64_t tokens : {20, 50, 20, 50, 21, 20, 19}) Interactive(tokens);
  EXPECT_THAT(Next(), ElementsAre(21, 20, 20, 20, 19));
  EXPECT_THAT(Next(), ElementsAre(50, 50));
}

TEST_F(BatchQueueTest, TheOldestIsAlwaysInTheNextBatch) {
  Interactive(90);
  for (int i = 0; i < 20; ++i) Interactive(10);
  EXPECT_THAT(Next(), ElementsAre(90, 10));
}

TEST_F(BatchQueueTest, WorkIsPassedOverAFewTimesAtMost) {
  Interactive(10);
  Interactive(60);
  int batches = 0;
  bool seen = false;
  for (; batches < 20 && !seen; ++batches) {
    for (int i = 0; i < 10; ++i) Interactive(10);
    for (int64_t tokens : Next()) seen |= tokens == 60;
  }

  EXPECT_TRUE(seen);
  EXPECT_LE(batches, 5);
}

TEST_F(BatchQueueTest, LargeWorkIsComputedAlone) {
  Interactive(500);
  Interactive(1);
  EXPECT_THAT(Next(), ElementsAre(500));
  EXPECT_THAT(Next(), ElementsAre(1));
}

TEST_F(BatchQueueTest, LargeWorkHoldsUpSmallWorkForOneBatchAtMost) {
  for (int i = 0; i < 5; ++i) Interactive(500);
  Interactive(1);
  Interactive(2);
  EXPECT_THAT(Next(), ElementsAre(500));
  EXPECT_THAT(Next(), ElementsAre(2, 1));
  EXPECT_THAT(Next(), ElementsAre(500));

  Bulk(7);
  EXPECT_THAT(Next(), ElementsAre(-7)) << "small work of the other lane counts too";
  EXPECT_THAT(Next(), ElementsAre(500));
}

TEST_F(BatchQueueTest, InteractiveWorkGoesFirstAndBulkKeepsItsShare) {
  for (int i = 0; i < 30; ++i) Bulk(5);
  for (int i = 0; i < 40; ++i) Interactive(5);
  const std::vector<int64_t> batch = Next();
  EXPECT_EQ(Sum(batch, false), 75);
  EXPECT_EQ(Sum(batch, true), 25);
}

TEST_F(BatchQueueTest, BulkWorkFillsBatchesThatInteractiveWorkLeaves) {
  for (int i = 0; i < 30; ++i) Bulk(5);
  Interactive(5);
  EXPECT_EQ(Sum(Next(), true), 95);
}

TEST_F(BatchQueueTest, BulkWorkLargerThanItsShareOrABatchDoesNotStarve) {
  for (const int64_t tokens : {60, 500}) {
    Bulk(tokens);
    int64_t interactive = 0;
    bool served = false;
    for (int batches = 0; batches < 40 && !served; ++batches) {
      for (int i = 0; i < 4; ++i) Interactive(50);
      const std::vector<int64_t> batch = Next();
      served = Sum(batch, true) > 0;
      interactive += Sum(batch, false);
    }
    EXPECT_TRUE(served) << tokens;
    EXPECT_GE(interactive, tokens) << "interactive work gets three quarters";
  }
}

TEST_F(BatchQueueTest, LargeBulkWorkDoesNotStarveBehindSmallBulkWork) {
  Bulk(300);
  int batches = 0;
  for (bool served = false; !served && batches < 40; ++batches) {
    Bulk(5);
    Interactive(50);
    for (int64_t tokens : Next()) served |= tokens == -300;
  }
  EXPECT_LE(batches, 14);
}

TEST_F(BatchQueueTest, InteractiveWorkThatFillsEveryBatchLeavesBulkItsShare) {
  int64_t bulk = 0;
  int64_t interactive = 0;
  for (int i = 0; i < 100; ++i) {
    Bulk(20);
    Interactive(90);
    const std::vector<int64_t> batch = Next();
    bulk += Sum(batch, true);
    interactive += Sum(batch, false);
  }

  EXPECT_GT(bulk, interactive / 6);
  EXPECT_GT(interactive, 2 * bulk);
}

TEST_F(BatchQueueTest, RefusesCallsAtOnceWhenTheLaneIsFull) {
  ASSERT_TRUE(queue_.Admit(Lane::kInteractive, 1500).ok())
      << "a lane with room admits a call of any size";
  const absl::Status refused = queue_.Admit(Lane::kInteractive, 1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("1500 tokens wait in the interactive lane, at most 1000"));
  EXPECT_TRUE(queue_.Admit(Lane::kBulk, 1).ok()) << "the other lane has room";

  queue_.Release(Lane::kInteractive, 600);
  EXPECT_TRUE(queue_.Admit(Lane::kInteractive, 1).ok());
  EXPECT_EQ(queue_.queued_tokens(Lane::kInteractive), 901);
}

TEST_F(BatchQueueTest, WorkThatNobodyWantsIsDroppedAndNotComputed) {
  const auto late = Interactive(10);
  const auto good = Interactive(20);
  late->abandoned = true;
  EXPECT_THAT(Next(), ElementsAre(20));
  EXPECT_EQ(late->dropped.message(), "not wanted");
  EXPECT_TRUE(good->dropped.ok());
}

TEST_F(BatchQueueTest, DropUnwantedFreesWhatWaits) {
  const auto work = Bulk(10);
  EXPECT_LT(queue_.waiting_since(), absl::InfiniteFuture());
  work->abandoned = true;
  queue_.DropUnwanted();
  EXPECT_EQ(work->dropped.message(), "not wanted");
  EXPECT_EQ(queue_.waiting_since(), absl::InfiniteFuture());
}

TEST_F(BatchQueueTest, ShutdownDropsWorkAndWakesTheExecutor) {
  const auto work = Interactive(10);
  queue_.Shutdown();
  EXPECT_EQ(work->dropped.code(), absl::StatusCode::kUnavailable);

  std::thread executor([&] { EXPECT_THAT(queue_.NextBatch(), IsEmpty()); });
  executor.join();
  EXPECT_EQ(queue_.Push(std::make_shared<Work>(Lane::kBulk, 1)).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(queue_.Admit(Lane::kBulk, 1).code(), absl::StatusCode::kUnavailable);
}

TEST_F(BatchQueueTest, EverythingIsServedOnceUnderContention) {
  constexpr int kEach = 500;
  constexpr int kCallers = 6;
  std::vector<std::thread> callers;
  for (int t = 0; t < kCallers; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        Push(t % 2 == 0 ? Lane::kInteractive : Lane::kBulk, 1 + (t * 37 + i * 11) % 150);
    });
  }

  std::set<const QueuedWork*> seen;
  WorkBatch kept;
  while (seen.size() < kEach * kCallers) {
    for (auto& work : queue_.NextBatch()) {
      EXPECT_TRUE(seen.insert(work.get()).second);
      kept.push_back(std::move(work));
    }
  }

  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(queue_.waiting_since(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace palate::embedding
