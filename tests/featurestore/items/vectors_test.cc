#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VectorsTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }

  std::vector<std::string> Spaces(const std::string& id, bool all_fingerprints = false) {
    std::vector<std::string> names;
    const StoredItem item = Read(id, {.all_spaces = true, .all_fingerprints = all_fingerprints});
    for (const SpaceVector& vector : item.vectors) {
      names.push_back(absl::StrCat(vector.space.name, "/", vector.space.fingerprint));
    }
    return names;
  }
  std::vector<std::string> PendingIds() {
    std::vector<std::string> ids;
    const auto pending = store_->ListPending("shop", 100);
    EXPECT_TRUE(pending.ok()) << pending.status();
    if (pending.ok()) {
      for (const StoredItem& item : *pending) ids.push_back(item.item.id);
    }
    return ids;
  }
  std::string Active(const std::string& space) {
    const auto spaces = store_->GetActiveSpaces("shop");
    if (!spaces.ok()) return spaces.status().ToString();
    for (const ActiveSpace& active : *spaces) {
      if (active.name == space) return active.active_fingerprint;
    }
    return "none";
  }
};

TEST_F(VectorsTest, AreStoredAtUnitLengthAndSurviveReopening) {
  const int64_t revision = Put(Write("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {3, 4})}).ok());
  Open();
  const StoredItem stored = Read("a", {.spaces = {"text"}});
  ASSERT_EQ(stored.vectors.size(), 1u);
  EXPECT_EQ(stored.vectors[0].space, (SpaceKey{"text", "m1"}));
  EXPECT_THAT(stored.vectors[0].values, ElementsAre(0.6f, 0.8f));
  EXPECT_THAT(Read("a", {.spaces = {"image"}}).vectors, IsEmpty());
  EXPECT_THAT(Read("a").vectors, IsEmpty());
}

TEST_F(VectorsTest, OfTheActiveModelAreTakenAlsoWhenTheDeclarationHasOtherDimensions) {
  const int64_t revision = Put(Write("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {3, 4})}, true).ok());
  Catalog catalog;
  catalog.id = "shop";
  catalog.spaces = {{"text", "another", 3}, {"image", "", 0}, {"fused", "", 0}};
  ASSERT_TRUE(store_->UpdateCatalog(catalog, {FindCatalogField("spaces")}).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());

  const int64_t changed = Put(Write("a", "another title"));
  EXPECT_TRUE(store_->PutVectors("shop", "a", changed, {Vector("text", "m1", {4, 3})}).ok());
  EXPECT_FALSE(store_->PutVectors("shop", "a", changed, {Vector("text", "m2", {4, 3})}).ok());
  EXPECT_FALSE(store_->PutVectors("shop", "a", changed, {Vector("text", "m1", {4, 3, 1})}).ok());
  EXPECT_THAT(Spaces("a"), ElementsAre("text/m1"));
}

TEST_F(VectorsTest, AreRefusedWhenTheItemHasMovedOn) {
  const int64_t old = Put(Write("a", "one"));
  const int64_t now = Put(Write("a", "two"));
  EXPECT_EQ(store_->PutVectors("shop", "a", old, {Vector("text", "m1", {1, 0})}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->PutVectors("shop", "a", now + 1, {Vector("text", "m1", {1, 0})}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->SetEmbeddingFailure("shop", "a", old, absl::InternalError("x")).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->PutVectors("shop", "x", now, {Vector("text", "m1", {1, 0})}).code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->PutVectors("shop", "a", now, {Vector("text", "m1", {1, 0})}).ok());
}

TEST_F(VectorsTest, StayValidWhenOnlyVisibilityChanges) {
  const int64_t embedded = Put(Write("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", embedded, {Vector("text", "m1", {1, 0})}, true).ok());
  ItemWrite hide = Write("a");
  hide.item.hidden = true;
  EXPECT_GT(Put(hide), embedded);
  EXPECT_THAT(PendingIds(), IsEmpty());
  EXPECT_TRUE(store_->PutVectors("shop", "a", embedded, {Vector("text", "m1", {0, 1})}).ok());
}

TEST_F(VectorsTest, RefuseWhatCannotBeCompared) {
  const int64_t revision = Put(Write("a"));
  const auto refused = [&](const SpaceVector& vector) {
    return store_->PutVectors("shop", "a", revision, {vector});
  };

  EXPECT_EQ(WrongField(refused(Vector("audio", "m1", {1, 0}))), "vectors[0].space.name");
  EXPECT_EQ(WrongField(refused(Vector("text", "", {1, 0}))), "vectors[0].space.fingerprint");
  EXPECT_THAT(
      std::string(
          refused(Vector("text", std::string(kMaxFingerprintBytes + 1, 'f'), {1, 0})).message()),
      HasSubstr("vectors[0].space.fingerprint has 129 bytes; must be at most 128"));
  EXPECT_EQ(WrongField(refused(Vector("text", "m1", {}))), "vectors[0].values");
  EXPECT_EQ(WrongField(refused(Vector("text", "m1", {0, 0}))), "vectors[0].values");
  EXPECT_EQ(WrongField(refused(Vector("text", "m1", {std::numeric_limits<float>::quiet_NaN(), 1}))),
            "vectors[0].values");
  EXPECT_EQ(WrongField(refused(Vector("text", "m1", {std::numeric_limits<float>::infinity(), 1}))),
            "vectors[0].values");
  EXPECT_EQ(WrongField(store_->PutVectors("shop", "a", revision, {})), "vectors");

  ASSERT_TRUE(refused(Vector("text", "m1", {1, 0})).ok());
  EXPECT_EQ(WrongField(refused(Vector("text", "m1", {1, 0, 0}))), "vectors");

  const absl::Status other = refused(Vector("text", "m2", {1, 0}));
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(other.message(), HasSubstr("m1"));
  EXPECT_THAT(other.message(), HasSubstr("m2"));
}

TEST_F(VectorsTest, DeclaredDimensionsAreKept) {
  Catalog catalog = ShopCatalog("sized");
  catalog.spaces = {{"text", "another", 3}, {"image", "", 0}, {"fused", "", 0}};
  ASSERT_TRUE(store_->CreateCatalog(catalog).ok());
  const int64_t revision = store_->UpsertItems("sized", {Write("a")})->revisions[0];
  EXPECT_EQ(WrongField(store_->PutVectors("sized", "a", revision, {Vector("text", "m1", {1, 0})})),
            "vectors[0].values");
  EXPECT_TRUE(store_->PutVectors("sized", "a", revision, {Vector("text", "m1", {1, 0, 0})}).ok());
}

TEST_F(VectorsTest, AnnounceThemselvesInTheFeed) {
  const int64_t revision = Put(Write("a"));
  const std::string token = Token();
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {1, 0})}).ok());
  const std::vector<Change> changes = Changes(token);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, ChangeKind::kVectorsChanged);
  EXPECT_EQ(changes[0].key, "a");
  EXPECT_EQ(changes[0].revision, revision);
}

TEST_F(VectorsTest, CompleteResultTakesTheItemOutOfTheBacklog) {
  const int64_t revision = Put(Write("a"));
  EXPECT_THAT(PendingIds(), ElementsAre("a"));
  EXPECT_EQ(*store_->EmbeddingBacklog(), 1);
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {1, 0})}).ok());
  EXPECT_THAT(PendingIds(), ElementsAre("a"));
  ASSERT_TRUE(store_
                  ->PutVectors("shop", "a", revision,
                               {Vector("text", "m1", {1, 0}), Vector("image", "m1", {1, 0})}, true)
                  .ok());
  EXPECT_THAT(PendingIds(), IsEmpty());
  EXPECT_EQ(store_->GetEmbeddingStatus("shop", "a")->state, EmbeddingState::kDone);
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {1, 0})}, true).ok());
  EXPECT_THAT(Spaces("a"), ElementsAre("text/m1"));
  Open();
  EXPECT_EQ(Stats().embedding_backlog, 0);
}

