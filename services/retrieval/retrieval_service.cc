#include "services/retrieval/retrieval_service.h"

#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "retrieval/faiss_segment.h"
#include "services/clients/change_source_client.h"
#include "services/retrieval/retrieval_grpc.h"

namespace palate::services {

void RetrievalConfig::Bind(Config& config) {
  config.AddString("retrieval.feature_store", &feature_store,
                   "Address of the feature store, host:port.");
  config.AddInt("retrieval.threads", &threads, 1, 256,
                "Calls in progress; searches run on search_threads.");
  config.AddInt("retrieval.queue_limit", &queue_limit, 1, 100'000,
                "Calls that wait for a thread; more are refused.");
  config.AddMilliseconds("retrieval.call_timeout_ms", &call_timeout, 100, 600'000,
                         "How long one call to the feature store may take.");

  config.AddInt("retrieval.search_threads", &indexes.search_threads, 1, 256,
                "Threads that search; each search uses one.");
  config.AddString(
      "retrieval.snapshot_dir", &indexes.snapshot_dir,
      "Folder of index snapshots. Empty: none are written, and every start lists all items.");
  config.AddMilliseconds("retrieval.snapshot_interval_ms", &indexes.snapshot_interval, 0,
                         86'400'000,
                         "How often a snapshot is written if something has changed. 0: only at "
                         "shutdown and on request.");

  config.AddInt64("retrieval.delta_rows", &indexes.index.delta_rows, 1, 1'000'000,
                  "Segments with fewer rows belong to the delta.");
  config.AddInt64("retrieval.max_segment_rows", &indexes.index.max_segment_rows, 1,
                  int64_t{1} << 32, "Maximum rows of a segment that merging creates.");

  config.AddMilliseconds("retrieval.retire_after_ms", &indexes.index.retire_after, 0, 86'400'000,
                         "How long vectors of a replaced model can still be searched.");
  config.AddMilliseconds("retrieval.watch_timeout_ms", &follower.watch_timeout, 100, 600'000,
                         "How long one wait of the follower for changes may take.");
}

absl::StatusOr<ServiceSet> MakeRetrievalServices(const RetrievalConfig& config,
                                                 ChannelProvider feature_store) {
  ServiceSet set;
  SystemClock* clock = set.Own(std::make_unique<SystemClock>());

  PALATE_ASSIGN_OR_RETURN(
      auto made, retrieval::IndexSet::Create(config.indexes, retrieval::FaissSegments(), *clock));
  retrieval::IndexSet* indexes = set.Own(std::move(made));
  auto* source =
      set.Own(std::make_unique<ChangeSourceClient>(std::move(feature_store), config.call_timeout));
  auto* follower =
      set.Own(std::make_unique<retrieval::Follower>(*source, *indexes, *clock, config.follower));

  ThreadPool* pool =
      set.Own(std::make_unique<ThreadPool>("retrieval", config.threads, config.queue_limit));
  set.Add(std::make_unique<RetrievalGrpc>(*indexes, *follower, *pool));

  set.OnStarted([follower](const Server&) { follower->Start(); });
  set.OnStopping([follower] { follower->Stop(); });
  return set;
}

absl::StatusOr<ServiceSet> MakeRemoteRetrievalServices(const RetrievalConfig& config) {
  return MakeRetrievalServices(config, TcpChannel(config.feature_store));
}

}  // namespace palate::services
