#include "services/embedding/embedding_service.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/embedding/embed_path.h"
#include "services/embedding/embedding_grpc.h"

namespace palate::services {
namespace {

constexpr int kQuickThreads = 2;

void BindModels(EmbeddingConfig& own, Config& config) {
  config.AddMap("embedding.models", &own.models,
                "Model folders by the model name that requests and catalogs use.");
  config.AddString("embedding.default_model", &own.default_model,
                   "The model for requests and catalogs that name none.");

  config.AddString("embedding.dtype", &own.load.dtype,
                   "Numeric type of the models: fp32, bf16, fp16 or auto (the fastest; on a "
                   "processor with instructions for bf16 it is measured once).");
  config.AddString(
      "embedding.device", &own.load.device,
      "Device of the models: cpu, cuda, cuda:1 or auto (the first GPU, if there is one).");

  config.AddInt64("embedding.max_text_tokens", &own.load.max_text_tokens, 0, 1 << 20,
                  "Maximum tokens of a text; longer texts are cut off. 0: the model's limit.");
  config.AddInt64("embedding.min_pixels", &own.load.min_pixels, 0, 1 << 28,
                  "Minimum pixels of an image for a vision-language model; smaller images are "
                  "scaled up. 0: the model's default.");
  config.AddInt64("embedding.max_pixels", &own.load.max_pixels, 0, 1 << 28,
                  "Maximum pixels of an image for a vision-language model; larger images are "
                  "scaled down. 0: the model's default.");
  config.AddMap(
      "embedding.adapters", &own.adapters,
      "Folders of LoRA adapters by model name; an adapter is merged when its model is loaded.");
}

void BindEmbedder(embedding::EmbedderOptions& options, Config& config) {
  config.AddInt64("embedding.batch_tokens", &options.batch_tokens, 64, 1 << 20,
                  "Size of one batch in tokens; an image counts its patches.");
  config.AddDouble("embedding.bulk_share", &options.bulk_share, 0, 1,
                   "Share of a batch for bulk work while interactive work waits.");

  config.AddInt64("embedding.max_queued_tokens_interactive", &options.max_queued_tokens_interactive,
                  1024, int64_t{1} << 32,
                  "Maximum tokens that wait in the interactive lane; more are refused.");
  config.AddInt64("embedding.max_queued_tokens_bulk", &options.max_queued_tokens_bulk, 1024,
                  int64_t{1} << 32, "Maximum tokens that wait in the bulk lane; more are refused.");

  config.AddInt("embedding.prepare_threads", &options.prepare_threads, 1, 256,
                "Threads per model that tokenize texts and decode and resize images.");
  config.AddInt("embedding.max_concurrent_decodes", &options.max_concurrent_decodes, 1, 64,
                "Images decoded at the same time; each may take 3 bytes per pixel.");
  config.AddInt("embedding.intra_op_threads", &options.intra_op_threads, 0, 256,
                "Threads for one matrix operation; 0: LibTorch's default.");
}

void BindCache(EmbeddingConfig& own, Config& config) {
  config.AddString(
      "embedding.cache.dir", &own.item_cache.dir,
      "Folder of the cache of item vectors, so that content is embedded once. Only one process at "
      "a time may open it. Empty: no cache (palate serve: <data_dir>/embedding-cache).");
  config.AddInt64(
      "embedding.cache.max_bytes", &own.item_cache.max_bytes, embedding::ItemCache::kMinBytes,
      int64_t{1} << 44,
      "Maximum size of the folder in bytes; beyond it, the oldest vectors are removed.");

  config.AddInt64("embedding.cache.query_max_bytes", &own.query_cache.max_bytes, 0,
                  int64_t{1} << 40,
                  "Bytes of memory for vectors of users' queries, which are never written to disk. "
                  "0: no cache.");
  config.AddMilliseconds("embedding.cache.query_life_ms", &own.query_cache.life, 1,
                         absl::ToInt64Milliseconds(embedding::QueryCache::kLongestLife),
                         "How long a query's vectors are cached at most.");
}

void BindUri(EmbeddingConfig& own, Config& config) {
  config.AddString("embedding.uri.allowed_hosts", &own.allowed_hosts,
                   "Hosts that images may be fetched from, separated by commas: img.example.com, "
                   "*.cdn.example.com (all its subdomains), with :port unless it is the scheme's "
                   "default. Empty: images by URI are disabled.");

  config.AddBool("embedding.uri.allow_http", &own.fetch.allow_http,
                 "Whether to fetch http URIs as well as https.");
  config.AddInt64("embedding.uri.max_bytes", &own.fetch.max_bytes, 1024, kMaxImageBytes,
                  "Largest image that is fetched, in bytes.");
  config.AddMilliseconds(
      "embedding.uri.timeout_ms", &own.fetch.timeout, 10, 120'000,
      "How long fetching one image may take, from the DNS lookup to the last byte.");
  config.AddInt("embedding.uri.max_concurrent", &own.fetch.max_concurrent, 1, 256,
                "Images fetched at the same time.");
  config.AddInt64("embedding.uri.max_bytes_held", &own.fetch.max_bytes_held, 1 << 20,
                  int64_t{1} << 40,
                  "Bytes of memory for fetched images that are not embedded yet; calls wait when "
                  "it is full. At least 16 times embedding.uri.max_bytes is used.");

  config.AddInt(
      "embedding.uri.max_calls", &own.max_uri_calls, 1, 256,
      "Calls with URIs in progress; more are refused, so that other calls find a thread.");
  config.AddBool("embedding.uri.unsafe_admit_loopback", &own.fetch.admit_loopback,
                 "For tests only: also fetch from addresses of this machine. Gives everyone who "
                 "can write items access to services that trust local callers.");
}

void BindServing(EmbeddingConfig& own, Config& config) {
  config.AddInt("embedding.threads", &own.threads, 2, 256,
                "Calls in progress; they wait for the model.");
  config.AddInt("embedding.queue_limit", &own.queue_limit, 1, 100'000,
                "Calls that wait for a thread; more are refused.");
  config.AddInt(
      "embedding.max_bulk_calls", &own.max_bulk_calls, 1, 256,
      "Bulk calls in progress; more are refused, so that interactive calls find a thread.");

  config.AddMilliseconds("embedding.stuck_after_ms", &own.stuck_after, 10, 86'400'000,
                         "Health turns NOT_SERVING when a model that has work makes no progress "
                         "for this long. Must exceed the time of the largest batch.");

  config.AddInt("embedding.stream.max_streams", &own.streams.max_streams, 1, 10'000,
                "EmbedStream calls that may be open; more are refused.");
  config.AddInt("embedding.stream.threads", &own.streams.threads, 1, 256,
                "Threads per lane for all streams; they wait for the model.");
  config.AddInt("embedding.stream.max_inputs", &own.streams.max_inputs, 1, 100'000,
                "Unanswered inputs of one stream; beyond this, the stream is not read.");
  config.AddInt64("embedding.stream.max_bytes", &own.streams.max_bytes, 1024, int64_t{1} << 32,
                  "Bytes of one stream's unanswered inputs; beyond this, the stream is not read.");
}

// OK while the engine makes progress or has nothing to do.
absl::Status CheckEngine(const std::string& name, const embedding::Embedder& embedder,
                         absl::Duration stuck_after) {
  const absl::Duration stalled = embedder.stats().stalled_for();

  if (stalled < stuck_after) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("embedding model ", name, " is stuck: it has made no progress for ",
                   absl::ToInt64Milliseconds(stalled), " ms (embedding.stuck_after_ms)"));
}

// Creates the caches and the fetcher that are configured.
absl::Status MakeParts(const EmbeddingConfig& config, ServiceSet& set, EmbedPath::Parts& parts) {
  if (!config.item_cache.dir.empty()) {
    auto items = embedding::ItemCache::Open(config.item_cache);
    if (!items.ok()) return Annotate(items.status(), "embedding.cache.dir");
    parts.items = set.Own(*std::move(items));
  }

  if (config.query_cache.max_bytes > 0) {
    const Clock* clock = set.Own(std::make_unique<SystemClock>());
    parts.queries = set.Own(std::make_unique<embedding::QueryCache>(config.query_cache, *clock));
  }

  embedding::FetchOptions fetch = config.fetch;
  auto hosts = embedding::HostList::Parse(config.allowed_hosts);
  if (!hosts.ok()) return Annotate(hosts.status(), "embedding.uri.allowed_hosts");
  fetch.allowed_hosts = *std::move(hosts);
  if (!fetch.allowed_hosts.empty())
    parts.fetcher = set.Own(std::make_unique<embedding::ImageFetcher>(fetch));
  if (fetch.admit_loopback)
    spdlog::warn(
        "embedding.uri.unsafe_admit_loopback is set: URIs can reach services of this machine");

  parts.max_uri_calls = config.max_uri_calls;
  return absl::OkStatus();
}

}  // namespace

