// The usage examples in the headers of domain/, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/attribute.h"
#include "domain/catalog.h"
#include "domain/item_number_set.h"
#include "domain/limits.h"
#include "domain/rating.h"
#include "domain/text.h"
#include "domain/user_context.h"
#include "domain/vector.h"

namespace palate {
namespace {

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/domain/usage_examples_test.cc");
}

TEST(UsageExampleTest, Attribute) {
  ExpectExampleOf("domain/attribute.h");

  const Attributes attributes = {{"color", std::string("blue")}, {"price", 12.5}};
  const bool is_number = TypeOf(attributes.at("price")) == AttributeType::kDouble;

  EXPECT_TRUE(is_number);
}

TEST(UsageExampleTest, ItemNumberSet) {
  ExpectExampleOf("domain/item_number_set.h");

  const auto run = []() -> absl::StatusOr<bool> {
    ItemNumberSet seen;
    seen.Add(7);
    const std::string bytes = seen.Serialize();
    PALATE_ASSIGN_OR_RETURN(const ItemNumberSet same, ItemNumberSet::Parse(bytes));
    const bool known = same.Contains(7);
    return known;
  };

  EXPECT_TRUE(run().value());
}

TEST(UsageExampleTest, Rating) {
  ExpectExampleOf("domain/rating.h");

  RatingStats ratings;
  for (const double value : {5.0, 5.0, 2.0}) ratings.Add(value);
  const double baseline = ratings.Baseline();
  EXPECT_GT(5.0, baseline);
  EXPECT_LT(2.0, baseline);
}

TEST(UsageExampleTest, Catalog) {
  ExpectExampleOf("domain/catalog.h");

  Catalog catalog;
  catalog.id = "shop";
  catalog.event_types = {{.name = "purchase", .weight = 5}};
  catalog.spaces = DefaultSpaces();
  const EventTypeDeclaration* purchase = FindEventType(catalog, "purchase");

  ASSERT_NE(purchase, nullptr);
  EXPECT_EQ(purchase->weight, 5);
}

absl::Status CheckQueryText(const std::string& query) {
  if (query.size() > kMaxQueryBytes) {
    return InvalidField("text", absl::StrCat("has ", query.size(), " bytes"),
                        absl::StrCat("at most ", kMaxQueryBytes));
  }
  return absl::OkStatus();
}

TEST(UsageExampleTest, Limits) {
  ExpectExampleOf("domain/limits.h");

  EXPECT_TRUE(CheckQueryText("a mug").ok());
  EXPECT_EQ(CheckQueryText(std::string(kMaxQueryBytes + 1, 'a')).message(),
            "text has 8193 bytes; must be at most 8192");
}

TEST(UsageExampleTest, Text) {
  ExpectExampleOf("domain/text.h");

  Event event;
  event.event_id = "e1";
  const bool id_is_clean = !HasControlCharacter(event.event_id);
  const bool is_tag = IsLanguageTag("pt-BR");

  EXPECT_TRUE(id_is_clean);
  EXPECT_TRUE(is_tag);
}

absl::Status UseUserContext() {
  const auto read_context = [](const UserContextQuery& query) -> absl::StatusOr<UserContext> {
    UserContext context;
    context.items.emplace_back().item.id = query.user_id + "'s mug";
    context.events.push_back({.event = Event(), .weight = 2, .item_index = 0});
    context.events.push_back({.event = Event(), .weight = 3, .item_index = -1});
    return context;
  };

  const UserContextQuery query = {.catalog = "shop", .user_id = "u1", .spaces = {"text"}};
  PALATE_ASSIGN_OR_RETURN(const UserContext context, read_context(query));
  double total_weight = 0;
  for (const ContextEvent& event : context.events) {
    if (context.ItemOf(event) != nullptr) total_weight += event.weight;
  }

  EXPECT_EQ(total_weight, 2);
  return absl::OkStatus();
}

TEST(UsageExampleTest, UserContext) {
  ExpectExampleOf("domain/user_context.h");

  const absl::Status status = UseUserContext();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UsageExampleTest, Vector) {
  ExpectExampleOf("domain/vector.h");

  SpaceVector vector = {.space = {.name = "text", .fingerprint = "model-1"}, .values = {3, 4}};
  const bool has_direction = Normalize(vector.values);
  const double similarity = Dot(vector.values, vector.values);

  EXPECT_TRUE(has_direction);
  EXPECT_NEAR(similarity, 1, 1e-6);
}

}  // namespace
}  // namespace palate
