#include "embedding/fetch/image_fetcher.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "embedding/fetch/address.h"

namespace palate::embedding {
namespace {

constexpr size_t kMaxUriBytes = 4096;
constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr long kOk = 200;  // what libcurl calls a status is a long

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

// One part of a parsed URI; empty when it has none.
std::string Part(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

absl::Status TooLarge(int64_t limit) { return absl::FailedPreconditionError(absl::StrCat("the picture is larger than ", limit, " bytes")); }

// What the server's status says about the picture.
absl::Status FromHttpStatus(long status) {
  if (status == kOk) return absl::OkStatus();
  const std::string message = absl::StrCat("the server answered with status ", status);
  if (status >= 300 && status < 400) return absl::FailedPreconditionError(message + "; redirects are not followed");
  const bool passing = status >= 500 || status == 408 || status == 425 || status == 429;
  return passing ? absl::UnavailableError(message) : absl::NotFoundError(message);
}

}  // namespace

// Bytes promised to calls. Thread-safe.
class ImageFetcher::Budget {
 public:
  explicit Budget(int64_t bytes) : free_(bytes) {}

  // Waits for room. A call reserves all that it may need at once, so that two calls never wait for each other.
  absl::Status Reserve(int64_t bytes, absl::Time deadline, const CancelFlag* cancelled) {
    const MutexLock lock(mutex_);
    while (free_ < bytes) {
      if (cancelled != nullptr && *cancelled) return absl::CancelledError("embedding was cancelled");
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("embedding did not finish before the deadline");
      released_.WaitFor(mutex_, cancelled == nullptr ? left : std::min(left, absl::Milliseconds(20)));
    }
    free_ -= bytes;
    return absl::OkStatus();
  }

  void Release(int64_t bytes) {
    const MutexLock lock(mutex_);
    free_ += bytes;
    released_.SignalAll();
  }

 private:
  Mutex mutex_;
  CondVar released_;
  int64_t free_ ABSL_GUARDED_BY(mutex_);
};

// One fetch as libcurl's callbacks see it.
struct ImageFetcher::Transfer {
  const FetchOptions& options;
  const CancelFlag* cancelled;
  absl::Time deadline;
  std::unique_ptr<CURLU, UrlDeleter> url{curl_url()};
  std::string body = {};
  size_t header_bytes = 0;
  bool too_large = false;
  bool address_refused = false;

  // The URI's parts are checked on the very object that libcurl then fetches: there is no second parser to disagree.
  absl::Status CheckUri(const std::string& uri);

  static size_t OnBody(const char* data, size_t, size_t bytes, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (transfer.body.size() + bytes > static_cast<size_t>(transfer.options.max_bytes)) {
      transfer.too_large = true;
      return 0;  // ends the transfer
    }
    transfer.body.append(data, bytes);
    return bytes;
  }
  static size_t OnHeader(const char*, size_t, size_t bytes, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.header_bytes += bytes;
    return transfer.header_bytes > kMaxHeaderBytes ? 0 : bytes;
  }
  static int OnProgress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& transfer = *static_cast<Transfer*>(self);
    return transfer.cancelled != nullptr && *transfer.cancelled ? 1 : 0;
  }
  // Makes the socket for one address, which is the one that is connected to.
  static curl_socket_t OnSocket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(self);
    const bool admitted = IsPublicAddress(address->addr) || (transfer.options.admit_loopback && IsLoopbackAddress(address->addr));
    if (!admitted) {
      transfer.address_refused = true;
      return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }
};

absl::Status ImageFetcher::Transfer::CheckUri(const std::string& uri) {
  if (uri.size() > kMaxUriBytes)
    return InvalidField("", absl::StrCat("has ", uri.size(), " bytes"), absl::StrCat("at most ", kMaxUriBytes));
  if (uri.find('\0') != std::string::npos || curl_url_set(url.get(), CURLUPART_URL, uri.c_str(), 0) != CURLUE_OK) {
    return InvalidField("", absl::StrCat("is ", QuoteForMessage(uri)), "a URI with a scheme and a host");
  }
  const std::string scheme = Part(url.get(), CURLUPART_SCHEME);
  if (scheme != "https" && !(scheme == "http" && options.allow_http)) {
    return InvalidField("", absl::StrCat("has the scheme ", QuoteForMessage(scheme)), options.allow_http ? "https or http" : "https");
  }
  if (!Part(url.get(), CURLUPART_USER).empty() || !Part(url.get(), CURLUPART_PASSWORD).empty()) {
    return InvalidField("", "has a user or a password", "a URI without");
  }
  if (!Part(url.get(), CURLUPART_ZONEID).empty()) return InvalidField("", "has a zone", "a URI without");
  const std::string host = Part(url.get(), CURLUPART_HOST);
  int port = 0;
  const bool has_port = absl::SimpleAtoi(Part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT), &port);
  if (!has_port || !options.allowed_hosts.Allows(host, port, scheme == "https" ? 443 : 80)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the host ", QuoteForMessage(host), " with port ", port, " is not one that is allowed"));
  }
  return absl::OkStatus();
}

