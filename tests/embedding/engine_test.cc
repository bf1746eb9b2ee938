// Tests the queues, lanes, deadlines and failures of the embedder with a model that the test
// controls.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "tests/embedding/inputs.h"
#include "tests/eventually.h"
#include "tests/fakes/scripted_encoder.h"

namespace palate::embedding {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::StartsWith;

class EngineTest : public ::testing::Test {
 protected:
  void Start(const EmbedderOptions& options = {}) {
    auto encoder = std::make_unique<ScriptedEncoder>();
    encoder_ = encoder.get();
    auto embedder = Embedder::Create(EmbeddingModel::FromEncoder(std::move(encoder)), options);
    ASSERT_TRUE(embedder.ok()) << embedder.status();
    embedder_ = *std::move(embedder);
  }
  // Runs a call on a new thread, which sets `status`.
  std::thread Call(std::vector<EmbedInput> inputs, const EmbedOptions& options,
                   absl::Status& status, const CallContext& context = {}) {
    return std::thread([this, inputs = std::move(inputs), options, &status, context] {
      status = embedder_->Embed(inputs, options, context).status();
    });
  }
  // Blocks the executor in a batch until the encoder is opened.
  std::thread Occupy(absl::Status& status) {
    encoder_->Hold();
    std::thread caller = Call({Text("occupied")}, {}, status);
    encoder_->WaitForBatches(1);
    return caller;
  }
  std::vector<std::string> Computed() const {
    std::vector<std::string> texts;
    for (const auto& batch : encoder_->batches())
      texts.insert(texts.end(), batch.begin(), batch.end());
    return texts;
  }

