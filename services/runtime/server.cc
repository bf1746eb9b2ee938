#include "services/runtime/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"

namespace palate::services {
namespace {

void ApplyLimits(const ServerConfig& config, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(config.max_message_bytes);
  builder.SetMaxSendMessageSize(config.max_message_bytes);

  grpc::ResourceQuota quota("palate");
  quota.Resize(static_cast<size_t>(config.memory_quota_bytes));
  quota.SetMaxThreads(config.max_grpc_threads);
  builder.SetResourceQuota(quota);

  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, config.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(config.keepalive_time)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(config.keepalive_timeout)));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(config.min_ping_interval)));

  // Two servers on one port would each get some of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerConfig& config,
                                                      ServiceSet services) {
  // Both plugins apply to every server that is built afterwards.
  static const bool plugins = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(plugins);

  std::unique_ptr<Server> server(new Server(config, std::move(services)));
  PALATE_RETURN_IF_ERROR(server->Build());
  return server;
}

absl::Status Server::Build() {
  grpc::ServerBuilder builder;
  ApplyLimits(config_, builder);
  int bound = 0;
  if (!config_.listen.empty())
    builder.AddListeningPort(config_.listen, grpc::InsecureServerCredentials(), &bound);
  for (RpcService* service : services_.services()) builder.RegisterService(service);

  server_ = builder.BuildAndStart();
  if (server_ == nullptr || (!config_.listen.empty() && bound == 0)) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve on ", config_.listen,
                     ": the address is in use or does not belong to this machine"));
  }

  port_ = bound;
  health_ = std::make_unique<HealthWatch>(*server_->GetHealthCheckService(), services_);
  services_.RunStarted(*this);
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(config_.max_message_bytes);
  arguments.SetMaxSendMessageSize(config_.max_message_bytes);

  return server_->InProcessChannel(arguments);
}

void Server::Drain() {
  if (std::exchange(drained_, true) || server_ == nullptr) return;
  if (health_ != nullptr) health_->Stop();
  services_.RunStopping();

  // Calls in progress may call services of this server, so it must not close before they have
  // ended.
  const absl::Time deadline = absl::Now() + config_.drain;
  for (RpcService* service : services_.services()) service->RefuseNewCalls();
  for (RpcService* service : services_.services()) {
    if (!service->WaitUntilIdle(deadline))
      spdlog::warn("calls are still in progress after {} ms; they are cancelled",
                   absl::ToInt64Milliseconds(config_.drain));
  }

  server_->Shutdown(absl::ToChronoTime(deadline));
  server_->Wait();
}

Server::~Server() { Drain(); }

}  // namespace palate::services
