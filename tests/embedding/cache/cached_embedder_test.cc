#include "embedding/cache/cached_embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "tests/embedding/cache/cache_folder.h"

namespace palate::embedding {
namespace {

using ::testing::ElementsAre;

constexpr int kDimensions = 8;

ModelInfo Info() {
  ModelInfo info;
  info.name = "small";
  info.dimensions = kDimensions;
  info.spaces = {{.name = "text", .fingerprint = "t1", .available = true, .calibration = {}},
                 {.name = "image", .fingerprint = "i1", .available = true, .calibration = {}},
                 {.name = "fused", .fingerprint = "f1", .available = false, .calibration = {}}};
  return info;
}

EmbedInput Text(const std::string& text, EmbedRole role = EmbedRole::kItem) {
  EmbedInput input;
  input.fields = {text};
  input.role = role;
  return input;
}

// An embedder that never returns the same vector twice, so equal vectors prove a cache hit: each
// vector contains the number of its computation.
class Model {
 public:
  absl::StatusOr<std::vector<EmbedResult>> operator()(std::vector<EmbedInput> inputs,
                                                      const EmbedOptions&,
                                                      const CallContext& context) {
    ++calls;
    if (before) before();
    if (context.cancelled()) return absl::CancelledError("cancelled");

    std::vector<EmbedResult> results(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::string& text = inputs[i].fields.empty() ? "" : inputs[i].fields[0];
      if (absl::StartsWith(text, "bad")) {
        results[i].status = InvalidField("fields[0]", "is bad", "good");
        continue;
      }
      const auto number = static_cast<float>(++computed);
      results[i].tokens = 5;
      results[i].vectors.push_back({{"text", "t1"}, std::vector<float>(kDimensions, number)});
      if (!inputs[i].images.empty())
        results[i].vectors.push_back({{"image", "i1"}, std::vector<float>(kDimensions, -number)});
    }
    return results;
  }

  std::atomic<int> calls = 0;
  std::atomic<int> computed = 0;
  std::function<void()> before;
};

class CachedEmbedderTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }
  void Restart(const ModelInfo& info = Info()) {
    embedder_.reset();
    items_.reset();
    auto items = ItemCache::Open({folder_.dir(), ItemCache::kMinBytes});
    ASSERT_TRUE(items.ok()) << items.status();
    items_ = *std::move(items);
    queries_ = std::make_unique<QueryCache>(QueryCache::Options(), clock_);
    embedder_ = std::make_unique<CachedEmbedder>(
        [this](std::vector<EmbedInput> inputs, const EmbedOptions& options,
               const CallContext& context) { return model_(std::move(inputs), options, context); },
        info, items_.get(), queries_.get());
  }

  std::vector<EmbedResult> Embed(std::vector<EmbedInput> inputs,
                                 const CachedEmbedder::Caller& caller = {"shop", ""},
                                 const EmbedOptions& options = {}) {
    auto results = embedder_->Embed(std::move(inputs), options, caller, {});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? *std::move(results) : std::vector<EmbedResult>();
  }
  // The number of the computation that produced the only vector of `input`.
  float Number(const EmbedInput& input, const CachedEmbedder::Caller& caller = {"shop", ""},
               const EmbedOptions& options = {}) {
    const auto results = Embed({input}, caller, options);
    return results.empty() || results[0].vectors.empty() ? -1 : results[0].vectors[0].values[0];
  }

  CacheFolder folder_;
  SystemClock clock_;
  Model model_;
  std::unique_ptr<ItemCache> items_;
  std::unique_ptr<QueryCache> queries_;
  std::unique_ptr<CachedEmbedder> embedder_;
};

TEST_F(CachedEmbedderTest, ItemIsComputedOnceAlsoAfterARestart) {
  const auto first = Embed({Text("lamp")});
  const auto second = Embed({Text("lamp")});
  Restart();
  const auto third = Embed({Text("lamp")});
  EXPECT_EQ(model_.calls, 1);
  for (const auto& results : {second, third}) {
    ASSERT_EQ(results.size(), 1u);
    ASSERT_EQ(results[0].vectors.size(), 1u);
    EXPECT_EQ(results[0].vectors[0].values, first[0].vectors[0].values);
    EXPECT_EQ(results[0].vectors[0].space, first[0].vectors[0].space);
    EXPECT_EQ(results[0].tokens, 5);
  }
}

TEST_F(CachedEmbedderTest, CountsHitsAndMisses) {
  Embed({Text("a"), Text("b")});
  Embed({Text("a"), Text("b"), Text("c")});
  EXPECT_EQ(embedder_->item_counts().misses, 3);
  EXPECT_EQ(embedder_->item_counts().hits, 2);
  EXPECT_EQ(embedder_->query_counts().misses, 0);
}

