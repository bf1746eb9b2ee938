// The usage examples in the headers of services/runtime and services/convert, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "services/convert/types_convert.h"
#include "services/runtime/channel.h"
#include "services/runtime/client_call.h"
#include "services/runtime/config.h"
#include "services/runtime/forward.h"
#include "services/runtime/rpc_service.h"
#include "services/runtime/run_service.h"
#include "services/runtime/server.h"
#include "services/runtime/service_set.h"
#include "services/runtime/status_convert.h"
#include "services/runtime/wire_text.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace usage_examples {
namespace {

namespace pb = palate::catalog::v1;
namespace store_pb = palate::featurestore::v1;
using CatalogStub = pb::CatalogService::StubInterface::async_interface;
using StoreStub = store_pb::FeatureStoreService::StubInterface::async_interface;

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/services/runtime/usage_examples_test.cc");
}

class CatalogEcho final : public RpcService {
 public:
  explicit CatalogEcho(ThreadPool& pool) : RpcService("palate.catalog.v1.CatalogService", pool) {
    Unary("GetCatalog", this, &CatalogEcho::GetCatalog);
  }

 private:
  absl::Status GetCatalog(Call&, const pb::GetCatalogRequest& request,
                          pb::GetCatalogResponse& response) {
    response.mutable_catalog()->set_id(request.catalog());
    return absl::OkStatus();
  }
};

class CatalogRelay final : public RpcService {
 public:
  CatalogRelay(ChannelProvider store, ThreadPool& pool)
      : RpcService("palate.catalog.v1.CatalogService", pool),
        store_(std::move(store), "palate.catalog.v1.CatalogService") {
    Forward("GetCatalog", store_);
  }

 private:
  ForwardTarget store_;
};

// Forwards by an own handler, which the example of call.h shows.
class CatalogCaller final : public RpcService {
 public:
  CatalogCaller(ChannelProvider store, ThreadPool& pool)
      : RpcService("palate.catalog.v1.CatalogService", pool), store_(std::move(store)) {
    Unary("GetCatalog", this, &CatalogCaller::GetCatalog);
  }

 private:
  absl::Status GetCatalog(Call& call, const pb::GetCatalogRequest& request,
                          pb::GetCatalogResponse& response) {
    return CallUnary(store_.async(), &CatalogStub::GetCatalog, request, response, call.context());
  }

  LazyStub<pb::CatalogService> store_;
};

ServiceSet EchoServices() {
  ServiceSet services;
  ThreadPool* pool =
      services.Own(std::make_unique<ThreadPool>("echo", /*threads=*/2, /*queue_limit=*/16));
  const RpcService* echo = services.Add(std::make_unique<CatalogEcho>(*pool));
  services.AddHealthCheck(echo, [] { return absl::OkStatus(); });

  return services;
}

absl::StatusOr<std::unique_ptr<Server>> StartServer(ServiceSet services, std::string& address_out) {
  ServerConfig config;
  config.listen = "127.0.0.1:0";
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Server> server,
                          Server::Start(config, std::move(services)));
  const std::string address = absl::StrCat("127.0.0.1:", server->port());

  address_out = address;
  return server;
}

// The id of the catalog that the server at `channel` returns for "shop".
std::string Echo(const ChannelProvider& channel) {
  LazyStub<pb::CatalogService> stub(channel);
  pb::GetCatalogRequest request;
  request.set_catalog("shop");
  pb::GetCatalogResponse response;
  const absl::Status status = CallUnary(stub.async(), &CatalogStub::GetCatalog, request, response,
                                        {.deadline = absl::Now() + absl::Seconds(20)});
  EXPECT_TRUE(status.ok()) << status;
  return response.catalog().id();
}

TEST(RuntimeUsageExampleTest, Services) {
  ExpectExampleOf("services/runtime/rpc_service.h");
  ExpectExampleOf("services/runtime/service_set.h");
  ExpectExampleOf("services/runtime/server.h");

  std::string address;
  const auto server = StartServer(EchoServices(), address);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(Echo(TcpChannel(address)), "shop");
}

TEST(RuntimeUsageExampleTest, ForwardedCalls) {
  ExpectExampleOf("services/runtime/call.h");
  ExpectExampleOf("services/runtime/forward.h");

  std::string address;
  const auto target = StartServer(EchoServices(), address);
  ASSERT_TRUE(target.ok()) << target.status();

  for (const bool handler : {false, true}) {
    ServiceSet services;
    ThreadPool* pool = services.Own(std::make_unique<ThreadPool>("relay", 2, 16));
    if (handler) {
      services.Add(std::make_unique<CatalogCaller>(TcpChannel(address), *pool));
    } else {
      services.Add(std::make_unique<CatalogRelay>(TcpChannel(address), *pool));
    }
    std::string relay_address;
    const auto relay = StartServer(std::move(services), relay_address);
    ASSERT_TRUE(relay.ok()) << relay.status();
    EXPECT_EQ(Echo(TcpChannel(relay_address)), "shop");
  }
}

TEST(RuntimeUsageExampleTest, Channels) {
  ExpectExampleOf("services/runtime/channel.h");

  const pb::GetCatalogRequest request;
  pb::GetCatalogResponse response;
  const CallContext context{.deadline = absl::InfinitePast()};

  LazyStub<pb::CatalogService> catalogs(TcpChannel("127.0.0.1:7101"));
  const absl::Status status =
      CallUnary(catalogs.async(), &CatalogStub::GetCatalog, request, response, context);

  EXPECT_FALSE(status.ok());
}

