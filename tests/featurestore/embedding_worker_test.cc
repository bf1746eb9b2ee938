#include "featurestore/embedding_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "absl/time/clock.h"
#include "base/mutex.h"
#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Makes small vectors from the text's length; fails on request. Thread-safe.
class TinyEmbedder final : public ItemEmbedder {
 public:
  using Result = absl::StatusOr<std::vector<absl::StatusOr<EmbeddedItem>>>;

  absl::StatusOr<std::vector<SpaceKey>> Spaces(const Catalog&) override {
    MutexLock lock(mutex_);
    if (!down_.ok()) return down_;
    return std::vector<SpaceKey>{{"text", model_}, {"image", model_}};
  }

  Result Embed(const Catalog&, const std::vector<EmbedItem>& items) override {
    std::function<void()> during;
    {
      MutexLock lock(mutex_);
      ++calls_;
      changed_.SignalAll();
      if (!down_.ok()) return down_;
      during = std::exchange(during_, nullptr);
    }
    if (during) during();
    MutexLock lock(mutex_);
    std::vector<absl::StatusOr<EmbeddedItem>> results;
    for (const EmbedItem& item : items) {
      ++seen_[item.item_id];
      last_[item.item_id] = item;
      results.push_back(EmbedOne(item));
    }
    return results;
  }

  void SetDown(absl::Status status) {
    MutexLock lock(mutex_);
    down_ = std::move(status);
  }
  void SetModel(const std::string& model) {
    MutexLock lock(mutex_);
    model_ = model;
  }
  void FailItem(const std::string& id, absl::Status status) {
    MutexLock lock(mutex_);
    failures_[id] = std::move(status);
  }
  void FailPart(const std::string& id, PartFailure failure) {
    MutexLock lock(mutex_);
    failed_parts_[id] = std::move(failure);
  }
  // Runs once, inside the next call that succeeds.
  void During(std::function<void()> action) {
    MutexLock lock(mutex_);
    during_ = std::move(action);
  }
  void WaitForCalls(int calls) {
    MutexLock lock(mutex_);
    while (calls_ < calls) changed_.Wait(mutex_);
  }
  EmbedItem last(const std::string& id) {
    MutexLock lock(mutex_);
    return last_[id];
  }
  int calls() {
    MutexLock lock(mutex_);
    return calls_;
  }
  int seen(const std::string& id) {
    MutexLock lock(mutex_);
    return seen_[id];
  }

 private:
  absl::StatusOr<EmbeddedItem> EmbedOne(const EmbedItem& item)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto failure = failures_.find(item.item_id);
    if (failure != failures_.end() && !failure->second.ok()) return failure->second;
    EmbeddedItem made;
    const auto part = failed_parts_.find(item.item_id);
    const bool flawed = part != failed_parts_.end() && !part->second.status.ok();
    if (flawed) made.failed_parts.push_back(part->second);
    if (!item.text_fields.empty())
      made.vectors.push_back(
          Vector("text", model_, {1, static_cast<float>(item.text_fields[0].size())}));
    if (!item.images.empty() && !flawed)
      made.vectors.push_back(
          Vector("image", model_, {1, static_cast<float>(item.images[0].size())}));
    return made;
  }

  Mutex mutex_;
  CondVar changed_;
  absl::Status down_;
  std::string model_ = "m1";
  std::function<void()> during_;
  std::map<std::string, absl::Status> failures_;
  std::map<std::string, PartFailure> failed_parts_;
  std::map<std::string, int> seen_;
  std::map<std::string, EmbedItem> last_;
  int calls_ = 0;
};

class WorkerTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }
  void TearDown() override { worker_.reset(); }

  void Start(EmbeddingWorkerOptions options = {}) {
    options.retry_min = absl::Milliseconds(1);
    options.retry_max = absl::Milliseconds(5);
    options.item_retry_min = absl::Milliseconds(1);
    options.item_retry_max = absl::Milliseconds(4);
    worker_ = std::make_unique<EmbeddingWorker>(store_.get(), &embedder_, options);
  }
  bool Idle() { return worker_->WaitUntilIdle(absl::Now() + absl::Seconds(60)); }
  std::vector<SpaceVector> VectorsOf(const std::string& id) {
    return Read(id, {.all_spaces = true}).vectors;
  }
  EmbeddingState StateOf(const std::string& id) {
    return store_->GetEmbeddingStatus("shop", id)->state;
  }

  TinyEmbedder embedder_;
  std::unique_ptr<EmbeddingWorker> worker_;
};

TEST(EmbedTextTest, JoinsTitleAndAttributesByName) {
  Item item;
  item.title = "Toy Story (1995)";
  item.attributes = {{"genres", std::vector<std::string>{"Adventure", "Animation"}},
                     {"year", int64_t{1995}},
                     {"price", 9.5},
                     {"new", true},
                     {"brand", std::string()}};
  EXPECT_EQ(TitleField(item),
            "Toy Story (1995). genres: Adventure, Animation; new: yes; price: 9.5; year: 1995");
  item.title.clear();
  EXPECT_EQ(TitleField(item), "genres: Adventure, Animation; new: yes; price: 9.5; year: 1995");
  item.attributes.clear();
  EXPECT_EQ(TitleField(item), "");
  StoredItem stored;
  stored.item.id = "a";
  stored.item.description = "A description.";
  EXPECT_THAT(ToEmbedItem(stored).text_fields, ElementsAre("A description."));
}

TEST(EmbedTextTest, TextBeyondTheLimitIsCutAtACharacterAndSaid) {
  StoredItem stored;
  stored.item.title = "Räder";
  stored.item.attributes = {{"tags", std::vector<std::string>(256, std::string(4096, 'x'))}};
  const EmbedItem embed = ToEmbedItem(stored);
  ASSERT_EQ(embed.text_fields.size(), 1u);
  EXPECT_EQ(embed.text_fields[0].size(), 262'144u);
  ASSERT_EQ(embed.left_out.size(), 1u);
  EXPECT_EQ(embed.left_out[0].part, "attributes");
  EXPECT_THAT(Describe(embed.left_out[0]),
              ::testing::HasSubstr("at most 262144; the rest is not embedded"));

  stored.item.attributes.clear();
  EXPECT_EQ(ToEmbedItem(stored, {.field_bytes = 2}).text_fields[0], "R");
  EXPECT_EQ(ToEmbedItem(stored, {.field_bytes = 2}).left_out[0].part, "title");
}

TEST(EmbedTextTest, PicturesBeyondOneMessageAreLeftOutAndNamed) {
  StoredItem stored;
  stored.item.refused_images = {{"images[0]", absl::InvalidArgumentError("x")}};
  stored.image_bytes = {"1234", "5678", "9"};
  const EmbedItem embed = ToEmbedItem(stored, {.image_bytes = 5});
  EXPECT_THAT(embed.images, ElementsAre("1234"));
  ASSERT_EQ(embed.left_out.size(), 2u);
  EXPECT_EQ(embed.left_out[0].part, "images[2]");
  EXPECT_EQ(embed.left_out[1].part, "images[3]");
}

TEST_F(WorkerTest, EmbedsWhatWaitsAndWhatComes) {
  Put(Write("before"));
  Start();
  ASSERT_TRUE(Idle());
  ItemWrite write = Write("after", "with picture");
  write.item.description = "and description";
  write.images = {{Png(3, 3), ""}};
  Put(write);
  ASSERT_TRUE(Idle());
  EXPECT_EQ(VectorsOf("before").size(), 1u);
  EXPECT_EQ(VectorsOf("after").size(), 2u);
  const EmbedItem seen = embedder_.last("after");
  EXPECT_THAT(seen.text_fields, ElementsAre("with picture", "and description"));
  EXPECT_THAT(seen.images, ElementsAre(Png(3, 3)));
  EXPECT_EQ(worker_->stats().embedded, 2);
  EXPECT_EQ(StateOf("after"), EmbeddingState::kDone);
}

TEST_F(WorkerTest, AnUpsertIsEmbeddedWithinASecond) {
  Start();
  ASSERT_TRUE(Idle());
  const absl::Time begin = absl::Now();
  Put(Write("a"));
  ASSERT_TRUE(Idle());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(1));
  EXPECT_EQ(VectorsOf("a").size(), 1u);
}

