#include "embedding/cache/content_key.h"

#include <gtest/gtest.h>

#include <set>

#include "embedding/cache/item_cache.h"

namespace palate::embedding {
namespace {

EmbedInput Fields(std::vector<std::string> fields) {
  EmbedInput input;
  input.fields = std::move(fields);
  return input;
}

TEST(ContentDigestTest, IsTheSameForTheSameContent) {
  EXPECT_EQ(ContentDigest(Fields({"a", "b"}), "find"), ContentDigest(Fields({"a", "b"}), "find"));
  EXPECT_EQ(ContentDigest(Fields({"a"}), "").size(), 32u);
}

TEST(ContentDigestTest, TellsApartWhateverDiffers) {
  EmbedInput picture = Fields({"ab"});
  picture.images = {"bytes"};
  EmbedInput two_pictures = picture;
  two_pictures.images = {"byt", "es"};
  EmbedInput picture_as_text = Fields({"ab", "bytes"});
  EmbedInput query = Fields({"ab"});
  query.role = EmbedRole::kQuery;

  const std::set<std::string> digests = {
      ContentDigest(Fields({"ab"}), ""),
      ContentDigest(Fields({"a", "b"}), ""),
      ContentDigest(Fields({"", "ab"}), ""),
      ContentDigest(Fields({"b", "a"}), ""),
      ContentDigest(Fields({}), "ab"),
      ContentDigest(Fields({"b"}), "a"),
      ContentDigest(picture, ""),
      ContentDigest(two_pictures, ""),
      ContentDigest(picture_as_text, ""),
      ContentDigest(query, ""),
  };
  EXPECT_EQ(digests.size(), 10u);
}

TEST(ItemCacheKeyTest, TellsApartCatalogSpaceAndFingerprint) {
  const std::string content = ContentDigest(Fields({"a"}), "");
  const std::set<std::string> keys = {
      ItemCache::Key("shop", content, "text", "f1"),
      ItemCache::Key("shop2", content, "text", "f1"),
      ItemCache::Key("shop", content, "image", "f1"),
      ItemCache::Key("shop", content, "text", "f2"),
      ItemCache::Key("shop", content, "textf", "1"),
  };
  EXPECT_EQ(keys.size(), 5u);
}

}  // namespace
}  // namespace palate::embedding