  std::unique_ptr<Embedder> embedder_;
  ScriptedEncoder* encoder_ = nullptr;  // owned by the embedder
};

TEST_F(EngineTest, PartThatBreaksItsBatchFailsAloneAndIsNamed) {
  Start();
  const std::vector<EmbedInput> inputs = {
      Text("a"), {.fields = {"b", "poison"}, .images = {}}, Text("c"), Text("nan")};
  const auto results = embedder_->Embed(inputs);
  ASSERT_TRUE(results.ok()) << results.status();

  EXPECT_TRUE((*results)[0].status.ok());
  EXPECT_TRUE((*results)[2].status.ok());
  EXPECT_TRUE((*results)[1].status.ok());
  EXPECT_EQ((*results)[1].vectors.size(), 1u) << "of the part that is left";
  ASSERT_EQ((*results)[1].failed_parts.size(), 1u);
  const PartFailure& poisoned = (*results)[1].failed_parts[0];
  EXPECT_EQ(poisoned.part, "fields[1]");
  EXPECT_EQ(poisoned.status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(Describe(poisoned), StartsWith("fields[1]: LibTorch: this text breaks the kernel"));
  EXPECT_THAT(std::string((*results)[3].status.message()),
              StartsWith("fields[0]: the model computed values that are not finite"));
  EXPECT_EQ(embedder_->stats().failed, 2);
}

TEST_F(EngineTest, OtherCallsOfAPoisonedBatchAreAnswered) {
  Start();
  absl::Status occupied;
  std::thread first = Occupy(occupied);

  absl::Status poisoned;
  absl::Status good;
  std::thread second = Call({Text("poison")}, {}, poisoned);
  std::thread third = Call({Text("good"), Text("fine")}, {}, good);
  encoder_->WaitForPrepared(4);
  encoder_->Open();
  for (std::thread* caller : {&first, &second, &third}) caller->join();

  EXPECT_TRUE(occupied.ok()) << occupied;
  EXPECT_TRUE(good.ok()) << good;
  EXPECT_TRUE(poisoned.ok()) << "the input fails, not the call";
  EXPECT_EQ(embedder_->stats().failed, 1);
}

TEST_F(EngineTest, DeadlineHoldsWhileQueuedAndTheWorkIsNeverDone) {
  Start();
  absl::Status occupied;
  std::thread caller = Occupy(occupied);

  const CallContext context = {.deadline = absl::Now() + absl::Milliseconds(30)};
  EXPECT_EQ(embedder_->Embed({Text("late")}, {}, context).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(embedder_->stats().queued_tokens_interactive, 8) << "only the running batch is left";

  encoder_->Open();
  caller.join();
  EXPECT_TRUE(embedder_->Embed({Text("next")}).ok());
  EXPECT_THAT(Computed(), ElementsAre("occupied", "next"));
}

TEST_F(EngineTest, CancelledCallReturnsWhileQueuedAndTheWorkIsNeverDone) {
  Start();
  absl::Status occupied;
  std::thread caller = Occupy(occupied);

  EmbedOptions options;
  options.lane = Lane::kBulk;
  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status status;
  std::thread queued =
      Call({Text("gone"), Text("away")}, options, status, {.cancellation = cancellation});
  encoder_->WaitForPrepared(3);

  cancellation->Cancel();
  queued.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(embedder_->stats().queued_tokens_bulk, 0);

  encoder_->Open();
  caller.join();
  EXPECT_TRUE(embedder_->Embed({Text("next")}).ok());
  EXPECT_THAT(Computed(), ElementsAre("occupied", "next"));
}

TEST_F(EngineTest, DeadlineHoldsWhileAnInputIsPrepared) {
  Start();
  const CallContext context = {.deadline = absl::Now() + absl::Milliseconds(30)};
  EXPECT_EQ(embedder_->Embed({Text("slow")}, {}, context).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  encoder_->OpenPreparing();
  EXPECT_TRUE(embedder_->Embed({Text("next")}).ok());
  EXPECT_THAT(Computed(), ElementsAre("next"));
}

TEST_F(EngineTest, CallThatFillsItsLaneIsFollowedByRefusalsAtOnce) {
  EmbedderOptions options;
  options.max_queued_tokens_interactive = 100;
  Start(options);

  absl::Status occupied;
  std::thread caller = Occupy(occupied);
  absl::Status filled;
  std::thread filler = Call({Text(std::string(600, 'x'))}, {}, filled);
  encoder_->WaitForPrepared(2);

  EXPECT_EQ(embedder_->Embed({Text("one more")}).status().code(),
            absl::StatusCode::kResourceExhausted);

  EmbedOptions bulk;
  bulk.lane = Lane::kBulk;
  absl::Status other;
  std::thread other_lane = Call({Text("bulk")}, bulk, other);
  encoder_->WaitForPrepared(3);
  EXPECT_EQ(embedder_->stats().rejected, 1);

  encoder_->Open();
  for (std::thread* thread : {&caller, &filler, &other_lane}) thread->join();
  EXPECT_TRUE(filled.ok()) << filled;
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_TRUE(embedder_->Embed({Text("one more")}).ok()) << "it recovers";
  EXPECT_EQ(embedder_->stats().queued_tokens_interactive, 0);
  EXPECT_EQ(embedder_->stats().queued_tokens_bulk, 0);
}

TEST_F(EngineTest, InteractiveCallOvertakesABulkCall) {
  EmbedderOptions options;
  options.batch_tokens = 40;
  options.prepare_threads = 1;
  Start(options);

  absl::Status occupied;
  std::thread caller = Occupy(occupied);
  EmbedOptions bulk;
  bulk.lane = Lane::kBulk;
  absl::Status slow;
  std::thread bulk_call = Call(std::vector<EmbedInput>(40, Text("bulk bulk ")), bulk, slow);
  encoder_->WaitForPrepared(9);  // more than one batch waits

  absl::Status fast;
  std::thread interactive = Call({Text("interactive"), Text("another")}, {}, fast);
  encoder_->WaitForPrepared("another");  // so the one preparing thread has queued "interactive"
  encoder_->LetThrough(2);               // the running batch and the next one
  encoder_->WaitForBatches(3);
  EXPECT_THAT(encoder_->batches().at(1), Contains("interactive"));

  encoder_->Open();
  for (std::thread* thread : {&caller, &bulk_call, &interactive}) thread->join();
  EXPECT_TRUE(fast.ok()) << fast;
  EXPECT_TRUE(slow.ok()) << slow;
}

TEST_F(EngineTest, InputsOfOneCallArePreparedInParallel) {
  EmbedderOptions options;
  options.prepare_threads = 3;
  Start(options);

  absl::Status status;
  std::thread caller = Call({Text("slow 1"), Text("slow 2"), Text("slow 3")}, {}, status);
  encoder_->WaitForPreparing(3);
  encoder_->OpenPreparing();
  caller.join();

  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(EngineTest, PreparingGoesOnWhileTheModelComputesAndIsBounded) {
  EmbedderOptions options;
  options.batch_tokens = 10;
  Start(options);

  absl::Status occupied;
  std::thread caller = Occupy(occupied);
  absl::Status status;
  std::thread call = Call(std::vector<EmbedInput>(200, Text("0123456789")), {}, status);
  encoder_->WaitForPrepared(5);
  EXPECT_LT(embedder_->stats().batches, 2);
  EXPECT_EQ(embedder_->stats().queued_tokens_interactive > 500, true)
      << "unprepared inputs count too";

  encoder_->Open();
  caller.join();
  call.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(embedder_->stats().queued_tokens_interactive, 0);
}

TEST_F(EngineTest, HeartbeatTellsHowLongABatchHasTaken) {
  Start();
  EXPECT_EQ(embedder_->stats().stalled_for(), absl::ZeroDuration());
  EXPECT_TRUE(embedder_->Embed({Text("a")}).ok());

  absl::Status occupied;
  encoder_->Hold();
  std::thread caller = Call({Text("stuck")}, {}, occupied);
  encoder_->WaitForBatches(2);
  EXPECT_TRUE(
      Eventually([&] { return embedder_->stats().stalled_for() >= absl::Milliseconds(20); }));

  encoder_->Open();
  caller.join();
  EXPECT_TRUE(embedder_->Embed({Text("a")}).ok());
  EXPECT_TRUE(Eventually([&] { return embedder_->stats().stalled_for() == absl::ZeroDuration(); }));
}

TEST_F(EngineTest, TextsOfLikeLengthAreComputedTogether) {
  EmbedderOptions options;
  options.batch_tokens = 40;
  options.prepare_threads = 1;
  Start(options);
  absl::Status occupied;
  std::thread caller = Occupy(occupied);

  std::vector<EmbedInput> inputs;
  for (int i = 0; i < 4; ++i) {
    inputs.push_back(Text("short text"));
    inputs.push_back(Text("a text of twenty byt"));
  }
  absl::Status status;
  std::thread call = Call(inputs, {}, status);
  encoder_->WaitForPrepared(9);

  encoder_->Open();
  caller.join();
  call.join();
  EXPECT_THAT(encoder_->batches()[1], Not(Contains("a text of twenty byt")));
  EXPECT_EQ(encoder_->batches()[1].size(), 4u);
}

TEST_F(EngineTest, CallersThatLeaveAtAnyMomentLeaveNothingBehind) {
  EmbedderOptions options;
  options.batch_tokens = 64;
  Start(options);

  std::atomic<int> odd = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        EmbedOptions call;
        call.lane = t % 2 == 0 ? Lane::kBulk : Lane::kInteractive;
        // Some calls end at their deadline, the others are cancelled by a concurrent thread.
        const bool cancels = i % 4 == 0;
        const auto cancellation = std::make_shared<Cancellation>();
        CallContext context = {.cancellation = cancellation};
        if (!cancels) context.deadline = absl::Now() + absl::Microseconds(50 * (i % 20));
        std::thread canceller([&] {
          if (cancels) cancellation->Cancel();
        });

        const absl::Status status =
            embedder_->Embed(std::vector<EmbedInput>(20, Text("some text")), call, context)
                .status();
        canceller.join();
        if (!status.ok() && !absl::IsDeadlineExceeded(status) &&
            !(cancels && absl::IsCancelled(status)))
          ++odd;
      }
    });
  }

  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(odd, 0);
  EXPECT_EQ(embedder_->stats().queued_tokens_interactive, 0);
  EXPECT_EQ(embedder_->stats().queued_tokens_bulk, 0);
  EXPECT_TRUE(embedder_->Embed({Text("next")}).ok());
}

}  // namespace
}  // namespace palate::embedding