absl::Status UseCalls(LazyStub<store_pb::FeatureStoreService>& stub, const CallContext& context,
                      int& changes) {
  const store_pb::GetItemsRequest request;
  store_pb::GetItemsResponse response;
  const store_pb::WatchChangesRequest watch;
  store_pb::WatchChangesResponse message;

  PALATE_RETURN_IF_ERROR(CallUnary(stub.async(), &StoreStub::GetItems, request, response, context));

  BoundContext bound(context);
  StreamReader<store_pb::WatchChangesResponse> reader;
  reader.Start([&](grpc::ClientReadReactor<store_pb::WatchChangesResponse>* reactor) {
    stub.async()->WatchChanges(bound.get(), &watch, reactor);
  });
  while (reader.Read(message)) changes += message.changes_size();
  PALATE_RETURN_IF_ERROR(reader.Finish());

  return absl::OkStatus();
}

// A feature store of two RPCs: GetItems returns nothing, WatchChanges sends two changes and ends.
class TwoChanges final : public RpcService {
 public:
  explicit TwoChanges(ThreadPool& pool)
      : RpcService("palate.featurestore.v1.FeatureStoreService", pool) {
    Unary("GetItems", this, &TwoChanges::GetItems);
    ServerStream("WatchChanges", this, &TwoChanges::WatchChanges);
  }

 private:
  absl::Status GetItems(Call&, const store_pb::GetItemsRequest&, store_pb::GetItemsResponse&) {
    return absl::OkStatus();
  }
  absl::Status WatchChanges(Call&, const store_pb::WatchChangesRequest&,
                            ResponseWriter<store_pb::WatchChangesResponse>& writer) {
    store_pb::WatchChangesResponse response;
    response.add_changes();
    response.add_changes();
    writer.Write(response);
    return absl::OkStatus();
  }
};

TEST(RuntimeUsageExampleTest, Calls) {
  ExpectExampleOf("services/runtime/client_call.h");

  ServiceSet services;
  ThreadPool* pool = services.Own(std::make_unique<ThreadPool>("changes", 2, 16));
  services.Add(std::make_unique<TwoChanges>(*pool));
  std::string address;
  const auto server = StartServer(std::move(services), address);
  ASSERT_TRUE(server.ok()) << server.status();

  LazyStub<store_pb::FeatureStoreService> stub(TcpChannel(address));
  int changes = 0;
  const absl::Status status =
      UseCalls(stub, {.deadline = absl::Now() + absl::Seconds(20)}, changes);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(changes, 2);
}

struct EchoConfig {
  void Bind(Config&) {}
};

absl::StatusOr<ServiceSet> MakeEchoServices(const EchoConfig&) { return EchoServices(); }

struct EchoProgram {
  int main(int argc, char** argv) {
    return RunService<EchoConfig>(argc, argv, "palate-echo", "Returns what it is sent.",
                                  /*default_port=*/7105, &MakeEchoServices);
  }
};

TEST(RuntimeUsageExampleTest, Programs) {
  ExpectExampleOf("services/runtime/run_service.h");

  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  std::string name = "palate-echo";
  std::string help = "--help";
  char* argv[] = {name.data(), help.data()};
  EXPECT_EQ(EchoProgram().main(2, argv), 0);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

absl::Status UseConfig(const std::string& path) {
  struct CacheConfig {
    std::string dir;
    int max_entries = 1000;

    void Bind(Config& config) {
      config.AddString("cache.dir", &dir, "Folder of the cache.");
      config.AddInt("cache.max_entries", &max_entries, 1, 1'000'000, "Entries kept.");
    }
  };

  CacheConfig cache;
  Config config;
  cache.Bind(config);
  PALATE_RETURN_IF_ERROR(config.LoadFile(path));
  PALATE_RETURN_IF_ERROR(config.SetFlag("cache.max_entries", "10"));

  EXPECT_EQ(cache.dir, "/var/cache");
  EXPECT_EQ(cache.max_entries, 10);
  return absl::OkStatus();
}

TEST(RuntimeUsageExampleTest, Configuration) {
  ExpectExampleOf("services/runtime/config.h");

  const TempFolder folder;
  const std::string path =
      folder.Write("config.yaml", "cache:\n  dir: /var/cache\n  max_entries: 5\n");
  const absl::Status status = UseConfig(path);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(RuntimeUsageExampleTest, Statuses) {
  ExpectExampleOf("services/runtime/status_convert.h");

  const grpc::Status sent = ToGrpcStatus(InvalidField("k", "is 0", "1 to 1000"));
  const absl::Status received = ToAbslStatus(sent);

  EXPECT_EQ(FieldViolations(received).size(), 1u);
}

absl::Status UseWireText(const std::string& bytes) {
  pb::GetCatalogRequest request;
  PALATE_RETURN_IF_ERROR(ParseTolerantly(bytes, request));

  EXPECT_EQ(request.catalog(), "caf\xE9");
  return absl::OkStatus();
}

TEST(RuntimeUsageExampleTest, Texts) {
  ExpectExampleOf("services/runtime/wire_text.h");

  pb::GetCatalogRequest request;
  request.set_catalog("caf\xE9");
  const absl::Status status = UseWireText(request.SerializeAsString());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseConversions(const Item& item) {
  const types_pb::Item message = ToProto(item);
  PALATE_ASSIGN_OR_RETURN(const Item back, PrefixFields(FromProto(message), "item"));

  EXPECT_EQ(back.title, item.title);
  return absl::OkStatus();
}

TEST(RuntimeUsageExampleTest, Conversions) {
  ExpectExampleOf("services/convert/types_convert.h");

  Item item;
  item.id = "lamp";
  item.title = "Red lamp";
  const absl::Status status = UseConversions(item);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace usage_examples
}  // namespace palate::services
