#include "domain/catalog.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate {
namespace {

TEST(CatalogTest, FindsDeclarationsByName) {
  Catalog catalog;
  catalog.attributes = {{"color", AttributeType::kString, true},
                        {"price", AttributeType::kDouble, true}};
  catalog.event_types = {{"view", 0.1, false, false}};
  catalog.spaces = DefaultSpaces();

  EXPECT_EQ(FindAttribute(catalog, "price"), &catalog.attributes[1]);
  EXPECT_EQ(FindAttribute(catalog, "size"), nullptr);
  EXPECT_EQ(FindEventType(catalog, "view"), &catalog.event_types[0]);
  EXPECT_EQ(FindEventType(catalog, ""), nullptr);
  EXPECT_EQ(FindSpace(catalog, kFusedSpace), &catalog.spaces[2]);
  EXPECT_EQ(FindSpace(catalog, "audio"), nullptr);
}

TEST(AttributeTest, TypeIsThatOfTheAlternative) {
  EXPECT_EQ(TypeOf(std::string("a")), AttributeType::kString);
  EXPECT_EQ(TypeOf(std::vector<std::string>{"a"}), AttributeType::kStringList);
  EXPECT_EQ(TypeOf(int64_t{1}), AttributeType::kInt64);
  EXPECT_EQ(TypeOf(1.5), AttributeType::kDouble);
  EXPECT_EQ(TypeOf(true), AttributeType::kBool);
  EXPECT_EQ(AttributeTypeName(TypeOf(std::vector<std::string>())), "a list of strings");
}

TEST(CatalogFieldsTest, CopyAndCompareTheFieldThatTheyName) {
  Catalog changed;
  changed.display_name = "Shop";
  changed.attributes = {{.name = "color"}};
  changed.event_types = {{.name = "view"}};
  changed.spaces = DefaultSpaces();
  changed.rerank_weight = 0.25;
  Catalog catalog;

  for (const CatalogField& field : kCatalogFields) {
    EXPECT_EQ(FindCatalogField(field.name), &field);
    EXPECT_FALSE(field.equal(catalog, changed)) << field.name;
    EXPECT_FALSE(SameDeclarations(catalog, changed)) << field.name;
    field.copy(changed, catalog);
    EXPECT_TRUE(field.equal(catalog, changed)) << field.name;
  }

  EXPECT_TRUE(SameDeclarations(catalog, changed));
  EXPECT_EQ(FindCatalogField("revision"), nullptr);
}

}  // namespace
}  // namespace palate