TEST_F(VectorsTest, ItemsWithoutContentWaitForNothing) {
  ItemWrite empty = Write("a", "");
  Put(empty);
  EXPECT_THAT(PendingIds(), IsEmpty());
  EXPECT_EQ(store_->GetEmbeddingStatus("shop", "a")->state, EmbeddingState::kNothingToEmbed);
  const int64_t revision = Put(Write("a", "now a title"));
  EXPECT_THAT(PendingIds(), ElementsAre("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {1, 0})}, true).ok());
  Put(empty);
  EXPECT_THAT(Spaces("a"), IsEmpty());
}

TEST_F(VectorsTest, OldOnesServeUntilNewContentIsEmbedded) {
  const int64_t one = Put(Write("a", "one"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", one, {Vector("text", "m1", {1, 0})}, true).ok());
  Put(Write("a", "two"));
  EXPECT_THAT(Spaces("a"), ElementsAre("text/m1"));
  EXPECT_EQ(store_->GetEmbeddingStatus("shop", "a")->state, EmbeddingState::kPending);
}

TEST_F(VectorsTest, FailureForGoodIsRecordedAndLeavesTheBacklog) {
  const int64_t revision = Put(Write("a"));
  ASSERT_TRUE(store_
                  ->SetEmbeddingFailure("shop", "a", revision,
                                        absl::InvalidArgumentError("picture 0 cannot be decoded"))
                  .ok());
  EXPECT_THAT(PendingIds(), IsEmpty());
  Open();
  const auto status = store_->GetEmbeddingStatus("shop", "a");
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->state, EmbeddingState::kFailed);
  EXPECT_EQ(status->failure, absl::InvalidArgumentError("picture 0 cannot be decoded"));
  EXPECT_EQ(Stats().embedding_backlog, 0);
  EXPECT_EQ(Stats().embedding_failed, 1);
  ASSERT_EQ(Read("a").failed_parts.size(), 1u);
  EXPECT_EQ(Read("a").failed_parts[0].part, "") << "as a whole";
  Put(Write("a", "another title"));
  EXPECT_EQ(Stats().embedding_backlog, 1);
  EXPECT_EQ(Stats().embedding_failed, 0);
}

TEST_F(VectorsTest, PendingItemsComeInBoundedPagesWithTheirPictures) {
  for (int i = 0; i < 5; ++i) {
    ItemWrite write = Write(absl::StrCat("item", i));
    write.images = {{Png(4, 4, std::string(1000, static_cast<char>('a' + i))), ""}};
    Put(write);
  }
  const auto by_count = store_->ListPending("shop", 2, "item1");
  ASSERT_TRUE(by_count.ok());
  ASSERT_EQ(by_count->size(), 2u);
  EXPECT_EQ((*by_count)[0].item.id, "item2");
  EXPECT_EQ((*by_count)[0].image_bytes.size(), 1u);
  EXPECT_EQ(store_->ListPending("shop", 5, "", 2500)->size(), 2u);
  EXPECT_EQ(store_->ListPending("shop", 5, "", 1)->size(), 1u);
}

TEST_F(VectorsTest, NewModelServesOnlyWhenEveryItemHasItsVectors) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  const int64_t a = Put(Write("a"));
  const int64_t b = Put(Write("b"));
  const int64_t c = Put(Write("c"));
  for (const auto& [id, revision] : {std::pair("a", a), std::pair("b", b), std::pair("c", c)}) {
    ASSERT_TRUE(
        store_->PutVectors("shop", id, revision, {Vector("text", "m1", {1, 0})}, true).ok());
  }
  EXPECT_EQ(Active("text"), "m1");

  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  EXPECT_THAT(PendingIds(), ElementsAre("a", "b", "c"));
  const std::string token = Token();
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m2", {1, 0, 0})}, true).ok());
  EXPECT_EQ(Active("text"), "m1");
  EXPECT_THAT(Spaces("a"), ElementsAre("text/m1"));
  EXPECT_THAT(Spaces("a", /*all_fingerprints=*/true), ElementsAre("text/m1", "text/m2"));
  Open();
  EXPECT_EQ(Active("text"), "m1");
  EXPECT_EQ(Stats().embedding_backlog, 2);

  ASSERT_TRUE(store_->PutVectors("shop", "b", b, {Vector("text", "m2", {1, 0, 0})}, true).ok());
  ASSERT_TRUE(store_->DeleteItems("shop", {"c"}).ok());
  EXPECT_EQ(Active("text"), "m2");
  EXPECT_THAT(Spaces("a", true), ElementsAre("text/m2"));
  EXPECT_THAT(Spaces("b", true), ElementsAre("text/m2"));
  const std::vector<Change> changes = Changes(token);
  ASSERT_FALSE(changes.empty());
  EXPECT_EQ(changes.back().kind, ChangeKind::kSpacesSwitched);
  EXPECT_EQ(changes.back().key, "shop");
  EXPECT_EQ(store_->PutVectors("shop", "a", a, {Vector("text", "m1", {1, 0})}).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(VectorsTest, AFailingModelNeverReplacesTheOneThatWorks) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  const int64_t a = Put(Write("a"));
  const int64_t b = Put(Write("b"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "b", b, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  ASSERT_TRUE(store_->SetEmbeddingFailure("shop", "a", a, absl::InternalError("not finite")).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "b", b, {Vector("text", "m2", {1, 0})}, true).ok());

  for (int opened = 0; opened < 2; ++opened) {
    EXPECT_EQ(Stats().embedding_backlog, 0);
    EXPECT_EQ(Active("text"), "m1");
    EXPECT_THAT(Spaces("a", true), ElementsAre("text/m1"));
    EXPECT_EQ(Stats().spaces[0].switch_refusal,
              "model m2 lacks 1 of the 2 items that model m1 has embedded; item \"a\" failed with "
              "INTERNAL: not finite");
    Open();
  }

  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m2", {0, 1})}, true).ok());
  EXPECT_EQ(Active("text"), "m2");
  EXPECT_EQ(Stats().spaces[0].switch_refusal, "");
}

TEST_F(VectorsTest, AnItemThatTheActiveModelFailedTooDoesNotKeepASpaceFromSwitching) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  const int64_t good = Put(Write("good"));
  const int64_t bad = Put(Write("bad"));
  const absl::Status failure = absl::InvalidArgumentError("cannot be decoded");
  ASSERT_TRUE(store_->PutVectors("shop", "good", good, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->SetEmbeddingFailure("shop", "bad", bad, failure).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "good", good, {Vector("text", "m2", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->SetEmbeddingFailure("shop", "bad", bad, failure).ok());
  EXPECT_EQ(Active("text"), "m2");
}

TEST_F(VectorsTest, ASpaceSwitchesWhenTheLastPendingItemLosesItsContent) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  const int64_t a = Put(Write("a"));
  const int64_t b = Put(Write("b"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "b", b, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m2", {1, 0})}, true).ok());
  Put(Write("b", ""));
  EXPECT_EQ(Active("text"), "m2");
}

TEST_F(VectorsTest, AModelThatComesLaterEmbedsWhatWasLeftOut) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {}).ok());
  const int64_t a = Put(Write("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {}, /*complete=*/true).ok());
  EXPECT_THAT(PendingIds(), IsEmpty());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"image", "m1"}}).ok());
  EXPECT_THAT(PendingIds(), ElementsAre("a"));
}

TEST_F(VectorsTest, TheSameModelAgainChangesNothing) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  const int64_t a = Put(Write("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  EXPECT_THAT(PendingIds(), IsEmpty());
}

TEST_F(VectorsTest, GivingUpOnANewModelKeepsTheOldVectors) {
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  const int64_t a = Put(Write("a"));
  const int64_t b = Put(Write("b"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "b", b, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m2"}}).ok());
  ASSERT_TRUE(store_->PutVectors("shop", "a", a, {Vector("text", "m2", {1, 0, 0})}, true).ok());
  ASSERT_TRUE(store_->SetTargetSpaces("shop", {{"text", "m1"}}).ok());
  EXPECT_EQ(Active("text"), "m1");
  EXPECT_THAT(Spaces("a", true), ElementsAre("text/m1"));
  EXPECT_THAT(Spaces("b", true), ElementsAre("text/m1"));
}

}  // namespace
}  // namespace palate::featurestore
