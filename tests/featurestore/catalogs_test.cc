#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CatalogsTest : public StoreTest {};

TEST_F(CatalogsTest, AreReadAsTheyWereCreatedAlsoAfterReopening) {
  Open();
  Catalog catalog = ShopCatalog();
  catalog.rerank_weight = 0.25;
  const auto created = store_->CreateCatalog(catalog);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->create_time, kNow);
  EXPECT_GT(created->revision, 0);

  Open();
  const auto read = store_->GetCatalog("shop");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->display_name, "A shop");
  EXPECT_EQ(read->attributes, catalog.attributes);
  EXPECT_EQ(read->event_types, catalog.event_types);
  EXPECT_EQ(read->rerank_weight, 0.25);
  EXPECT_EQ(read->create_time, kNow);
  EXPECT_EQ(read->revision, created->revision);
  ASSERT_EQ(read->spaces.size(), 3u);
  EXPECT_EQ(read->spaces[0].name, "text");
}

TEST_F(CatalogsTest, ExistOnce) {
  OpenWithShop();
  EXPECT_EQ(store_->CreateCatalog(ShopCatalog()).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(CatalogsTest, RefuseWrongDeclarationsNamingTheField) {
  Open();
  const auto field = [&](const auto& change) {
    Catalog catalog = ShopCatalog();
    change(catalog);
    const auto created = store_->CreateCatalog(catalog);
    return created.ok() ? std::string("accepted") : WrongField(created.status());
  };

  EXPECT_EQ(field([](Catalog& c) { c.id = ""; }), "id");
  EXPECT_EQ(field([](Catalog& c) { c.id = "Shop"; }), "id");
  EXPECT_EQ(field([](Catalog& c) { c.id = "-shop"; }), "id");
  EXPECT_EQ(field([](Catalog& c) { c.id = std::string(64, 'a'); }), "id");
  EXPECT_EQ(field([](Catalog& c) { c.display_name = "\xff"; }), "display_name");
  EXPECT_EQ(field([](Catalog& c) { c.attributes[1].name = "Brand"; }), "attributes[1].name");
  EXPECT_EQ(field([](Catalog& c) { c.attributes[1].name = "genre"; }), "attributes[1].name");
  EXPECT_EQ(
      field([](Catalog& c) { c.event_types[0].weight = std::numeric_limits<double>::infinity(); }),
      "event_types[0].weight");
  EXPECT_EQ(field([](Catalog& c) { c.event_types[2].name = "view"; }), "event_types[2].name");
  EXPECT_EQ(field([](Catalog& c) { c.spaces = {{"audio", "", 0}}; }), "spaces[0].name");
  EXPECT_EQ(field([](Catalog& c) { c.spaces = {{"text", "", -1}}; }), "spaces[0].dimensions");
  EXPECT_EQ(field([](Catalog& c) { c.rerank_weight = 1.5; }), "rerank_weight");
  EXPECT_EQ(field([](Catalog& c) { c.rerank_weight = std::numeric_limits<double>::quiet_NaN(); }),
            "rerank_weight");
}

TEST_F(CatalogsTest, UpdateReplacesOnlyMaskedFields) {
  OpenWithShop();
  Catalog update = ShopCatalog();
  update.display_name = "Renamed";
  update.rerank_weight = 0;
  const auto updated = store_->UpdateCatalog(update, {FindCatalogField("rerank_weight")});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->display_name, "A shop");
  EXPECT_EQ(updated->rerank_weight, 0);
  EXPECT_EQ(store_->GetCatalog("shop")->rerank_weight, 0);
}

TEST_F(CatalogsTest, UpdateWithoutAChangeKeepsTheRevision) {
  OpenWithShop();
  const int64_t before = store_->GetCatalog("shop")->revision;
  const std::string token = Token();
  EXPECT_EQ(store_
                ->UpdateCatalog(ShopCatalog(),
                                {FindCatalogField("display_name"), FindCatalogField("attributes"),
                                 FindCatalogField("event_types")})
                ->revision,
            before);
  EXPECT_TRUE(Changes(token).empty());
}

TEST_F(CatalogsTest, UpdateChecksTheExpectedRevision) {
  OpenWithShop();
  Catalog update = ShopCatalog();
  update.display_name = "Renamed";
  const int64_t revision = store_->GetCatalog("shop")->revision;
  EXPECT_EQ(store_->UpdateCatalog(update, {FindCatalogField("display_name")}, revision + 1)
                .status()
                .code(),
            absl::StatusCode::kAborted);
  EXPECT_TRUE(store_->UpdateCatalog(update, {FindCatalogField("display_name")}, revision).ok());
  EXPECT_EQ(
      store_->UpdateCatalog(update, {FindCatalogField("display_name")}, revision).status().code(),
      absl::StatusCode::kAborted);
}

TEST_F(CatalogsTest, AttributesCanBeAddedButNeitherRemovedNorRetyped) {
  OpenWithShop();
  Catalog update = ShopCatalog();
  update.attributes.push_back({"colour", AttributeType::kString, true});
  ASSERT_TRUE(store_->UpdateCatalog(update, {FindCatalogField("attributes")}).ok());
  update.attributes.erase(update.attributes.begin());
  EXPECT_EQ(store_->UpdateCatalog(update, {FindCatalogField("attributes")}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  update = ShopCatalog();
  update.attributes.push_back({"colour", AttributeType::kBool, true});
  const absl::Status retyped =
      store_->UpdateCatalog(update, {FindCatalogField("attributes")}).status();
  EXPECT_EQ(retyped.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(retyped.message(), HasSubstr("colour"));
}

TEST_F(CatalogsTest, ListInPagesById) {
  Open();
  for (const char* id : {"c", "a", "b"}) ASSERT_TRUE(store_->CreateCatalog(ShopCatalog(id)).ok());
  const auto first = store_->ListCatalogs(2, "");
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->catalogs.size(), 2u);
  EXPECT_EQ(first->catalogs[0].id, "a");
  const auto second = store_->ListCatalogs(2, first->next_page_token);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->catalogs.size(), 1u);
  EXPECT_EQ(second->catalogs[0].id, "c");
  EXPECT_EQ(second->next_page_token, "");
  EXPECT_EQ(WrongField(store_->ListCatalogs(2, "nonsense!").status()), "page_token");
  EXPECT_EQ(WrongField(store_->ListCatalogs(-1, "").status()), "page_size");
}

TEST_F(CatalogsTest, UnknownOnesAreNotFoundEverywhere) {
  Open();
  const auto not_found = absl::StatusCode::kNotFound;
  EXPECT_EQ(store_->GetCatalog("no").status().code(), not_found);
  EXPECT_EQ(store_->UpdateCatalog(ShopCatalog("no"), {}).status().code(), not_found);
  EXPECT_EQ(store_->DeleteCatalog("no").code(), not_found);
  EXPECT_EQ(store_->UpsertItems("no", {Write("a")}).status().code(), not_found);
  EXPECT_EQ(store_->GetItems("no", {"a"}).status().code(), not_found);
  EXPECT_EQ(store_->DeleteItems("no", {"a"}).status().code(), not_found);
  EXPECT_EQ(store_->ListItems("no", 0, "").status().code(), not_found);
  EXPECT_EQ(store_->PutVectors("no", "a", 1, {}).code(), not_found);
  EXPECT_EQ(store_->WriteEvents("no", {View("u", "i", kNow)}).status().code(), not_found);
  EXPECT_EQ(store_->GetUserContext({.catalog = "no", .user_id = "u"}).status().code(), not_found);
  EXPECT_EQ(store_->UpsertUsers("no", {User{}}).status().code(), not_found);
  EXPECT_EQ(store_->PurgeUser("no", "u").status().code(), not_found);
  EXPECT_EQ(store_->ReadChanges("no", "", 1, absl::InfinitePast()).status().code(), not_found);
}

TEST_F(CatalogsTest, DeletionTakesEverythingAlongAndLeavesOthersAlone) {
  OpenWithShop();
  ASSERT_TRUE(store_->CreateCatalog(ShopCatalog("other")).ok());
  for (const char* catalog : {"shop", "other"}) {
    ItemWrite write = Write("a");
    write.images = {{Png(4, 4), ""}};
    ASSERT_TRUE(store_->UpsertItems(catalog, {write}).ok());
    ASSERT_TRUE(store_->WriteEvents(catalog, {View("u", "a", kNow)}).ok());
  }
  ASSERT_TRUE(store_->DeleteCatalog("shop").ok());
  EXPECT_EQ(store_->GetItems("shop", {"a"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->GetItems("other", {"a"}, {.image_bytes = true})->items[0].has_value());
  EXPECT_EQ(store_->GetUserContext({.catalog = "other", .user_id = "u"})->events.size(), 1u);

  ASSERT_TRUE(store_->CreateCatalog(ShopCatalog()).ok());
  EXPECT_FALSE(Exists("a"));
  EXPECT_TRUE(Context("u").events.empty());
  Open();
  EXPECT_FALSE(Exists("a"));
}

TEST_F(CatalogsTest, TheirFeedTellsOfComingChangingAndGoing) {
  Open();
  const std::string token = Token("");
  ASSERT_TRUE(store_->CreateCatalog(ShopCatalog()).ok());
  Catalog update = ShopCatalog();
  update.display_name = "Renamed";
  ASSERT_TRUE(store_->UpdateCatalog(update, {FindCatalogField("display_name")}).ok());
  ASSERT_TRUE(store_->DeleteCatalog("shop").ok());
  const std::vector<Change> changes = Changes(token, "");
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_THAT(Keys(changes), ElementsAre("shop", "shop", "shop"));
  EXPECT_EQ(changes[0].kind, ChangeKind::kCatalogChanged);
  EXPECT_EQ(changes[2].kind, ChangeKind::kCatalogDeleted);
}

TEST_F(CatalogsTest, TokensOfADeletedCatalogDoNotOpenItsNamesake) {
  OpenWithShop();
  const std::string token = Token();
  ASSERT_TRUE(store_->DeleteCatalog("shop").ok());
  ASSERT_TRUE(store_->CreateCatalog(ShopCatalog()).ok());
  EXPECT_EQ(store_->ReadChanges("shop", token, 10, absl::InfinitePast()).status().code(),
            absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace palate::featurestore
