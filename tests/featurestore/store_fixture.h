// Shared by the feature store's tests: a store in a temporary folder, with a manual clock, and
// short helpers for writes and reads.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "tests/temp_folder.h"

namespace palate::featurestore {

inline const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// The smallest file that declares such a PNG; it has no pixels.
inline std::string Png(uint32_t width, uint32_t height, absl::string_view comment = "") {
  std::string png("\x89PNG\r\n\x1a\n", 8);
  const auto chunk = [&png](absl::string_view type, const std::string& data) {
    AppendBigEndian32(static_cast<uint32_t>(data.size()), png);
    absl::StrAppend(&png, type, data, std::string(4, 'c'));
  };
  std::string header;
  AppendBigEndian32(width, header);
  AppendBigEndian32(height, header);
  chunk("IHDR", header + std::string("\x08\x02\x00\x00\x00", 5));
  chunk("tEXt", std::string(comment));
  chunk("IEND", "");
  return png;
}

inline Catalog ShopCatalog(const std::string& id = "shop") {
  Catalog catalog;
  catalog.id = id;
  catalog.display_name = "A shop";
  catalog.attributes = {{"genre", AttributeType::kStringList, true},
                        {"brand", AttributeType::kString, true},
                        {"year", AttributeType::kInt64, true},
                        {"price", AttributeType::kDouble, true},
                        {"new", AttributeType::kBool, false}};
  catalog.event_types = {
      {"view", 1.0, true, false}, {"rating", 2.0, true, true}, {"remove", -1.0, false, false}};
  return catalog;
}

inline ItemWrite Write(const std::string& id, const std::string& title = "A title") {
  ItemWrite write;
  write.item.id = id;
  write.item.title = title;
  return write;
}

inline Event View(const std::string& user, const std::string& item, absl::Time time) {
  Event event;
  event.user_id = user;
  event.item_id = item;
  event.type = "view";
  event.time = time;
  return event;
}

inline Event Rating(const std::string& user, const std::string& item, double value,
                    absl::Time time) {
  Event event = View(user, item, time);
  event.type = "rating";
  event.value = value;
  return event;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreOptions Options() const {
    StoreOptions options;
    options.dir = dir_.path();
    options.clock = clock_;
    // Tests write thousands of times, and no power loss is simulated.
    options.durability = Durability::kRelaxed;
    return options;
  }

  void Open() { Open(Options()); }
  void Open(const StoreOptions& options) {
    store_.reset();
    auto store = FeatureStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void OpenWithShop() {
    Open();
    const auto created = store_->CreateCatalog(ShopCatalog());
    ASSERT_TRUE(created.ok()) << created.status();
  }

  // The revision; the write must succeed.
  int64_t Put(const ItemWrite& write) {
    const auto result = store_->UpsertItems("shop", {write});
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return 0;
    EXPECT_TRUE(result->failures.empty()) << result->failures[0].status;
    return result->revisions[0];
  }

  // The failure of one write, or OK.
  absl::Status TryPut(const ItemWrite& write) {
    const auto result = store_->UpsertItems("shop", {write});
    if (!result.ok()) return result.status();
    return result->failures.empty() ? absl::OkStatus() : result->failures[0].status;
  }

  StoredItem Read(const std::string& id, const ItemReadOptions& options = {}) {
    const auto result = store_->GetItems("shop", {id}, options);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok() || !result->items[0].has_value()) {
      ADD_FAILURE() << "no item " << id;
      return {};
    }
    return *result->items[0];
  }

  bool Exists(const std::string& id) {
    const auto result = store_->GetItems("shop", {id});
    return result.ok() && result->items[0].has_value();
  }

  // The failure of one event, or OK.
  absl::Status Record(const Event& event, const WriteEventsOptions& options = {}) {
    const auto result = store_->WriteEvents("shop", {event}, options);
    if (!result.ok()) return result.status();
    return result->failures.empty() ? absl::OkStatus() : result->failures[0].status;
  }

  // Of catalog "shop"; `query` has the other fields.
  UserContext Context(const std::string& user, UserContextQuery query = {},
                      const UserContextOptions& options = {}) {
    query.catalog = "shop";
    query.user_id = user;
    auto context = store_->GetUserContext(query, options);
    EXPECT_TRUE(context.ok()) << context.status();
    return context.ok() ? *std::move(context) : UserContext{};
  }

  // The ids of the items that the user has seen, as far as they are in the catalog, sorted.
  std::vector<std::string> Seen(const UserContext& context) {
    std::vector<std::string> ids;
    const auto page = store_->ListItems("shop", 0, "");
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return ids;
    for (const StoredItem& item : page->items) {
      if (context.seen.Contains(item.item.number)) ids.push_back(item.item.id);
    }
    return ids;
  }

  CatalogStats Stats() {
    const auto stats = store_->GetStats();
    EXPECT_TRUE(stats.ok());
    return stats.ok() && !stats->catalogs.empty() ? stats->catalogs[0] : CatalogStats{};
  }

  std::string Token(const std::string& catalog = "shop") {
    const auto token = store_->GetFeedToken(catalog);
    EXPECT_TRUE(token.ok()) << token.status();
    return token.value_or("");
  }

  // The changes after the token now.
  std::vector<Change> Changes(const std::string& token, const std::string& catalog = "shop") {
    const auto batch = store_->ReadChanges(catalog, token, 10000, absl::InfinitePast());
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? batch->changes : std::vector<Change>();
  }

  TempFolder dir_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(kNow);
  std::unique_ptr<FeatureStore> store_;
};

// The field path of the status's only violation.
inline std::string WrongField(const absl::Status& status) {
  const std::vector<FieldViolation> violations = FieldViolations(status);
  return violations.size() == 1
             ? violations[0].field
             : absl::StrCat(violations.size(), " violations in: ", status.ToString());
}

inline std::vector<std::string> Keys(const std::vector<Change>& changes) {
  std::vector<std::string> keys;
  for (const Change& change : changes) keys.push_back(change.key);
  return keys;
}

inline std::vector<std::string> Ids(const std::vector<ScoredItem>& items) {
  std::vector<std::string> ids;
  for (const ScoredItem& item : items) ids.push_back(item.item_id);
  return ids;
}

inline SpaceVector Vector(const std::string& space, const std::string& fingerprint,
                          std::vector<float> values) {
  return {{space, fingerprint}, std::move(values)};
}

}  // namespace palate::featurestore
