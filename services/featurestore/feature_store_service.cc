#include "services/featurestore/feature_store_service.h"

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "featurestore/active_model_worker.h"
#include "services/clients/embedding_client.h"
#include "services/featurestore/feature_store_grpc.h"

namespace palate::services {
namespace {

// How long a purge waits for the embedding service.
constexpr absl::Duration kDropLimit = absl::Seconds(5);

// Holds the embedding workers, which run from their construction to their destruction: creates them
// once the server has started, and destroys them before the server stops. Thread-safe.
class WorkerSlot {
 public:
  WorkerSlot(featurestore::FeatureStore* store, ItemEmbedderClient* embedder,
             featurestore::EmbeddingWorkerOptions options)
      : store_(store), embedder_(embedder), options_(options) {}

  void Start() {
    MutexLock lock(mutex_);
    worker_ = std::make_shared<featurestore::EmbeddingWorker>(store_, embedder_, options_);
    active_ = std::make_shared<featurestore::ActiveModelWorker>(
        store_, embedder_,
        featurestore::ActiveModelWorkerOptions{.batch_items = options_.batch_items,
                                               .retry_min = options_.retry_min,
                                               .retry_max = options_.retry_max,
                                               .rescan = options_.rescan});
  }
  void Stop() {
    embedder_->Cancel();
    std::shared_ptr<featurestore::EmbeddingWorker> worker;
    std::shared_ptr<featurestore::ActiveModelWorker> active;
    MutexLock lock(mutex_);
    std::swap(worker, worker_);
    std::swap(active, active_);
  }
  featurestore::EmbeddingWorker::Stats stats() const {
    MutexLock lock(mutex_);
    return worker_ != nullptr ? worker_->stats() : featurestore::EmbeddingWorker::Stats();
  }

 private:
  featurestore::FeatureStore* const store_;
  ItemEmbedderClient* const embedder_;
  const featurestore::EmbeddingWorkerOptions options_;
  mutable Mutex mutex_;
  std::shared_ptr<featurestore::EmbeddingWorker> worker_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<featurestore::ActiveModelWorker> active_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void FeatureStoreConfig::Bind(Config& config) {
  config.AddString("featurestore.dir", &store.dir,
                   "Data folder. Required. Only one process at a time may open it.");
  config.AddBool("featurestore.relaxed_durability", &relaxed_durability,
                 "Acknowledge writes before they are on disk: they survive a crash of the process, "
                 "but not a power failure.");
  config.AddString("featurestore.embedding", &embedding,
                   "Address of the embedding service, host:port.");

  config.AddInt("featurestore.read_threads", &read_threads, 1, 256, "Reads in progress.");
  config.AddInt("featurestore.write_threads", &write_threads, 1, 256,
                "Writes in progress; concurrent writes share disk syncs.");
  config.AddInt("featurestore.queue_limit", &queue_limit, 1, 100'000,
                "Calls that wait for a thread; more are refused.");
  config.AddInt("featurestore.max_watchers", &max_watchers, 1, 10'000,
                "WatchChanges streams that may be open; more are refused.");

  config.AddMilliseconds("featurestore.embedding_timeout_ms", &embedding_timeout, 100, 3'600'000,
                         "How long embedding one batch may take.");
  config.AddInt("featurestore.embedding_batch_items", &worker.batch_items, 1, 512,
                "Items in one call to the embedding service.");

  config.AddInt64(
      "featurestore.feed_max_entries", &store.feed_max_entries, 1000, int64_t{1} << 40,
      "Changes kept per catalog; readers that are further behind must list all items again.");
  config.AddMilliseconds("featurestore.feed_max_age_ms", &store.feed_max_age, 60'000,
                         31'536'000'000, "How long changes are kept.");
  config.AddMilliseconds("featurestore.max_event_lateness_ms", &store.max_event_lateness, 0,
                         3'153'600'000'000,
                         "Maximum age of an event when it is written; older events are refused "
                         "unless the request allows them.");
  config.AddMilliseconds(
      "featurestore.max_event_lead_ms", &store.max_event_lead, 0, 31'536'000'000,
      "How far the time of an event may lie in the future; later events are refused.");

  config.AddInt64("featurestore.block_cache_bytes", &store.block_cache_bytes, 1 << 20,
                  int64_t{1} << 40, "Bytes of memory for caching data read from disk.");
  config.AddInt64("featurestore.write_buffer_bytes", &store.write_buffer_bytes, 1 << 20,
                  int64_t{1} << 34,
                  "Bytes of memory per column family for data that is not written to tables yet.");
}

absl::StatusOr<ServiceSet> MakeFeatureStoreServices(const FeatureStoreConfig& config,
                                                    ChannelProvider embedding) {
  if (config.store.dir.empty())
    return absl::InvalidArgumentError("featurestore.dir is empty; it must name the data folder");

  featurestore::StoreOptions options = config.store;
  options.durability = config.relaxed_durability ? featurestore::Durability::kRelaxed
                                                 : featurestore::Durability::kSync;

  ServiceSet set;
  PALATE_ASSIGN_OR_RETURN(auto opened, featurestore::FeatureStore::Open(std::move(options)));
  featurestore::FeatureStore* store = set.Own(std::move(opened));
  auto* queries = set.Own(std::make_unique<QueryVectorsClient>(embedding));
  auto* embedder =
      set.Own(std::make_unique<ItemEmbedderClient>(std::move(embedding), config.embedding_timeout));
  auto* worker = set.Own(std::make_unique<WorkerSlot>(store, embedder, config.worker));
  auto* watch = set.Own(std::make_unique<WatchStreams>(*store, config.max_watchers));

  ThreadPool* reads =
      set.Own(std::make_unique<ThreadPool>("store-reads", config.read_threads, config.queue_limit));
  ThreadPool* writes = set.Own(
      std::make_unique<ThreadPool>("store-writes", config.write_threads, config.queue_limit));

  set.Add(std::make_unique<FeatureStoreGrpc>(
      *store, [worker] { return worker->stats(); },
      [queries](const std::string& catalog, const std::string& user_id,
                const CallContext& context) {
        return queries->DropUser(catalog, user_id, context.WithDeadline(absl::Now() + kDropLimit));
      },
      *watch, *reads, *writes));
  set.Add(std::make_unique<CatalogGrpc>(*store, *writes));

  set.OnStarted([worker](const Server&) { worker->Start(); });
  set.OnStopping([worker, watch] {
    watch->Stop();
    worker->Stop();
  });
  return set;
}

absl::StatusOr<ServiceSet> MakeRemoteFeatureStoreServices(const FeatureStoreConfig& config) {
  return MakeFeatureStoreServices(config, TcpChannel(config.embedding));
}

}  // namespace palate::services
