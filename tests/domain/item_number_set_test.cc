#include "domain/item_number_set.h"

#include <algorithm>
#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ItemNumberSet SetOf(const std::set<uint32_t>& numbers) {
  ItemNumberSet set;
  for (const uint32_t number : numbers) set.Add(number);
  return set;
}

// Sparse, dense and mixed sets, of one container and of several.
std::vector<std::set<uint32_t>> Shapes() {
  std::mt19937 random(1);
  std::set<uint32_t> dense;
  for (uint32_t i = 0; i < 200'000; ++i) dense.insert(i);
  std::set<uint32_t> half;
  for (uint32_t i = 0; i < 150'000; ++i) {
    if (random() % 2 == 0) half.insert(i);
  }
  std::set<uint32_t> anywhere = {0, 0xffffffff};
  for (int i = 0; i < 1000; ++i) anywhere.insert(static_cast<uint32_t>(random()));
  std::set<uint32_t> both = half;
  both.insert(anywhere.begin(), anywhere.end());
  return {{7}, {1, 2, 3, 65'536, 200'000}, dense, half, anywhere, both};
}

TEST(ItemNumberSetTest, HoldsWhatWasAddedAndNothingElse) {
  for (const std::set<uint32_t>& shape : Shapes()) {
    const ItemNumberSet set = SetOf(shape);
    EXPECT_EQ(set.size(), shape.size());
    EXPECT_TRUE(std::equal(shape.begin(), shape.end(), set.Numbers().begin()));
    std::mt19937 random(2);
    for (int i = 0; i < 1000; ++i) {
      const uint32_t number = static_cast<uint32_t>(random() % 300'000);
      EXPECT_EQ(set.Contains(number), shape.contains(number));
    }
  }
}

TEST(ItemNumberSetTest, SerializedSetsComeBackEqual) {
  for (const std::set<uint32_t>& shape : Shapes()) {
    const ItemNumberSet set = SetOf(shape);
    const absl::StatusOr<ItemNumberSet> same = ItemNumberSet::Parse(set.Serialize());
    ASSERT_TRUE(same.ok()) << same.status();
    EXPECT_EQ(*same, set);
  }
}

TEST(ItemNumberSetTest, TheEmptySetIsNoBytes) {
  EXPECT_EQ(ItemNumberSet().Serialize(), "");
  EXPECT_TRUE(ItemNumberSet::Parse("")->empty());
  EXPECT_FALSE(ItemNumberSet().Contains(0));
  EXPECT_THAT(ItemNumberSet().Numbers(), IsEmpty());
}

TEST(ItemNumberSetTest, UnionsAndCopiesAreApartFromTheirSources) {
  ItemNumberSet a = SetOf({1, 2});
  ItemNumberSet b = a;
  b.AddAll(SetOf({2, 70'000}));
  EXPECT_THAT(a.Numbers(), ElementsAre(1, 2));
  EXPECT_THAT(b.Numbers(), ElementsAre(1, 2, 70'000));
  b.AddAll(ItemNumberSet());
  EXPECT_EQ(b.size(), 3u);
  std::vector<uint32_t> visited;
  b.ForEach([&](uint32_t number) { visited.push_back(number); });
  EXPECT_EQ(visited, b.Numbers());
}

TEST(ItemNumberSetTest, SetsOfNeighborsAreSmall) {
  ItemNumberSet set;
  for (uint32_t i = 0; i < 100'000; ++i) set.Add(i);
  EXPECT_LT(set.Serialize().size(), 17'000u);
}

TEST(ItemNumberSetTest, DamagedBytesAreRefusedOrASoundSet) {
  std::mt19937 random(3);
  for (const std::set<uint32_t>& shape : Shapes()) {
    const std::string good = SetOf(shape).Serialize();
    for (int round = 0; round < 500; ++round) {
      std::string bytes = good;
      if (round % 3 == 0) bytes.resize(random() % bytes.size());
      if (bytes.empty()) continue;
      for (int i = 0; i < 3; ++i)
        bytes[random() % std::min<size_t>(bytes.size(), 64)] ^=
            static_cast<char>(1 << (random() % 8));
      absl::StatusOr<ItemNumberSet> parsed = ItemNumberSet::Parse(bytes);
      if (!parsed.ok()) continue;
      const std::vector<uint32_t> numbers = parsed->Numbers();
      EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
      parsed->AddAll(SetOf({1, 70'000}));
      EXPECT_TRUE(parsed->Contains(70'000));
    }
  }
}

// One container of runs, whose only run begins at 65,530 and has 11 numbers: five too many.
TEST(ItemNumberSetTest, ARunThatLeavesItsContainerIsRefused) {
  const std::string bytes("\x3b\x30\x00\x00\x01\x00\x00\x0a\x00\x01\x00\xfa\xff\x0a\x00", 15);
  EXPECT_FALSE(ItemNumberSet::Parse(bytes).ok());
  std::string inside = bytes;
  inside[11] = '\xf0';
  ASSERT_TRUE(ItemNumberSet::Parse(inside).ok());
  EXPECT_EQ(ItemNumberSet::Parse(inside)->size(), 11u);
}

}  // namespace
}  // namespace palate