TEST_F(WorkerTest, AnUpdateReplacesVectorsAndDropsThoseOfRemovedPictures) {
  ItemWrite write = Write("a");
  write.images = {{Png(3, 3), ""}};
  Put(write);
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_EQ(VectorsOf("a").size(), 2u);
  write.images.clear();
  Put(write);
  ASSERT_TRUE(Idle());
  ASSERT_EQ(VectorsOf("a").size(), 1u);
  EXPECT_EQ(VectorsOf("a")[0].space.name, "text");
}

TEST_F(WorkerTest, LosesNothingWhileTheEmbedderIsAway) {
  embedder_.SetDown(absl::UnavailableError("restarting"));
  Start();
  for (int i = 0; i < 10; ++i) Put(Write(absl::StrCat("item", i)));
  EXPECT_FALSE(worker_->WaitUntilIdle(absl::Now() + absl::Milliseconds(20)));
  EXPECT_EQ(*store_->EmbeddingBacklog(), 10);
  embedder_.SetDown(absl::OkStatus());
  ASSERT_TRUE(Idle());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(StateOf(absl::StrCat("item", i)), EmbeddingState::kDone);
  EXPECT_GT(worker_->stats().failed_calls, 0);
}

TEST_F(WorkerTest, GoesOnWithTheBacklogAfterARestart) {
  for (int i = 0; i < 10; ++i) Put(Write(absl::StrCat("item", i)));
  Open();
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_EQ(VectorsOf("item7").size(), 1u);
}

TEST_F(WorkerTest, AHopelessItemFailsAloneAndIsTriedAgainWhenItChanges) {
  embedder_.FailItem("bad", absl::InvalidArgumentError("picture 0 cannot be decoded"));
  Put(Write("bad"));
  Put(Write("good"));
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_EQ(StateOf("good"), EmbeddingState::kDone);
  EXPECT_EQ(StateOf("bad"), EmbeddingState::kFailed);
  EXPECT_EQ(worker_->stats().failed, 1);
  EXPECT_EQ(embedder_.seen("bad"), 1);
  embedder_.FailItem("bad", absl::OkStatus());
  Put(Write("bad", "another title"));
  ASSERT_TRUE(Idle());
  EXPECT_EQ(StateOf("bad"), EmbeddingState::kDone);
}

TEST_F(WorkerTest, AnElementThatIsOnlyRefusedForNowWaits) {
  embedder_.FailItem("busy", absl::ResourceExhaustedError("queue is full"));
  Put(Write("busy"));
  Put(Write("other"));
  Start();
  embedder_.WaitForCalls(3);
  EXPECT_EQ(StateOf("busy"), EmbeddingState::kPending);
  embedder_.FailItem("busy", absl::OkStatus());
  ASSERT_TRUE(Idle());
  EXPECT_EQ(StateOf("busy"), EmbeddingState::kDone);
  EXPECT_EQ(StateOf("other"), EmbeddingState::kDone);
}

TEST_F(WorkerTest, AnInternalErrorOfOneItemIsTriedAgainAndHoldsUpNoOther) {
  embedder_.FailItem("odd", absl::InternalError("the model computed values that are not finite"));
  Put(Write("odd"));
  Put(Write("other"));
  Start({.item_attempts = 1 << 20});
  embedder_.WaitForCalls(4);
  EXPECT_EQ(StateOf("odd"), EmbeddingState::kPending);
  EXPECT_EQ(StateOf("other"), EmbeddingState::kDone);
  EXPECT_EQ(embedder_.seen("other"), 1);
  embedder_.FailItem("odd", absl::OkStatus());
  ASSERT_TRUE(Idle());
  EXPECT_EQ(StateOf("odd"), EmbeddingState::kDone);
  EXPECT_EQ(worker_->stats().failed, 0);
}