void EmbeddingConfig::Bind(Config& config) {
  BindModels(*this, config);
  BindEmbedder(embedder, config);
  BindServing(*this, config);
  BindCache(*this, config);
  BindUri(*this, config);
}

absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config) {
  for (const auto& [name, folder] : config.adapters) {
    if (!config.models.contains(name)) {
      return absl::FailedPreconditionError(absl::StrCat("embedding.adapters has ", folder, " for ",
                                                        name,
                                                        ", which embedding.models does not name"));
    }
  }

  EmbeddingModels models;
  for (const auto& [name, folder] : config.models) {
    embedding::EmbeddingModelOptions options = config.load;
    // Beside the vectors, whose keys depend on the type.
    if (!config.item_cache.dir.empty())
      options.race_file = config.item_cache.dir + ".numeric-types";
    if (const auto adapter = config.adapters.find(name); adapter != config.adapters.end())
      options.adapter = adapter->second;
    auto model = embedding::EmbeddingModel::Load(folder, options);
    if (!model.ok()) return Annotate(model.status(), "embedding model ", name, " in ", folder);
    models[name] = *std::move(model);
  }
  return MakeEmbeddingServices(config, models);
}

absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config,
                                                 const EmbeddingModels& models) {
  if (!models.contains(config.default_model)) {
    return absl::FailedPreconditionError(absl::StrCat("embedding.default_model is ",
                                                      config.default_model,
                                                      ", which embedding.models does not name"));
  }

  ServiceSet set;
  EmbedPath::Parts parts;
  parts.default_model = config.default_model;
  PALATE_RETURN_IF_ERROR(MakeParts(config, set, parts));
  for (const auto& [name, model] : models) {
    PALATE_ASSIGN_OR_RETURN(auto embedder, embedding::Embedder::Create(model, config.embedder));
    parts.embedders[name] = set.Own(std::move(embedder));
  }

  const std::map<std::string, embedding::Embedder*> embedders = parts.embedders;
  EmbedPath* path = set.Own(std::make_unique<EmbedPath>(std::move(parts)));
  EmbedStreams* streams = set.Own(std::make_unique<EmbedStreams>(*path, config.streams));
  ThreadPool* pool =
      set.Own(std::make_unique<ThreadPool>("embedding", config.threads, config.queue_limit));
  ThreadPool* quick =
      set.Own(std::make_unique<ThreadPool>("embedding-quick", kQuickThreads, config.queue_limit));

  const RpcService* service = set.Add(
      std::make_unique<EmbeddingGrpc>(*path, *streams, config.max_bulk_calls, *pool, *quick));
  for (const auto& [name, embedder] : embedders) {
    set.AddHealthCheck(service,
                       [name = name, embedder = embedder, stuck_after = config.stuck_after] {
                         return CheckEngine(name, *embedder, stuck_after);
                       });
  }

  set.OnStopping([streams] { streams->Stop(); });
  return set;
}

}  // namespace palate::services
