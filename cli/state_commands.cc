// palate events, status.

#include <iostream>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/grpc_offline_client.h"
#include "cli/json.h"
#include "domain/limits.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "palate/retrieval/v1/retrieval_service.grpc.pb.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace pb = palate::recommender::v1;
namespace embedding_pb = palate::embedding::v1;
namespace store_pb = palate::featurestore::v1;
namespace retrieval_pb = palate::retrieval::v1;

const char kEventsHelp[] =
    "palate events: shows the events of a user; with --item and --type, writes one\n\n"
    "  --user ID            the user\n"
    "  --max N              how many of the newest events to show (default 20)\n"
    "  --item ID            the item of a new event\n"
    "  --type NAME          its declared event type\n"
    "  --value NUMBER       its value, such as a rating\n"
    "  --at TIME            when, RFC 3339 (default now)\n";
const char kStatusHelp[] =
    "palate status: counts, embedding backlog and index of every catalog, and what is assumed "
    "about\n"
    "embedding models\n\n";

absl::Status WriteOneEvent(Flags& flags, pb::RecommenderService::Stub& stub,
                           const std::string& catalog, const Event& event,
                           const CallContext& context) {
  pb::WriteEventsRequest request;
  request.set_catalog(catalog);
  *request.add_events() = ToProto(event);
  request.set_allow_late(true);

  pb::WriteEventsResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(stub.async(), &pb::RecommenderService::Stub::async::WriteEvents,
                                   request, response, context));

  if (!response.failures().empty()) return FromRpcStatus(response.failures(0).status());
  if (!flags.Switch("json"))
    std::cout << (response.written() > 0 ? "written\n" : "already known\n");
  return absl::OkStatus();
}

absl::StatusOr<Event> EventFromFlags(Flags& flags) {
  Event event;
  event.user_id = flags.Text("user");
  event.item_id = flags.Text("item");
  event.type = flags.Text("type");

  const std::string value = flags.Text("value");
  double number = 0;
  if (!value.empty()) {
    if (!absl::SimpleAtod(value, &number))
      return absl::InvalidArgumentError(absl::StrCat("--value is ", value, "; must be a number"));
    event.value = number;
  }

  PALATE_ASSIGN_OR_RETURN(event.time, flags.Time("at", absl::Now()));
  return event;
}

void PrintEvents(const pb::GetUserResponse& response) {
  for (const types_pb::Event& event : response.events()) {
    std::cout << absl::FormatTime("%Y-%m-%d %H:%M:%S",
                                  absl::FromUnixSeconds(event.event_time().seconds()),
                                  absl::UTCTimeZone())
              << "  " << absl::StrFormat("%-12s %s", event.event_type(), event.item_id());
    if (event.has_value()) std::cout << "  " << event.value();
    std::cout << "\n";
  }

  if (response.has_more_events()) std::cout << "… and older ones\n";
}

// Failing items of one catalog that are listed.
constexpr size_t kFailingShown = 20;

// The first failing items of each catalog.
using Failing = std::map<std::string, offline::FailingItems>;

void PrintFailing(const Failing& failing, const std::string& catalog) {
  const auto page = failing.find(catalog);
  if (page == failing.end()) return;
  size_t shown = 0;
  for (const offline::FailingItem& item : page->second.items) {
    if (shown++ == kFailingShown) break;
    for (const PartFailure& failure : item.failed_parts) {
      std::cout << "  item " << QuoteForMessage(item.id)
                << (failure.part.empty() ? " cannot be embedded: " : ": ") << Describe(failure)
                << "\n";
    }
  }
  if (page->second.items.size() > kFailingShown || !page->second.next_page_token.empty())
    std::cout << "  … and other items\n";
}

// `retrieval` is null where the server has no index.
void PrintStatus(const store_pb::GetStatsResponse& store, const Failing& failing,
                 const retrieval_pb::GetStatsResponse* retrieval) {
  for (const store_pb::CatalogStats& stats : store.catalogs()) {
    std::cout << absl::StrFormat(
        "catalog %s: %d items, %d users, %d events; %d items wait to be embedded, %d cannot be, "
        "%d not with all of their parts\n",
        stats.catalog(), stats.items(), stats.users(), stats.events(), stats.embedding_backlog(),
        stats.embedding_failed(), stats.items_with_failed_parts());
    PrintFailing(failing, stats.catalog());

    if (retrieval == nullptr) continue;
    for (const retrieval_pb::CatalogStats& index : retrieval->catalogs()) {
      if (index.catalog() != stats.catalog()) continue;
      std::cout << absl::StrFormat("  index: %d items, %d segments, %.1f MiB", index.items(),
                                   index.segments(),
                                   static_cast<double>(index.memory_bytes()) / (1 << 20));
      for (const retrieval_pb::SpaceStats& space : index.spaces()) {
        std::cout << absl::StrFormat("; %s %d x %d", space.space().name(), space.vectors(),
                                     space.dimensions());
      }
      std::cout << "\n";
    }
  }

  if (store.catalogs().empty()) std::cout << "there is no catalog yet\n";
  std::cout << absl::StrFormat("on disk %.1f MiB\n",
                               static_cast<double>(store.disk_bytes()) / (1 << 20));
  if (!store.embedding_worker().last_error().empty()) {
    std::cout << "embedding is blocked: " << store.embedding_worker().last_error() << "\n";
  }
  if (retrieval == nullptr || retrieval->follower().connected()) return;
  if (retrieval->follower().last_error().empty()) {
    std::cout << "retrieval has not reached the feature store yet: it has just started\n";
  } else {
    std::cout << "retrieval cannot reach the feature store: " << retrieval->follower().last_error()
              << "\n";
  }
}

