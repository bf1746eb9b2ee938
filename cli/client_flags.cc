#include "cli/client_flags.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "services/local/local_stack.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

constexpr absl::Duration kCatalogTimeout = absl::Seconds(10);

}  // namespace

const char kConnectionHelp[] =
    "  --server HOST:PORT   a running Palate (all services in one process, or the gateway)\n"
    "  --data-dir DIR       or: open the data in DIR in this process\n"
    "  --config FILE        with --data-dir: configuration as for `palate serve`\n";
const char kCatalogHelp[] = "  --catalog ID         default: the only existing catalog\n";
const char kAnswerHelp[] =
    "  --timeout-ms N       how long to wait for a response (default 10000)\n"
    "  --json               print the response as JSON with proto field names and default values\n";

absl::StatusOr<Flags> ParseClientFlags(const std::vector<std::string>& arguments,
                                       std::set<std::string> switches) {
  switches.insert({"json", "help"});
  return Flags::Parse(arguments, switches);
}

Connection::Connection() = default;
Connection::~Connection() = default;

absl::StatusOr<std::unique_ptr<Connection>> Connection::OpenLocal(const std::string& data_dir,
                                                                  const std::string& config_path,
                                                                  const std::string& listen) {
  auto connection = std::unique_ptr<Connection>(new Connection());
  connection->data_dir_ = data_dir;
  PALATE_ASSIGN_OR_RETURN(connection->local_, LocalStack::Open(data_dir, config_path, listen));
  connection->channel_ = connection->local_->channel();
  return connection;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(Flags& flags) {
  const std::string server = flags.Text("server");
  const std::string data_dir = flags.Text("data-dir");
  const std::string config = flags.Text("config");
  if (server.empty() == data_dir.empty())
    return absl::InvalidArgumentError("pass either --server or --data-dir");

  PALATE_RETURN_IF_ERROR(flags.CheckAllUsed());
  if (!data_dir.empty()) return OpenLocal(data_dir, config);

  auto connection = std::unique_ptr<Connection>(new Connection());
  connection->channel_ = DialTcp(server);
  return connection;
}

absl::StatusOr<std::string> Connection::ResolveCatalog(const std::string& wanted) const {
  namespace catalog_pb = palate::catalog::v1;
  if (!wanted.empty()) return wanted;

  const auto stub = catalog_pb::CatalogService::NewStub(channel_);
  catalog_pb::ListCatalogsRequest request;
  catalog_pb::ListCatalogsResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(
      stub->async(), &catalog_pb::CatalogService::StubInterface::async_interface::ListCatalogs,
      request, response, {.deadline = absl::Now() + kCatalogTimeout}));

  std::vector<std::string> ids;
  for (const auto& catalog : response.catalogs()) ids.push_back(catalog.id());

  if (ids.size() == 1) return ids.front();
  if (ids.empty()) return absl::NotFoundError("there is no catalog yet: import something first");
  return absl::FailedPreconditionError(absl::StrCat(
      "there are several catalogs, choose one with --catalog: ", absl::StrJoin(ids, ", ")));
}

}  // namespace palate::services
