#include "embedding/fetch/host_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace palate::embedding {
namespace {

using ::testing::HasSubstr;

HostList Parsed(const std::string& text) {
  auto list = HostList::Parse(text);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? *std::move(list) : HostList();
}

bool AllowsHttps(const HostList& list, const std::string& host, int port = 443) {
  return list.Allows(host, port, 443);
}

TEST(HostListTest, IsEmptyWithoutEntries) {
  EXPECT_TRUE(Parsed("").empty());
  EXPECT_TRUE(Parsed(" , ").empty());
  EXPECT_FALSE(AllowsHttps(Parsed(""), "example.com"));
}

TEST(HostListTest, TakesTheNameItselfInAnyCase) {
  const HostList list = Parsed("img.example.com, Other.org");
  EXPECT_TRUE(AllowsHttps(list, "img.example.com"));
  EXPECT_TRUE(AllowsHttps(list, "IMG.Example.COM"));
  EXPECT_TRUE(AllowsHttps(list, "img.example.com."));
  EXPECT_TRUE(AllowsHttps(list, "other.org"));
  for (const char* host : {"example.com", "a.img.example.com", "img.example.com.evil.net",
                           "evilimg.example.com", "img.example.co", ""}) {
    EXPECT_FALSE(AllowsHttps(list, host)) << host;
  }
}

TEST(HostListTest, StarTakesEveryNameBelowButNotTheNameItself) {
  const HostList list = Parsed("*.example.com");
  EXPECT_TRUE(AllowsHttps(list, "a.example.com"));
  EXPECT_TRUE(AllowsHttps(list, "a.b.example.com"));
  for (const char* host :
       {"example.com", ".example.com", "evilexample.com", "a.example.com.evil.net"}) {
    EXPECT_FALSE(AllowsHttps(list, host)) << host;
  }
}

TEST(HostListTest, TakesTheSchemesOwnPortUnlessOneIsNamed) {
  const HostList list = Parsed("a.com,b.com:8443,[::1]:9000");
  EXPECT_FALSE(AllowsHttps(list, "a.com", 8443));
  EXPECT_TRUE(list.Allows("a.com", 80, 80));
  EXPECT_FALSE(list.Allows("a.com", 443, 80));
  EXPECT_TRUE(AllowsHttps(list, "b.com", 8443));
  EXPECT_FALSE(AllowsHttps(list, "b.com"));
  EXPECT_TRUE(AllowsHttps(list, "[::1]", 9000));
}

TEST(HostListTest, RefusesWhatIsNoHost) {
  for (const char* text :
       {"https://example.com", "example.com/path", "*", "*.", "a..com", ".com", "a.com:", "a.com:0",
        "a.com:70000", "a.*.com", "a b", "[zz]", "*.[::1]", "user@a.com"}) {
    const auto list = HostList::Parse(std::string("good.com, ") + text);
    EXPECT_EQ(list.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }

  EXPECT_THAT(std::string(HostList::Parse("good.com,bad/path").status().message()),
              HasSubstr("\"bad/path\""));
}

}  // namespace
}  // namespace palate::embedding