TEST_F(CachedEmbedderTest, OnlyMissesAreComputedAndResultsKeepTheirOrder) {
  const float b = Number(Text("b"));
  const auto results = Embed({Text("a"), Text("b"), Text("c")});
  EXPECT_EQ(results[1].vectors[0].values[0], b);
  EXPECT_EQ(results[0].vectors[0].values[0], b + 1);
  EXPECT_EQ(results[2].vectors[0].values[0], b + 2);
}

TEST_F(CachedEmbedderTest, ChangedContentSpaceDimensionsOrInstructionIsComputedAnew) {
  EmbedOptions only_text;
  only_text.spaces = {"text"};
  EmbedOptions cut;
  cut.dimensions = 4;
  EmbedOptions told;
  told.instruction = "find";
  const std::set<float> numbers = {Number(Text("lamp")), Number(Text("lamp."))};
  EXPECT_EQ(numbers.size(), 2u);
  EXPECT_EQ(Number(Text("lamp"), {"shop", ""}, only_text), Number(Text("lamp")))
      << "spaces are cached separately";
  EXPECT_EQ(model_.calls, 2);

  Number(Text("lamp"), {"shop", ""}, cut);
  Number(Text("lamp"), {"shop", ""}, told);
  EXPECT_EQ(model_.calls, 4);
}

TEST_F(CachedEmbedderTest, ModelWithAnotherFingerprintOrNumericTypeComputesAnew) {
  Number(Text("lamp"));
  ModelInfo other = Info();
  other.spaces[0].fingerprint = "t2";
  Restart(other);
  Number(Text("lamp"));
  EXPECT_EQ(model_.calls, 2);

  ModelInfo shorter = Info();
  shorter.dtype = "bf16";
  Restart(shorter);
  Number(Text("lamp"));
  EXPECT_EQ(model_.calls, 3);
}

TEST_F(CachedEmbedderTest, InputWithoutAPictureIsAHitForThePictureSpaceToo) {
  Embed({Text("lamp")});
  EXPECT_EQ(Embed({Text("lamp")})[0].vectors.size(), 1u);
  EXPECT_EQ(model_.calls, 1);
}

TEST_F(CachedEmbedderTest, CatalogsAreKeptApartAndNoCatalogIsNotKept) {
  const float first = Number(Text("lamp"));
  EXPECT_NE(Number(Text("lamp"), {"other", ""}), first);
  const float loose = Number(Text("lamp"), {"", ""});
  EXPECT_NE(Number(Text("lamp"), {"", ""}), loose);
}

TEST_F(CachedEmbedderTest, WhatBelongsToAUserIsInMemoryOnly) {
  Number(Text("red lamp", EmbedRole::kQuery), {"shop", "ada"});
  Number(Text("red lamp", EmbedRole::kQuery), {"shop", ""});
  Number(Text("red lamp", EmbedRole::kItem), {"shop", "ada"});

  EXPECT_EQ(items_->stats().vectors, 0);
  EXPECT_EQ(queries_->stats().vectors, 6) << "two spaces each";
  EXPECT_EQ(model_.calls, 3);
  Number(Text("red lamp", EmbedRole::kQuery), {"shop", "ada"});
  EXPECT_EQ(model_.calls, 3);

  Restart();
  Number(Text("red lamp", EmbedRole::kQuery), {"shop", "ada"});
  EXPECT_EQ(model_.calls, 4) << "memory does not survive a restart";
}

TEST_F(CachedEmbedderTest, DroppedUserIsComputedAnew) {
  const EmbedInput query = Text("red lamp", EmbedRole::kQuery);
  Number(query, {"shop", "ada"});
  queries_->Drop({"shop", "ada"});
  Number(query, {"shop", "ada"});
  EXPECT_EQ(model_.calls, 2);
}

TEST_F(CachedEmbedderTest, QueryOnItsWayWhileItsUserIsDroppedIsNotKept) {
  model_.before = [&] { queries_->Drop({"shop", "ada"}); };
  Number(Text("red lamp", EmbedRole::kQuery), {"shop", "ada"});
  EXPECT_EQ(queries_->stats().vectors, 0);
}

TEST_F(CachedEmbedderTest, SameInputTwiceInOneCallIsComputedOnce) {
  const auto results = Embed({Text("a"), Text("b"), Text("a"), Text("a")});
  EXPECT_EQ(model_.computed, 2);
  EXPECT_EQ(results[2].vectors[0].values, results[0].vectors[0].values);
  EXPECT_EQ(embedder_->item_counts().shared, 2);
}

