#include "embedding/fetch/image_fetcher.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
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
constexpr char kWork[] = "embedding";  // the name that callers know; fetching is a part of it
constexpr int kLongestPollMs = 60'000;
constexpr long kOk = 200;  // libcurl uses long for status codes

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// One component of a parsed URI; empty when the URI lacks it.
std::string Part(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

absl::Status TooLarge(int64_t limit) {
  return absl::FailedPreconditionError(absl::StrCat("the image is larger than ", limit, " bytes"));
}

// Converts the status code of the HTTP response.
absl::Status FromHttpStatus(long status) {
  if (status == kOk) return absl::OkStatus();
  const std::string message = absl::StrCat("the server answered with status ", status);
  if (status >= 300 && status < 400)
    return absl::FailedPreconditionError(message + "; redirects are not followed");
  const bool passing = status >= 500 || status == 408 || status == 425 || status == 429;
  return passing ? absl::UnavailableError(message) : absl::NotFoundError(message);
}

// Runs one transfer until it ends, and returns its result, or until the call is cancelled. libcurl
// ends it after CURLOPT_TIMEOUT_MS.
absl::StatusOr<CURLcode> RunTransfer(CURLM* multi, CURL* easy, const CallContext& context) {
  const CancelRegistration wake = context.OnCancel([multi] { curl_multi_wakeup(multi); });
  CURLMcode code = curl_multi_add_handle(multi, easy);
  const absl::Cleanup remove = [&] { curl_multi_remove_handle(multi, easy); };

  // The network, libcurl's timers and a cancellation end the wait. curl_multi_wakeup also ends a
  // wait that begins after it.
  int running = 1;
  while (code == CURLM_OK && running > 0) {
    if (context.cancelled()) return context.Check(kWork);
    code = curl_multi_perform(multi, &running);
    if (code == CURLM_OK && running > 0)
      code = curl_multi_poll(multi, nullptr, 0, kLongestPollMs, nullptr);
  }
  if (code != CURLM_OK)
    return absl::UnavailableError(absl::StrCat("fetching failed: ", curl_multi_strerror(code)));

  int waiting = 0;
  const CURLMsg* const message = curl_multi_info_read(multi, &waiting);
  if (message == nullptr || message->msg != CURLMSG_DONE)
    return absl::InternalError("fetching failed: the transfer has no result");
  return message->data.result;
}

}  // namespace

// Counts the bytes that all calls may hold. Thread-safe.
class ImageFetcher::Budget {
 public:
  explicit Budget(int64_t bytes) : free_(bytes) {}

  // Waits for room. A call reserves all that it may need at once, so that two calls never wait for
  // each other.
  absl::Status Reserve(int64_t bytes, const CallContext& context) {
    const CancelRegistration wake = context.OnCancel([this] {
      const MutexLock lock(mutex_);
      released_.SignalAll();
    });

    const MutexLock lock(mutex_);
    while (free_ < bytes) {
      const absl::Time now = absl::Now();
      PALATE_RETURN_IF_ERROR(context.Check(kWork, now));
      released_.WaitFor(mutex_, context.deadline - now);
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

// The state of one fetch, used by libcurl's callbacks.
struct ImageFetcher::Transfer {
  const FetchOptions& options;
  CallContext context;  // its deadline is the fetch's
  std::unique_ptr<CURLU, UrlDeleter> url{curl_url()};
  std::string body = {};
  size_t header_bytes = 0;
  bool too_large = false;
  bool address_refused = false;

  // Checks the parsed URI object that libcurl then fetches, so that no second parser can interpret
  // the URI differently.
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
  // Creates the socket for one address, to which libcurl then connects.
  static curl_socket_t OnSocket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(self);
    const bool admitted = IsPublicAddress(address->addr) ||
                          (transfer.options.admit_loopback && IsLoopbackAddress(address->addr));
    if (!admitted) {
      transfer.address_refused = true;
      return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }
};

absl::Status ImageFetcher::Transfer::CheckUri(const std::string& uri) {
  if (uri.size() > kMaxUriBytes)
    return InvalidField("", absl::StrCat("has ", uri.size(), " bytes"),
                        absl::StrCat("at most ", kMaxUriBytes));
  if (uri.find('\0') != std::string::npos ||
      curl_url_set(url.get(), CURLUPART_URL, uri.c_str(), 0) != CURLUE_OK) {
    return InvalidField("", absl::StrCat("is ", QuoteForMessage(uri)),
                        "a URI with a scheme and a host");
  }

  const std::string scheme = Part(url.get(), CURLUPART_SCHEME);
  if (scheme != "https" && !(scheme == "http" && options.allow_http)) {
    return InvalidField("", absl::StrCat("has the scheme ", QuoteForMessage(scheme)),
                        options.allow_http ? "https or http" : "https");
  }

  if (!Part(url.get(), CURLUPART_USER).empty() || !Part(url.get(), CURLUPART_PASSWORD).empty()) {
    return InvalidField("", "contains a user or a password", "a URI without credentials");
  }
  if (!Part(url.get(), CURLUPART_ZONEID).empty())
    return InvalidField("", "contains a zone", "a URI without a zone");

  const std::string host = Part(url.get(), CURLUPART_HOST);
  int port = 0;
  const bool has_port =
      absl::SimpleAtoi(Part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT), &port);
  if (!has_port || !options.allowed_hosts.Allows(host, port, scheme == "https" ? 443 : 80)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the host ", QuoteForMessage(host), " with port ", port, " is not allowed"));
  }
  return absl::OkStatus();
}

ImageFetcher::ImageFetcher(const FetchOptions& options)
    : options_(options),
      budget_(std::make_shared<Budget>(
          std::max(options.max_bytes_held, static_cast<int64_t>(kMaxUris) * options.max_bytes))),
      pool_("image-fetch", options.max_concurrent,
            static_cast<size_t>(options.max_bytes_held / options.max_bytes) + kMaxUris) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialized);  // curl_easy_init reports a failure
}

