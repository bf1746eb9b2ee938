// Fetches images by URI from hosts that the operator allows.
//
// Usage:
//   FetchOptions options;
//   PALATE_ASSIGN_OR_RETURN(options.allowed_hosts, HostList::Parse("img.example.com"));
//   ImageFetcher fetcher(options);
//   PALATE_ASSIGN_OR_RETURN(const ImageFetcher::Batch batch,
//                           fetcher.Fetch({uri}, {.deadline = deadline}));
//   if (batch.images[0].ok()) total_bytes += batch.images[0]->size();
//
// URIs come from untrusted writers, and the server runs inside a private network. Therefore a fetch
//   - goes to an allowed host and port, by https (or http when configured), without credentials in
//     the URI;
//   - resolves the name once and connects only to public addresses: each address is checked in the
//     call that creates its socket, so DNS rebinding does not help;
//   - follows no redirect, uses no proxy, sends nothing but the request, and verifies the server's
//     certificate;
//   - is limited in bytes and in time, from the name lookup to the last byte.
// The result is bytes. The decoder decides whether they are an image, whatever type the server
// declares.
//
// Thread-safe. Fetches run on the fetcher's threads. Only this folder uses libcurl.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "domain/limits.h"
#include "embedding/fetch/host_list.h"

namespace palate::embedding {

struct FetchOptions {
  HostList allowed_hosts;  // empty: all fetches are refused
  bool allow_http = false;
  int64_t max_bytes = kMaxImageBytes;  // of one image
  absl::Duration timeout = absl::Seconds(5);
  int max_concurrent = 8;  // fetches at once, over all calls; at least 1
  // Limit on the images that are being fetched (each counts as max_bytes) or wait to be embedded,
  // over all calls; calls wait for room. Raised to kMaxUris * max_bytes if below.
  int64_t max_bytes_held = int64_t{512} << 20;
  // Allows loopback addresses. For tests only.
  bool admit_loopback = false;
};

struct FetchStats {
  int64_t fetched = 0;
  int64_t bytes = 0;
  int64_t refused = 0;  // violated one of the rules above
  int64_t failed = 0;   // any other failure
};

class ImageFetcher {
 public:
  explicit ImageFetcher(const FetchOptions& options);
  ~ImageFetcher();
  ImageFetcher(const ImageFetcher&) = delete;
  ImageFetcher& operator=(const ImageFetcher&) = delete;

  // The limit of one Fetch call.
  static constexpr size_t kMaxUris = kMaxEmbedImages;

  // The images of one call, in the order of its URIs. They count against max_bytes_held until
  // `memory` is destroyed.
  struct Batch {
    std::vector<absl::StatusOr<std::string>> images;
    std::shared_ptr<void> memory;
  };

  // Blocks. REQUIRES: at most kMaxUris. The error of an element reveals neither address nor
  // content:
  //
  //   InvalidArgument      not a URI, wrong scheme, credentials in it
  //   FailedPrecondition   host not allowed, address not public, redirect, too large
  //   NotFound             the server does not have the image
  //   Unavailable          name lookup, connection or server failed or timed out; may be retried
  //
  // DeadlineExceeded and Cancelled apply to the whole call.
  absl::StatusOr<Batch> Fetch(const std::vector<std::string>& uris, const CallContext& context);

  FetchStats stats() const;

 private:
  class Budget;
  struct Transfer;

  absl::StatusOr<std::string> FetchOne(const std::string& uri, const CallContext& context) const;
  // Sets the libcurl options that enforce the rules above.
  void Configure(void* easy, absl::Duration timeout, Transfer& transfer) const;
  absl::Status Perform(Transfer& transfer) const;
  void Count(const absl::StatusOr<std::string>& image);

  const FetchOptions options_;
  const std::shared_ptr<Budget> budget_;
  std::atomic<int64_t> fetched_ = 0;
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<int64_t> refused_ = 0;
  std::atomic<int64_t> failed_ = 0;
  ThreadPool pool_;  // last, because its threads use the other members
};

}  // namespace palate::embedding
