#include "services/local/local_stack.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/status.h"

namespace palate::services {
namespace {

namespace fs = std::filesystem;

// A channel to the server that runs the services, available once it has started.
ChannelProvider OwnChannel(const std::shared_ptr<const Server*>& server) {
  return [server] { return (*server)->InProcessChannel(); };
}

}  // namespace

void StackConfig::Bind(Config& config) {
  config.AddString("data_dir", &data_dir,
                   "Data folder; created when absent. Only one process at a time may open it.");
  server.Bind(config);
  gateway.Bind(config);
  embedding.Bind(config);
  retrieval.Bind(config);
  ranking.Bind(config);
  feature_store.Bind(config);
}

absl::StatusOr<ServiceSet> MakeStackServices(const StackConfig& config) {
  FeatureStoreConfig feature_store = config.feature_store;
  RetrievalConfig retrieval = config.retrieval;
  EmbeddingConfig embedding = config.embedding;
  if (config.data_dir.empty() && feature_store.store.dir.empty()) {
    return absl::InvalidArgumentError("data_dir is empty; it must name the data folder");
  }

  if (feature_store.store.dir.empty())
    feature_store.store.dir = (fs::path(config.data_dir) / "store").string();
  if (retrieval.indexes.snapshot_dir.empty() && !config.data_dir.empty()) {
    retrieval.indexes.snapshot_dir = (fs::path(config.data_dir) / "index").string();
  }
  if (embedding.item_cache.dir.empty() && !config.data_dir.empty()) {
    embedding.item_cache.dir = (fs::path(config.data_dir) / "embedding-cache").string();
  }

  std::error_code error;
  if (!config.data_dir.empty()) fs::create_directories(config.data_dir, error);
  if (error)
    return absl::FailedPreconditionError(
        absl::StrCat("data_dir ", config.data_dir, ": ", error.message()));

  const auto server = std::make_shared<const Server*>(nullptr);
  const ChannelProvider here = OwnChannel(server);
  ServiceSet set;
  set.OnStarted([server](const Server& started) { *server = &started; });

  // The store first: an error for a folder that another process has open is returned before models
  // are loaded.
  PALATE_ASSIGN_OR_RETURN(ServiceSet store_services, MakeFeatureStoreServices(feature_store, here));
  set.Merge(std::move(store_services));
  PALATE_ASSIGN_OR_RETURN(ServiceSet embedding_services, MakeEmbeddingServices(embedding));
  set.Merge(std::move(embedding_services));
  PALATE_ASSIGN_OR_RETURN(ServiceSet ranking_services, MakeRankingServices(config.ranking));
  set.Merge(std::move(ranking_services));
  PALATE_ASSIGN_OR_RETURN(ServiceSet retrieval_services, MakeRetrievalServices(retrieval, here));
  set.Merge(std::move(retrieval_services));
  PALATE_ASSIGN_OR_RETURN(ServiceSet recommender_services,
                          MakeRecommenderServices(config.gateway, {here, here, here, here}));
  set.Merge(std::move(recommender_services));
  return set;
}

absl::StatusOr<std::unique_ptr<LocalStack>> LocalStack::Start(const StackConfig& config) {
  PALATE_ASSIGN_OR_RETURN(ServiceSet services, MakeStackServices(config));
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Server> server,
                          Server::Start(config.server, std::move(services)));
  return std::unique_ptr<LocalStack>(new LocalStack(std::move(server)));
}

absl::StatusOr<std::unique_ptr<LocalStack>> LocalStack::Open(const std::string& data_dir,
                                                             const std::string& config_path,
                                                             const std::string& listen) {
  StackConfig stack;
  Config config;
  stack.Bind(config);
  if (!config_path.empty()) PALATE_RETURN_IF_ERROR(config.LoadFile(config_path));
  PALATE_RETURN_IF_ERROR(
      config.LoadEnvironment([](const char* name) { return std::getenv(name); }));

  stack.data_dir = data_dir;
  stack.server.listen = listen;
  return Start(stack);
}

}  // namespace palate::services