TEST_F(WorkerTest, AnItemThatFailsEveryAttemptHasFailed) {
  embedder_.FailItem("odd", absl::UnknownError("device"));
  Put(Write("odd"));
  Start({.item_attempts = 3});
  ASSERT_TRUE(Idle());
  EXPECT_EQ(StateOf("odd"), EmbeddingState::kFailed);
  EXPECT_EQ(embedder_.seen("odd"), 3);
}

TEST_F(WorkerTest, AModelThatFailsEveryItemKeepsTheIndexAlsoAcrossARestart) {
  Put(Write("a"));
  Put(Write("b"));
  Start({.item_attempts = 2});
  ASSERT_TRUE(Idle());
  worker_.reset();
  embedder_.SetModel("m2");
  for (const char* id : {"a", "b"}) embedder_.FailItem(id, absl::InternalError("not finite"));
  Start({.item_attempts = 2});
  while (worker_->stats().failed < 2) ASSERT_TRUE(Idle());

  worker_.reset();
  Open();
  Start({.item_attempts = 2});
  ASSERT_TRUE(Idle());
  for (const char* id : {"a", "b"}) {
    ASSERT_EQ(VectorsOf(id).size(), 1u);
    EXPECT_EQ(VectorsOf(id)[0].space.fingerprint, "m1");
  }
}

TEST_F(WorkerTest, APartThatCannotBeEmbeddedCostsThatPartAndIsNamed) {
  ItemWrite write = Write("a");
  write.images = {{"GIF89a", ""}, {Png(4, 3), ""}};
  ASSERT_TRUE(store_->UpsertItems("shop", {write}).ok());
  embedder_.FailPart("a", {"images[0]", InvalidField("images[0]", "is corrupt", "an image")});
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_EQ(StateOf("a"), EmbeddingState::kDone);
  EXPECT_EQ(VectorsOf("a").size(), 1u) << "the text's";

  const std::vector<PartFailure> parts = Read("a").failed_parts;
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(Describe(parts[0]),
            "images[0] is neither JPEG, PNG nor WebP; must be a whole JPEG, PNG or WebP file");
  EXPECT_EQ(Describe(parts[1]), "images[1] is corrupt; must be an image")
      << "pictures are counted as they were sent";
  EXPECT_EQ(worker_->stats().failed, 0);
  EXPECT_EQ(store_->GetStats()->catalogs[0].items_with_failed_parts, 1);

  embedder_.FailPart("a", {});
  embedder_.SetModel("m2");
  worker_.reset();
  Put(Write("b"));  // so that the first round is waited for
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_EQ(Read("a").failed_parts.size(), 1u) << "another model may read what the first could not";
  Put(Write("a", "Without pictures"));
  EXPECT_THAT(Read("a").failed_parts, IsEmpty());
  EXPECT_EQ(store_->GetStats()->catalogs[0].items_with_failed_parts, 0);
}

TEST_F(WorkerTest, APartThatFailsForNowIsTriedAgainWhileTheRestServes) {
  ItemWrite write = Write("a");
  write.images = {{Png(4, 3), ""}};
  Put(write);
  embedder_.FailPart("a", {"images[0]", absl::InternalError("the device is gone")});
  Start({.item_attempts = 1000});
  embedder_.WaitForCalls(3);
  EXPECT_EQ(StateOf("a"), EmbeddingState::kPending);
  EXPECT_EQ(VectorsOf("a").size(), 1u);
  EXPECT_THAT(Read("a").failed_parts, IsEmpty()) << "not recorded as bad";

  embedder_.FailPart("a", {});
  ASSERT_TRUE(Idle());
  EXPECT_EQ(VectorsOf("a").size(), 2u);
  EXPECT_THAT(Read("a").failed_parts, IsEmpty());
}

