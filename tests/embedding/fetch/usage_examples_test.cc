// The usage examples in the headers of embedding/fetch, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "embedding/fetch/host_list.h"
#include "embedding/fetch/image_fetcher.h"

namespace palate::embedding {
namespace {

constexpr char kThisFile[] = "tests/embedding/fetch/usage_examples_test.cc";

absl::Status UseHostList() {
  PALATE_ASSIGN_OR_RETURN(const HostList hosts, HostList::Parse("*.example.com, 203.0.113.7:8443"));
  const bool allowed = hosts.Allows("img.example.com", /*port=*/443, /*default_port=*/443);

  EXPECT_TRUE(allowed);
  return absl::OkStatus();
}

TEST(UsageExampleTest, HostList) {
  EXPECT_TRUE(UseHostList().ok());
  ExpectTestHasExampleOf("embedding/fetch/host_list.h", kThisFile);
}

absl::Status UseImageFetcher(const std::string& uri, absl::Time deadline) {
  size_t total_bytes = 0;

  FetchOptions options;
  PALATE_ASSIGN_OR_RETURN(options.allowed_hosts, HostList::Parse("img.example.com"));
  ImageFetcher fetcher(options);
  PALATE_ASSIGN_OR_RETURN(const ImageFetcher::Batch batch,
                          fetcher.Fetch({uri}, {.deadline = deadline}));
  if (batch.images[0].ok()) total_bytes += batch.images[0]->size();

  EXPECT_EQ(total_bytes, 0u);
  EXPECT_EQ(batch.images[0].status().code(), absl::StatusCode::kFailedPrecondition);
  return absl::OkStatus();
}

// The host is not allowed, so that the test needs no network.
TEST(UsageExampleTest, ImageFetcher) {
  const absl::Status status =
      UseImageFetcher("https://elsewhere.example.com/mug.jpg", absl::Now() + absl::Seconds(60));
  EXPECT_TRUE(status.ok()) << status;
  ExpectTestHasExampleOf("embedding/fetch/image_fetcher.h", kThisFile);
}

}  // namespace
}  // namespace palate::embedding
