// Fetches from a real HTTP server on a loopback address, which only a test option admits.
#include "embedding/fetch/image_fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "base/status.h"
#include "tests/eventually.h"
#include "tests/fakes/http_server.h"

namespace palate::embedding {
namespace {

using ::testing::HasSubstr;

HttpServer::Answers Answers() {
  return {{"/picture", HttpAnswer("picture bytes")},
          {"/other", HttpAnswer("other bytes")},
          {"/text", HttpAnswer("picture bytes", "200 OK", "Content-Type: text/html\r\n")},
          {"/moved", HttpAnswer("", "302 Found", "Location: /picture\r\n")},
          {"/gone", HttpAnswer("gone", "410 Gone")},
          {"/broken", HttpAnswer("sorry", "503 Service Unavailable")},
          {"/large", HttpAnswer(std::string(5000, 'x'))},
          {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                           std::string(2000, 'x') + "\r\n0\r\n\r\n"},
          {"/endless", "HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, 'x')},
          {"/headers", HttpAnswer("x", "200 OK", "X-Long: " + std::string(90'000, 'h') + "\r\n")},
          {"/noise", "\x01\x02\x03 this is no HTTP"},
          {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}};
}

class ImageFetcherTest : public ::testing::Test {
 protected:
  ImageFetcherTest() {
    options_.allowed_hosts = *HostList::Parse(server_.host());
    options_.allow_http = true;
    options_.admit_loopback = true;
    options_.max_bytes = 1024;
    options_.timeout = absl::Seconds(20);
  }

  absl::StatusOr<std::string> Fetch(const std::string& uri) {
    ImageFetcher fetcher(options_);
    auto batch = fetcher.Fetch({uri}, {});
    if (!batch.ok()) return batch.status();
    const FetchStats stats = fetcher.stats();
    EXPECT_EQ(stats.fetched + stats.refused + stats.failed, 1);
    EXPECT_EQ(stats.fetched == 1, batch->images[0].ok());
    return batch->images[0];
  }
  absl::StatusCode CodeOf(const std::string& path) {
    return Fetch(server_.uri(path)).status().code();
  }

  HttpServer server_{Answers()};
  FetchOptions options_;
};

TEST_F(ImageFetcherTest, GivesTheBytesOfAllowedHostsInTheirOrder) {
  ImageFetcher fetcher(options_);
  const auto batch =
      fetcher.Fetch({server_.uri("/other"), server_.uri("/missing"), server_.uri("/picture")}, {});

  ASSERT_TRUE(batch.ok()) << batch.status();
  ASSERT_EQ(batch->images.size(), 3u);
  EXPECT_EQ(*batch->images[0], "other bytes");
  EXPECT_EQ(batch->images[1].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*batch->images[2], "picture bytes");
  EXPECT_EQ(fetcher.stats().fetched, 2);
  EXPECT_EQ(fetcher.stats().bytes, 24);
  EXPECT_EQ(fetcher.stats().failed, 1);
}

TEST_F(ImageFetcherTest, DoesNotAskWhatTheServerCallsTheBytes) {
  EXPECT_EQ(*Fetch(server_.uri("/text")), "picture bytes");
}

TEST_F(ImageFetcherTest, RefusesHostsThatAreNotAllowedWithoutConnecting) {
  options_.allowed_hosts = *HostList::Parse("img.example.com");
  const absl::Status status = Fetch(server_.uri("/picture")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is not allowed"));

  options_.allowed_hosts = *HostList::Parse("127.0.0.1");  // only the scheme's default port
  EXPECT_EQ(CodeOf("/picture"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(ImageFetcherTest, RefusesAddressesThatAreNotPublicWithoutConnecting) {
  options_.admit_loopback = false;
  const absl::Status status = Fetch(server_.uri("/picture")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("address is not public"));
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(ImageFetcherTest, ChecksTheAddressThatANameLeadsTo) {
  options_.allowed_hosts = *HostList::Parse(absl::StrCat("localhost:", server_.port()));
  const std::string uri = absl::StrCat("http://localhost:", server_.port(), "/picture");
  EXPECT_EQ(*Fetch(uri), "picture bytes");

  options_.admit_loopback = false;
  EXPECT_EQ(Fetch(uri).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(ImageFetcherTest, LoopbackSwitchAdmitsNoOtherPrivateAddress) {
  options_.timeout = absl::Seconds(5);
  for (const char* host : {"10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "[fe80::1]",
                           "[::ffff:127.0.0.1]", "[::]"}) {
    options_.allowed_hosts = *HostList::Parse(absl::StrCat(host, ":", server_.port()));
    const absl::Status status =
        Fetch(absl::StrCat("http://", host, ":", server_.port(), "/picture")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << host << ": " << status;
  }
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(ImageFetcherTest, OtherSpellingsOfAnAddressAreTheSameAddress) {
  options_.admit_loopback = false;
  options_.allowed_hosts = *HostList::Parse(
      absl::StrCat(server_.host(), ",2130706433:", server_.port(), ",0x7f000001:", server_.port()));
  for (const char* host : {"2130706433", "0x7f000001", "127.1", "0177.0.0.1"}) {
    const absl::Status status =
        Fetch(absl::StrCat("http://", host, ":", server_.port(), "/picture")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << host << ": " << status;
  }
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(ImageFetcherTest, FollowsNoRedirect) {
  const absl::Status status = Fetch(server_.uri("/moved")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("302; redirects are not followed"));
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(ImageFetcherTest, UsesNoProxyOfTheEnvironment) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  EXPECT_EQ(CodeOf("/picture"), absl::StatusCode::kOk);
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
}

TEST_F(ImageFetcherTest, RefusesUrisThatAreNotPlainlyOneOfTheAllowedSchemes) {
  for (const std::string& uri :
       {std::string("ftp://") + server_.host() + "/picture", std::string("file:///etc/passwd"),
        std::string("gopher://x/"), std::string("data:,x"), std::string(""), std::string("picture"),
        server_.host() + "/picture", std::string("http://"),
        std::string("http://user@") + server_.host() + "/picture",
        std::string("http://:secret@") + server_.host() + "/picture",
        std::string("http://") + server_.host() + "/a b\nc",
        "http://" + server_.host() + "/" + std::string(5000, 'x'),
        std::string("http://127.0.0.1\0.example.com/", 30)}) {
    EXPECT_EQ(Fetch(uri).status().code(), absl::StatusCode::kInvalidArgument) << uri.substr(0, 100);
  }

  options_.allow_http = false;
  EXPECT_EQ(CodeOf("/picture"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(ImageFetcherTest, RefusesPicturesBeyondTheSizeHoweverTheyAreSent) {
  for (const char* path : {"/large", "/chunked", "/endless"}) {
    const absl::Status status = Fetch(server_.uri(path)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("larger than 1024 bytes")) << path;
  }
}

TEST_F(ImageFetcherTest, FailuresOfTheServerAreToldApart) {
  EXPECT_EQ(CodeOf("/missing"), absl::StatusCode::kNotFound);
  EXPECT_EQ(CodeOf("/gone"), absl::StatusCode::kNotFound);
  for (const char* path : {"/broken", "/noise", "/short", "/headers"})
    EXPECT_EQ(CodeOf(path), absl::StatusCode::kUnavailable) << path;
  options_.allowed_hosts = *HostList::Parse("127.0.0.1:1");
  EXPECT_EQ(Fetch("http://127.0.0.1:1/").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ImageFetcherTest, ServerThatIsSilentCostsTheTimeLimitAndNoMore) {
  options_.timeout = absl::Milliseconds(100);
  const absl::Time began = absl::Now();
  EXPECT_EQ(CodeOf("/silent"), absl::StatusCode::kUnavailable);
  EXPECT_LT(absl::Now() - began, absl::Seconds(10));
}

TEST_F(ImageFetcherTest, CallEndsWithItsOwnDeadline) {
  ImageFetcher fetcher(options_);
  EXPECT_EQ(
      fetcher.Fetch({server_.uri("/silent")}, {.deadline = absl::Now() + absl::Milliseconds(100)})
          .status()
          .code(),
      absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ImageFetcherTest, CancelledCallStopsFetching) {
  options_.timeout = absl::Hours(1);
  ImageFetcher fetcher(options_);
  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status status;
  std::thread caller([&] {
    status = fetcher.Fetch({server_.uri("/silent")}, {.cancellation = cancellation}).status();
  });

  EXPECT_TRUE(Eventually([&] { return server_.connections() > 0; }));
  cancellation->Cancel();
  caller.join();

  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(
      fetcher.Fetch({server_.uri("/picture")}, {.cancellation = cancellation}).status().code(),
      absl::StatusCode::kCancelled);
}

TEST_F(ImageFetcherTest, CallWaitsWhileOthersHoldTheMemory) {
  options_.max_bytes_held = 0;  // raised to the needs of one full call
  ImageFetcher fetcher(options_);
  const std::vector<std::string> uris(ImageFetcher::kMaxUris, server_.uri("/picture"));
  auto held = fetcher.Fetch(uris, {});
  ASSERT_TRUE(held.ok()) << held.status();

  EXPECT_EQ(fetcher.Fetch(uris, {.deadline = absl::Now() + absl::Milliseconds(50)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);

  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status status;
  std::thread waiting(
      [&] { status = fetcher.Fetch(uris, {.cancellation = cancellation}).status(); });
  cancellation->Cancel();
  waiting.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);

  held->memory.reset();
  EXPECT_TRUE(fetcher.Fetch(uris, {}).ok());
}

}  // namespace
}  // namespace palate::embedding