TEST_F(WorkerTest, APartThatFailsEveryAttemptCostsThatPart) {
  ItemWrite write = Write("a");
  write.images = {{Png(4, 3), ""}};
  Put(write);
  embedder_.FailPart("a", {"images[0]", absl::InternalError("the kernel breaks")});
  Start({.item_attempts = 3});
  ASSERT_TRUE(Idle());
  EXPECT_EQ(embedder_.seen("a"), 3);
  EXPECT_EQ(StateOf("a"), EmbeddingState::kDone);
  ASSERT_EQ(Read("a").failed_parts.size(), 1u);
  EXPECT_EQ(Describe(Read("a").failed_parts[0]), "images[0]: the kernel breaks");
  worker_.reset();
  Open();
  EXPECT_EQ(Read("a").failed_parts.size(), 1u) << "also after a restart";
  EXPECT_EQ(store_->GetStats()->catalogs[0].items_with_failed_parts, 1);
}

TEST_F(WorkerTest, VectorsOfContentThatMovedOnAreNotKept) {
  Put(Write("a", "one"));
  embedder_.During([&] { Put(Write("a", "longer title")); });
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_EQ(embedder_.last("a").text_fields[0], "longer title");
  EXPECT_EQ(embedder_.seen("a"), 2);
  EXPECT_EQ(worker_->stats().embedded, 1);
}

TEST_F(WorkerTest, AnItemDeletedUnderWayIsForgotten) {
  Put(Write("a"));
  embedder_.During([&] { ASSERT_TRUE(store_->DeleteItems("shop", {"a"}).ok()); });
  Start();
  ASSERT_TRUE(Idle());
  EXPECT_FALSE(Exists("a"));
  EXPECT_EQ(worker_->stats().embedded, 0);
}

TEST_F(WorkerTest, ANewModelReembedsEverythingAndTakesOverWhenComplete) {
  for (int i = 0; i < 5; ++i) Put(Write(absl::StrCat("item", i)));
  Start();
  ASSERT_TRUE(Idle());
  worker_.reset();
  embedder_.SetModel("m2");
  Start();
  while (store_->GetActiveSpaces("shop")->at(1).active_fingerprint != "m2") {
    Put(Write("poke", absl::StrCat("title ", embedder_.calls())));
    ASSERT_TRUE(Idle());
  }
  for (int i = 0; i < 5; ++i) {
    const auto vectors = VectorsOf(absl::StrCat("item", i));
    ASSERT_EQ(vectors.size(), 1u);
    EXPECT_EQ(vectors[0].space.fingerprint, "m2");
  }
}

TEST_F(WorkerTest, AModelThatChangesUnderWayIsNoticed) {
  Start();
  Put(Write("a"));
  ASSERT_TRUE(Idle());
  embedder_.SetModel("m2");
  Put(Write("b"));
  ASSERT_TRUE(Idle());
  EXPECT_EQ(VectorsOf("a").at(0).space.fingerprint, "m2");
  EXPECT_EQ(VectorsOf("b").at(0).space.fingerprint, "m2");
  EXPECT_EQ(worker_->stats().failed, 0);
}

TEST_F(WorkerTest, SmallBatchesCoverEverything) {
  for (int i = 0; i < 23; ++i) Put(Write(absl::StrCat("item", i)));
  Start({.batch_items = 4});
  ASSERT_TRUE(Idle());
  EXPECT_EQ(worker_->stats().embedded, 23);
  EXPECT_EQ(embedder_.calls(), 6);
}

TEST_F(WorkerTest, ServesCatalogsThatComeLater) {
  Start();
  ASSERT_TRUE(Idle());
  ASSERT_TRUE(store_->CreateCatalog(ShopCatalog("another")).ok());
  ASSERT_TRUE(store_->UpsertItems("another", {Write("a")}).ok());
  ASSERT_TRUE(Idle());
  EXPECT_EQ(store_->GetEmbeddingStatus("another", "a")->state, EmbeddingState::kDone);
}

}  // namespace
}  // namespace palate::featurestore
