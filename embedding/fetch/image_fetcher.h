// Pictures by URI, from hosts that the operator allows.
//
// A URI comes from whoever writes items, and the server sits inside a network: so a fetch
//   - goes to an allowed host and port, by https (http when configured), without user or password
//   in the URI;
//   - resolves the name once and connects only to addresses of the public internet: every address
//   is checked in the very call that makes the
//     socket for it, so that no second look-up can lead elsewhere;
//   - follows no redirect, uses no proxy, sends nothing but the request, and checks the server's
//   certificate;
//   - is limited in bytes and in time, from the look-up of the name to the last byte.
// What comes back is bytes; whether they are a picture is for the decoder to say, whatever the
// server calls them.
//
// Thread-safe. Fetches run on threads of the fetcher's own; libcurl is known to this folder alone.
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
  HostList allowed_hosts;  // empty: nothing is fetched
  bool allow_http = false;
  int64_t max_bytes = kMaxImageBytes;  // of one picture
  absl::Duration timeout = absl::Seconds(5);
  int max_concurrent = 8;  // fetches at once, over all calls; at least 1
  // Of pictures that are being fetched (each counts max_bytes) or wait to be embedded, over all
  // calls; calls wait for room. At least kMaxUris * max_bytes, which it is raised to.
  int64_t max_bytes_held = int64_t{512} << 20;
  // Lets addresses of this machine pass. For tests, which have no other server.
  bool admit_loopback = false;
};

struct FetchStats {
  int64_t fetched = 0;
  int64_t bytes = 0;
  int64_t refused = 0;  // by one of the rules above
  int64_t failed = 0;   // otherwise
};

class ImageFetcher {
 public:
  explicit ImageFetcher(const FetchOptions& options);
  ~ImageFetcher();
  ImageFetcher(const ImageFetcher&) = delete;
  ImageFetcher& operator=(const ImageFetcher&) = delete;

  // In one call of Fetch.
  static constexpr size_t kMaxUris = kMaxEmbedImages;

  // Pictures of one call, in the order of its URIs, and what they count of max_bytes_held until
  // `memory` goes.
  struct Batch {
    std::vector<absl::StatusOr<std::string>> images;
    std::shared_ptr<void> memory;
  };

  // Blocks. REQUIRES: at most kMaxUris. An element's error names neither address nor content:
  //   InvalidArgument      no URI, wrong scheme, a user in it
  //   FailedPrecondition   host not allowed, address not public, redirect, too large
  //   NotFound             the server does not give the picture
  //   Unavailable          no name, no connection, no answer in time, a fault of the server: trying
  //   again may help
  // DeadlineExceeded and Cancelled are the call's own.
  absl::StatusOr<Batch> Fetch(const std::vector<std::string>& uris, const CallContext& context);

  FetchStats stats() const;

 private:
  class Budget;
  struct Transfer;

  absl::StatusOr<std::string> FetchOne(const std::string& uri, const CallContext& context) const;
  // Sets what the transfer's rules ask of libcurl.
  void Configure(void* easy, absl::Duration timeout, Transfer& transfer) const;
  absl::Status Perform(Transfer& transfer) const;
  void Count(const absl::StatusOr<std::string>& image);

  const FetchOptions options_;
  const std::shared_ptr<Budget> budget_;
  std::atomic<int64_t> fetched_ = 0;
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<int64_t> refused_ = 0;
  std::atomic<int64_t> failed_ = 0;
  ThreadPool pool_;  // last: its threads use the rest
};

}  // namespace palate::embedding