TEST_F(CachedEmbedderTest, ConcurrentCallsForTheSameInputComputeItOnce) {
  constexpr int kCallers = 8;
  std::atomic<int> entered = 0;
  model_.before = [&] {
    while (entered < kCallers) std::this_thread::yield();
  };

  std::vector<float> numbers(kCallers);
  std::vector<std::thread> callers;
  for (int t = 0; t < kCallers; ++t) {
    callers.emplace_back([&, t] {
      ++entered;
      numbers[static_cast<size_t>(t)] = Number(Text("lamp"));
    });
  }

  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(model_.computed, 1);
  for (const float number : numbers) EXPECT_EQ(number, 1);
  EXPECT_EQ(embedder_->item_counts().misses, 1);
}

TEST_F(CachedEmbedderTest, CallThatIsCancelledDoesNotTakeOthersWithIt) {
  absl::Notification computing;
  absl::Notification go_on;
  model_.before = [&] {
    if (computing.HasBeenNotified()) return;
    computing.Notify();
    go_on.WaitForNotification();
  };
  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status first;
  std::thread owner([&] {
    first =
        embedder_->Embed({Text("lamp")}, {}, {"shop", ""}, {.cancellation = cancellation}).status();
  });

  computing.WaitForNotification();
  std::thread guest([&] { EXPECT_EQ(Number(Text("lamp")), 1); });
  cancellation->Cancel();
  go_on.Notify();
  owner.join();
  guest.join();

  EXPECT_EQ(first.code(), absl::StatusCode::kCancelled);
}

TEST_F(CachedEmbedderTest, WaitingCallKeepsItsOwnDeadline) {
  absl::Notification computing;
  absl::Notification go_on;
  model_.before = [&] {
    computing.Notify();
    go_on.WaitForNotification();
  };

  std::thread owner([&] { Number(Text("lamp")); });
  computing.WaitForNotification();
  const CallContext context = {.deadline = absl::Now() + absl::Milliseconds(20)};
  EXPECT_EQ(embedder_->Embed({Text("lamp")}, {}, {"shop", ""}, context).status().code(),
            absl::StatusCode::kDeadlineExceeded);

  go_on.Notify();
  owner.join();
}

TEST_F(CachedEmbedderTest, WaitingCallIsWokenByItsCancellation) {
  absl::Notification computing;
  absl::Notification go_on;
  model_.before = [&] {
    computing.Notify();
    go_on.WaitForNotification();
  };

  std::thread owner([&] { Number(Text("lamp")); });
  computing.WaitForNotification();
  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status status;
  std::thread guest([&] {
    status =
        embedder_->Embed({Text("lamp")}, {}, {"shop", ""}, {.cancellation = cancellation}).status();
  });

  cancellation->Cancel();
  guest.join();  // while the owner still computes
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  go_on.Notify();
  owner.join();
}

TEST_F(CachedEmbedderTest, BadInputFailsAloneAndIsNotKept) {
  Embed({Text("a")});
  for (int round = 1; round <= 2; ++round) {
    const auto results = Embed({Text("a"), Text("bad"), Text("b"), Text("bad")});
    EXPECT_TRUE(results[0].status.ok());
    EXPECT_TRUE(results[2].status.ok());
    for (const size_t i : {1, 3}) {
      EXPECT_EQ(results[i].status.message(), "fields[0] is bad; must be good");
      ASSERT_EQ(FieldViolations(results[i].status).size(), 1u);
      EXPECT_EQ(FieldViolations(results[i].status)[0].field, "fields[0]");
    }
  }
  EXPECT_EQ(embedder_->item_counts().misses, 4) << "a, bad, b; bad again";
}

TEST_F(CachedEmbedderTest, CallThatTheModelWouldRefuseIsLeftToTheModel) {
  EmbedOptions options;
  for (const char* space : {"audio", "fused"}) {
    options.spaces = {space};
    Embed({Text("lamp")}, {"shop", ""}, options);
  }
  options.spaces.clear();
  options.dimensions = kDimensions + 1;
  Embed({Text("lamp")}, {"shop", ""}, options);
  EXPECT_EQ(model_.calls, 3);
  EXPECT_EQ(items_->stats().vectors, 0);
}

TEST(UncachedEmbedderTest, ComputesEverythingWithoutCaches) {
  Model model;
  CachedEmbedder embedder(
      [&](std::vector<EmbedInput> inputs, const EmbedOptions& options, const CallContext& context) {
        return model(std::move(inputs), options, context);
      },
      Info(), nullptr, nullptr);
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(embedder.Embed({Text("lamp")}, {}, {"shop", ""}, {}).ok());
  EXPECT_EQ(model.calls, 2);
}

}  // namespace
}  // namespace palate::embedding