// What is assumed about the models, because their folders do not state it.
void PrintAssumptions(const embedding_pb::GetModelInfoResponse& embedding) {
  for (const embedding_pb::ModelInfo& model : embedding.models()) {
    if (model.pooling_is_assumed()) {
      std::cout << absl::StrFormat(
          "embedding model %s: no file states how tokens are pooled; %s is assumed\n", model.name(),
          model.pooling());
    }
    if (!model.unknown_config_keys().empty()) {
      std::cout << absl::StrFormat(
          "embedding model %s: keys of config.json that are not known have no effect: %s\n",
          model.name(), absl::StrJoin(model.unknown_config_keys(), ", "));
    }
  }
}

// Calls a service that a server may lack: a feature store alone has no index and no models. Whether
// it has the service.
template <typename Call>
absl::StatusOr<bool> IfServed(const Call& call) {
  const absl::Status status = call();
  if (absl::IsUnimplemented(status)) return false;
  PALATE_RETURN_IF_ERROR(status);
  return true;
}

}  // namespace

absl::Status RunEvents(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, ParseClientFlags(arguments));
  if (flags.Switch("help")) {
    std::cout << kEventsHelp << kConnectionHelp << kCatalogHelp << kAnswerHelp;
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(const Event event, EventFromFlags(flags));
  PALATE_ASSIGN_OR_RETURN(const int max_events, flags.Int("max", 20, 0, kMaxUserEvents));
  PALATE_ASSIGN_OR_RETURN(const absl::Duration timeout,
                          flags.Milliseconds("timeout-ms", kDefaultTimeout));
  const std::string wanted = flags.Text("catalog");
  const bool json = flags.Switch("json");

  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connection::Open(flags));
  PALATE_ASSIGN_OR_RETURN(const std::string catalog, connection->ResolveCatalog(wanted));

  const auto stub = pb::RecommenderService::NewStub(connection->channel());
  if (!event.item_id.empty())
    return WriteOneEvent(flags, *stub, catalog, event, {.deadline = absl::Now() + timeout});

  pb::GetUserRequest request;
  request.set_catalog(catalog);
  request.set_user_id(event.user_id);
  request.set_max_events(max_events);
  pb::GetUserResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(stub->async(), &pb::RecommenderService::Stub::async::GetUser,
                                   request, response, {.deadline = absl::Now() + timeout}));

  if (!json) {
    PrintEvents(response);
    return absl::OkStatus();
  }
  PALATE_ASSIGN_OR_RETURN(const std::string text, ToJson(response));
  std::cout << text;
  return absl::OkStatus();
}

absl::Status RunStatus(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, ParseClientFlags(arguments));
  if (flags.Switch("help")) {
    std::cout << kStatusHelp << kConnectionHelp << kAnswerHelp;
    return absl::OkStatus();
  }

  const bool json = flags.Switch("json");
  PALATE_ASSIGN_OR_RETURN(const absl::Duration timeout,
                          flags.Milliseconds("timeout-ms", kDefaultTimeout));
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connection::Open(flags));

  const CallContext context = {.deadline = absl::Now() + timeout};
  const auto store = store_pb::FeatureStoreService::NewStub(connection->channel());
  store_pb::GetStatsResponse store_stats;
  PALATE_RETURN_IF_ERROR(CallUnary(store->async(),
                                   &store_pb::FeatureStoreService::Stub::async::GetStats,
                                   store_pb::GetStatsRequest(), store_stats, context));

  const auto retrieval = retrieval_pb::RetrievalService::NewStub(connection->channel());
  retrieval_pb::GetStatsResponse retrieval_stats;
  PALATE_ASSIGN_OR_RETURN(
      const bool has_index, IfServed([&] {
        return CallUnary(retrieval->async(), &retrieval_pb::RetrievalService::Stub::async::GetStats,
                         retrieval_pb::GetStatsRequest(), retrieval_stats, context);
      }));

  const auto embedding = embedding_pb::EmbeddingService::NewStub(connection->channel());
  embedding_pb::GetModelInfoResponse models;
  const absl::StatusOr<bool> has_models = IfServed([&] {
    return CallUnary(embedding->async(), &embedding_pb::EmbeddingService::Stub::async::GetModelInfo,
                     embedding_pb::GetModelInfoRequest(), models, context);
  });
  PALATE_RETURN_IF_ERROR(has_models.status());

  if (!json) {
    Failing failing;
    GrpcOfflineClient client(connection->provider());
    for (const store_pb::CatalogStats& stats : store_stats.catalogs()) {
      if (stats.embedding_failed() + stats.items_with_failed_parts() == 0) continue;
      PALATE_ASSIGN_OR_RETURN(failing[stats.catalog()],
                              client.ListFailingItems(stats.catalog(), "", timeout));
    }
    PrintStatus(store_stats, failing, has_index ? &retrieval_stats : nullptr);
    PrintAssumptions(models);
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(const std::string store_json, ToJson(store_stats));
  PALATE_ASSIGN_OR_RETURN(const std::string retrieval_json, ToJson(retrieval_stats));
  PALATE_ASSIGN_OR_RETURN(const std::string models_json, ToJson(models));
  std::cout << "{\"feature_store\": " << store_json << ", \"retrieval\": " << retrieval_json
            << ", \"embedding\": " << models_json << "}\n";
  return absl::OkStatus();
}

}  // namespace palate::services