ImageFetcher::~ImageFetcher() = default;

absl::StatusOr<ImageFetcher::Batch> ImageFetcher::Fetch(const std::vector<std::string>& uris,
                                                        const CallContext& context) {
  int64_t held = static_cast<int64_t>(uris.size()) * options_.max_bytes;
  PALATE_RETURN_IF_ERROR(budget_->Reserve(held, context));
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
    const absl::Status queued = pool_.Submit([&, i] { finish(i, FetchOne(uris[i], context)); });
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
  batch.memory =
      std::shared_ptr<void>(nullptr, [budget = budget_, kept](void*) { budget->Release(kept); });
  PALATE_RETURN_IF_ERROR(context.Check(kWork));
  return batch;
}

absl::StatusOr<std::string> ImageFetcher::FetchOne(const std::string& uri,
                                                   const CallContext& context) const {
  Transfer transfer{options_, context.WithDeadline(absl::Now() + options_.timeout)};
  if (transfer.url == nullptr) return absl::ResourceExhaustedError("no memory for a fetch");
  PALATE_RETURN_IF_ERROR(transfer.CheckUri(uri));
  PALATE_RETURN_IF_ERROR(Perform(transfer));
  return std::move(transfer.body);
}

void ImageFetcher::Configure(void* easy, absl::Duration timeout, Transfer& transfer) const {
  CURL* const curl = easy;
  curl_easy_setopt(curl, CURLOPT_CURLU, transfer.url.get());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // ignore the environment's proxy too
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "palate");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  // Does not wait for a name lookup that exceeds the timeout.
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(timeout)));
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options_.max_bytes));

  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OnSocket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
}

absl::Status ImageFetcher::Perform(Transfer& transfer) const {
  // Rounded up, because a fetch that ends before the call's deadline would be reported as the
  // server's fault.
  const absl::Duration left =
      absl::Ceil(transfer.context.deadline - absl::Now(), absl::Milliseconds(1));
  if (left <= absl::ZeroDuration())
    return absl::UnavailableError("the image did not arrive in time");

  const std::unique_ptr<CURLM, MultiDeleter> multi(curl_multi_init());
  const std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (easy == nullptr || multi == nullptr)
    return absl::ResourceExhaustedError("no memory for a fetch");
  Configure(easy.get(), left, transfer);

  const absl::StatusOr<CURLcode> ended = RunTransfer(multi.get(), easy.get(), transfer.context);
  PALATE_RETURN_IF_ERROR(ended.status());

  if (transfer.too_large || *ended == CURLE_FILESIZE_EXCEEDED) return TooLarge(options_.max_bytes);
  if (*ended == CURLE_OPERATION_TIMEDOUT)
    return absl::UnavailableError("the image did not arrive in time");
  // If one of several addresses was refused and another did not answer, the operator needs to know
  // about the refusal.
  if (*ended != CURLE_OK && transfer.address_refused) {
    return absl::FailedPreconditionError("the host's address is not public");
  }
  if (*ended != CURLE_OK)
    return absl::UnavailableError(absl::StrCat("fetching failed: ", curl_easy_strerror(*ended)));

  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  return FromHttpStatus(status);
}

void ImageFetcher::Count(const absl::StatusOr<std::string>& image) {
  if (image.ok()) {
    ++fetched_;
    bytes_ += static_cast<int64_t>(image->size());
  } else if (absl::IsFailedPrecondition(image.status()) ||
             absl::IsInvalidArgument(image.status())) {
    ++refused_;
  } else {
    ++failed_;
  }
}

FetchStats ImageFetcher::stats() const { return {fetched_, bytes_, refused_, failed_}; }

}  // namespace palate::embedding