ImageFetcher::ImageFetcher(const FetchOptions& options)
    : options_(options),
      budget_(std::make_shared<Budget>(std::max(options.max_bytes_held, static_cast<int64_t>(kMaxUris) * options.max_bytes))),
      pool_("image-fetch", options.max_concurrent, static_cast<size_t>(options.max_bytes_held / options.max_bytes) + kMaxUris) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialized);  // curl_easy_init reports a failure again
}

ImageFetcher::~ImageFetcher() = default;

absl::StatusOr<ImageFetcher::Batch> ImageFetcher::Fetch(const std::vector<std::string>& uris, absl::Time deadline,
                                                        std::shared_ptr<const CancelFlag> cancelled) {
  int64_t held = static_cast<int64_t>(uris.size()) * options_.max_bytes;
  PALATE_RETURN_IF_ERROR(budget_->Reserve(held, deadline, cancelled.get()));
  Batch batch;
  batch.images.assign(uris.size(), absl::UnavailableError("was not fetched"));
  Mutex mutex;
  CondVar done;
  size_t running = uris.size();
  const auto finish = [&](size_t i, absl::StatusOr<std::string> image) {
    const MutexLock lock(mutex);
    batch.images[i] = std::move(image);
    --running;
    done.Signal();
  };
  for (size_t i = 0; i < uris.size(); ++i) {
    const absl::Status queued = pool_.Submit([&, i] { finish(i, FetchOne(uris[i], deadline, cancelled.get())); });
    if (!queued.ok()) finish(i, queued);
  }
  {
    const MutexLock lock(mutex);
    while (running > 0) done.Wait(mutex);
  }
  int64_t kept = 0;
  for (const absl::StatusOr<std::string>& image : batch.images) {
    Count(image);
    kept += image.ok() ? static_cast<int64_t>(image->size()) : 0;
  }
  budget_->Release(held - kept);
  batch.memory = std::shared_ptr<void>(nullptr, [budget = budget_, kept](void*) { budget->Release(kept); });
  if (cancelled != nullptr && *cancelled) return absl::CancelledError("embedding was cancelled");
  if (absl::Now() >= deadline) return absl::DeadlineExceededError("embedding did not finish before the deadline");
  return batch;
}

absl::StatusOr<std::string> ImageFetcher::FetchOne(const std::string& uri, absl::Time deadline, const CancelFlag* cancelled) const {
  Transfer transfer{options_, cancelled, std::min(deadline, absl::Now() + options_.timeout)};
  if (transfer.url == nullptr) return absl::ResourceExhaustedError("no memory for a fetch");
  PALATE_RETURN_IF_ERROR(transfer.CheckUri(uri));
  PALATE_RETURN_IF_ERROR(Perform(transfer));
  return std::move(transfer.body);
}

absl::Status ImageFetcher::Perform(Transfer& transfer) const {
  const std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (easy == nullptr) return absl::ResourceExhaustedError("no memory for a fetch");
  // Rounded up: a fetch that ends before the call's deadline would be told as the server's fault.
  const auto left = absl::ToInt64Milliseconds(absl::Ceil(transfer.deadline - absl::Now(), absl::Milliseconds(1)));
  if (left <= 0) return absl::UnavailableError("the picture did not come in time");
  CURL* const curl = easy.get();
  curl_easy_setopt(curl, CURLOPT_CURLU, transfer.url.get());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // also none from the environment
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "palate");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // does not wait for a look-up that takes longer than we have
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(left));
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options_.max_bytes));
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OnSocket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  const CURLcode code = curl_easy_perform(curl);
  if (transfer.too_large || code == CURLE_FILESIZE_EXCEEDED) return TooLarge(options_.max_bytes);
  if (code == CURLE_OPERATION_TIMEDOUT) return absl::UnavailableError("the picture did not come in time");
  // Of several addresses one may have been refused while another merely did not answer: the refusal is what the operator has to know.
  if (code != CURLE_OK && transfer.address_refused) {
    return absl::FailedPreconditionError("the host's address is not one of the public internet");
  }
  if (code != CURLE_OK) return absl::UnavailableError(absl::StrCat("fetching failed: ", curl_easy_strerror(code)));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return FromHttpStatus(status);
}

void ImageFetcher::Count(const absl::StatusOr<std::string>& image) {
  if (image.ok()) {
    ++fetched_;
    bytes_ += static_cast<int64_t>(image->size());
  } else if (absl::IsFailedPrecondition(image.status()) || absl::IsInvalidArgument(image.status())) {
    ++refused_;
  } else {
    ++failed_;
  }
}

FetchStats ImageFetcher::stats() const { return {fetched_, bytes_, refused_, failed_}; }

}  // namespace palate::embedding
