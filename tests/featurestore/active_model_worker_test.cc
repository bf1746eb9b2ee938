#include "featurestore/active_model_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/mutex.h"
#include "tests/eventually.h"
#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Vectors of the models that are loaded, from the length of the text. Thread-safe.
class LengthEmbedder final : public ItemEmbedder {
 public:
  absl::StatusOr<std::vector<SpaceKey>> Spaces(const Catalog&) override {
    return std::vector<SpaceKey>();
  }
  absl::StatusOr<std::vector<absl::StatusOr<EmbeddedItem>>> Embed(
      const Catalog&, const std::vector<EmbedItem>&) override {
    return absl::InternalError("only the active model is asked");
  }
  absl::StatusOr<std::vector<std::vector<SpaceVector>>> EmbedFor(
      const Catalog&, const std::vector<SpaceKey>& spaces,
      const std::vector<EmbedItem>& items) override {
    const MutexLock lock(mutex_);
    ++calls_;
    if (!down_.ok()) return down_;
    std::vector<std::vector<SpaceVector>> vectors(items.size());
    for (const SpaceKey& space : spaces) {
      if (!loaded_.contains(space.fingerprint)) continue;
      for (size_t i = 0; i < items.size(); ++i) {
        const auto length = static_cast<float>(items[i].text_fields[0].size());
        vectors[i].push_back({space, {1, length}});
      }
    }
    return vectors;
  }

  void SetDown(absl::Status status) {
    const MutexLock lock(mutex_);
    down_ = std::move(status);
  }
  void SetLoaded(std::set<std::string> models) {
    const MutexLock lock(mutex_);
    loaded_ = std::move(models);
  }
  int calls() const {
    const MutexLock lock(mutex_);
    return calls_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status down_;
  std::set<std::string> loaded_ = {"m1"};
  int calls_ = 0;
};

class ActiveModelWorkerTest : public StoreTest {
 protected:
  // An item of the former model, and a change to the next one that nobody works on.
  void SetUp() override {
    OpenWithShop();
    const int64_t revision = Put(Write("old"));
    ASSERT_TRUE(
        store_->PutVectors("shop", "old", revision, {Vector("text", "m1", {1, 0})}, true).ok());
    ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  }
  void TearDown() override { worker_.reset(); }

  void Start() {
    worker_ = std::make_unique<ActiveModelWorker>(
        store_.get(), &embedder_,
        ActiveModelWorkerOptions{.retry_min = absl::Milliseconds(1),
                                 .retry_max = absl::Milliseconds(5)});
  }
  std::vector<std::string> Models(const std::string& id) {
    std::vector<std::string> models;
    for (const SpaceVector& vector :
         Read(id, {.all_spaces = true, .all_fingerprints = true}).vectors)
      models.push_back(vector.space.fingerprint);
    return models;
  }
  bool Gets(const std::string& id, const std::string& model) {
    return Eventually([&] { return Models(id) == std::vector<std::string>{model}; });
  }

  LengthEmbedder embedder_;
  std::unique_ptr<ActiveModelWorker> worker_;
};

TEST_F(ActiveModelWorkerTest, NewAndChangedItemsGetVectorsOfTheActiveModelDuringAChange) {
  Put(Write("before the start"));
  Start();
  EXPECT_TRUE(Gets("before the start", "m1"));
  Put(Write("new"));
  EXPECT_TRUE(Gets("new", "m1"));
  EXPECT_EQ(store_->GetEmbeddingStatus("shop", "new")->state, EmbeddingState::kPending)
      << "the target's vector is still missing";

  const auto first = Read("old", {.spaces = {"text"}}).vectors.at(0).values;
  Put(Write("old", "a much longer title"));
  EXPECT_TRUE(
      Eventually([&] { return Read("old", {.spaces = {"text"}}).vectors.at(0).values != first; }));
}

TEST_F(ActiveModelWorkerTest, DoesNothingWhileNoSpaceChanges) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  Put(Write("waits for the other worker"));
  Start();
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  EXPECT_TRUE(Gets("waits for the other worker", "m1")) << "until one does";
}

TEST_F(ActiveModelWorkerTest, ItemsThatCameBeforeARestartAreNotForgotten) {
  embedder_.SetDown(absl::UnavailableError("restarting"));
  Start();
  Put(Write("new"));
  ASSERT_TRUE(Eventually([&] { return worker_->stats().failed_calls > 0; }));
  EXPECT_THAT(Models("new"), IsEmpty());
  worker_.reset();
  Open();
  embedder_.SetDown(absl::OkStatus());
  Start();
  EXPECT_TRUE(Gets("new", "m1"));
}

TEST_F(ActiveModelWorkerTest, AnOutageIsRetriedAndAModelThatIsGoneIsNone) {
  embedder_.SetDown(absl::UnavailableError("away"));
  Start();
  Put(Write("new"));
  ASSERT_TRUE(Eventually([&] { return worker_->stats().failed_calls > 1; }));
  embedder_.SetDown(absl::OkStatus());
  EXPECT_TRUE(Gets("new", "m1"));

  embedder_.SetLoaded({"m2"});
  const int64_t failed = worker_->stats().failed_calls;
  const int calls = embedder_.calls();
  Put(Write("newer"));
  ASSERT_TRUE(Eventually([&] { return embedder_.calls() > calls; }));
  worker_.reset();
  EXPECT_THAT(Models("newer"), IsEmpty());
  EXPECT_GE(failed, 2);
}

}  // namespace
}  // namespace palate::featurestore
