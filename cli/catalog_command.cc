// palate catalog list | show ID | add-attribute ID NAME TYPE | set ID | delete ID.

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/attribute_types.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace catalogs_pb = palate::catalog::v1;
using CatalogCalls = catalogs_pb::CatalogService::StubInterface::async_interface;

const char kManageHelp[] =
    "palate catalog: shows, alters and deletes catalogs\n\n"
    "  palate catalog list\n"
    "  palate catalog show ID\n"
    "  palate catalog add-attribute ID NAME TYPE   TYPE: string, list, int64, double, bool\n"
    "  palate catalog set ID\n"
    "  palate catalog delete ID --yes              with all its items, users and events\n\n"
    "  A declared attribute keeps its type and cannot be removed.\n"
    "  --no-filter          add-attribute: filters do not use the attribute\n"
    "  --display-name TEXT  set: the name that people see\n"
    "  --rerank-weight W    set: the weight of the language model's score, 0 to 1\n"
    "  --yes                delete: required, because nothing brings the data back\n";

// What the command line asks for.
struct CatalogFlags {
  std::string action;
  std::vector<std::string> operands;  // after the action
  bool filterable = true;
  bool sure = false;
  bool json = false;
  std::vector<std::string> display_name;  // none or one
  std::optional<double> rerank_weight;
  absl::Duration timeout;
};

absl::StatusOr<CatalogFlags> ParseCatalogFlags(Flags& flags) {
  CatalogFlags parsed;
  if (flags.positional().empty())
    return absl::InvalidArgumentError("name what to do: list, show, add-attribute, set or delete");
  parsed.action = flags.positional().front();
  parsed.operands.assign(flags.positional().begin() + 1, flags.positional().end());

  size_t wanted = 1;
  if (parsed.action == "list") {
    wanted = 0;
  } else if (parsed.action == "add-attribute") {
    wanted = 3;
  } else if (parsed.action != "show" && parsed.action != "set" && parsed.action != "delete") {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot ", parsed.action, "; must be list, show, add-attribute, set or delete"));
  }
  if (parsed.operands.size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat("palate catalog ", parsed.action, " takes ",
                                                   wanted, " names; see palate catalog --help"));
  }

  parsed.filterable = !flags.Switch("no-filter");
  parsed.sure = flags.Switch("yes");
  parsed.json = flags.Switch("json");
  parsed.display_name = flags.Texts("display-name");
  if (!flags.Text("rerank-weight").empty()) {
    PALATE_ASSIGN_OR_RETURN(parsed.rerank_weight, flags.Number("rerank-weight", 0, 0, 1));
  }
  PALATE_ASSIGN_OR_RETURN(parsed.timeout, flags.Milliseconds("timeout-ms", kDefaultTimeout));
  return parsed;
}

absl::Status PrintCatalog(const types_pb::Catalog& message, bool json) {
  if (json) {
    PALATE_ASSIGN_OR_RETURN(const std::string text, ToJson(message));
    std::cout << text;
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(const Catalog catalog, FromProto(message));
  std::cout << absl::StrFormat("catalog %s: \"%s\", rerank weight %s\n", catalog.id,
                               catalog.display_name, NumberText(catalog.rerank_weight));
  for (const AttributeDeclaration& attribute : catalog.attributes) {
    std::cout << "  attribute " << attribute.name << ": " << TypeWord(attribute.type)
              << (attribute.filterable ? "" : ", not filterable") << "\n";
  }
  for (const EventTypeDeclaration& type : catalog.event_types)
    std::cout << absl::StrFormat("  event type %s: weight %s\n", type.name,
                                 NumberText(type.weight));
  for (const SpaceDeclaration& space : catalog.spaces)
    std::cout << "  space " << space.name << "\n";
  return absl::OkStatus();
}

absl::Status ListAll(catalogs_pb::CatalogService::Stub& stub, const CatalogFlags& flags,
                     const CallContext& context) {
  catalogs_pb::ListCatalogsRequest request;
  do {
    catalogs_pb::ListCatalogsResponse response;
    PALATE_RETURN_IF_ERROR(
        CallUnary(stub.async(), &CatalogCalls::ListCatalogs, request, response, context));
    for (const types_pb::Catalog& catalog : response.catalogs())
      PALATE_RETURN_IF_ERROR(PrintCatalog(catalog, flags.json));
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

absl::StatusOr<types_pb::Catalog> Fetch(catalogs_pb::CatalogService::Stub& stub,
                                        const std::string& id, const CallContext& context) {
  catalogs_pb::GetCatalogRequest request;
  request.set_catalog(id);
  catalogs_pb::GetCatalogResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub.async(), &CatalogCalls::GetCatalog, request, response, context));
  return response.catalog();
}

absl::Status Update(catalogs_pb::CatalogService::Stub& stub,
                    const catalogs_pb::UpdateCatalogRequest& request, const CatalogFlags& flags,
                    const CallContext& context) {
  catalogs_pb::UpdateCatalogResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub.async(), &CatalogCalls::UpdateCatalog, request, response, context));
  return PrintCatalog(response.catalog(), flags.json);
}

// Fails with ABORTED when someone else changes the catalog meanwhile.
absl::Status AddAttribute(catalogs_pb::CatalogService::Stub& stub, const CatalogFlags& flags,
                          const CallContext& context) {
  PALATE_ASSIGN_OR_RETURN(const AttributeType type, ParseTypeWord(flags.operands[2]));
  PALATE_ASSIGN_OR_RETURN(const types_pb::Catalog stored, Fetch(stub, flags.operands[0], context));
  PALATE_ASSIGN_OR_RETURN(Catalog catalog, FromProto(stored));
  if (FindAttribute(catalog, flags.operands[1]) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat("catalog ", catalog.id, " declares attribute ",
                                                 flags.operands[1], " already"));
  }

  catalog.attributes.push_back({flags.operands[1], type, flags.filterable});
  catalogs_pb::UpdateCatalogRequest request;
  *request.mutable_catalog() = ToProto(catalog);
  request.mutable_update_mask()->add_paths("attributes");
  request.set_expected_revision(stored.revision());
  return Update(stub, request, flags, context);
}

absl::Status SetFields(catalogs_pb::CatalogService::Stub& stub, const CatalogFlags& flags,
                       const CallContext& context) {
  catalogs_pb::UpdateCatalogRequest request;
  request.mutable_catalog()->set_id(flags.operands[0]);
  if (!flags.display_name.empty()) {
    request.mutable_catalog()->set_display_name(flags.display_name.back());
    request.mutable_update_mask()->add_paths("display_name");
  }
  if (flags.rerank_weight.has_value()) {
    request.mutable_catalog()->set_rerank_weight(*flags.rerank_weight);
    request.mutable_update_mask()->add_paths("rerank_weight");
  }
  // An empty mask would replace every field.
  if (request.update_mask().paths().empty())
    return absl::InvalidArgumentError("set needs --display-name or --rerank-weight");
  return Update(stub, request, flags, context);
}

absl::Status Delete(catalogs_pb::CatalogService::Stub& stub, const CatalogFlags& flags,
                    const CallContext& context) {
  catalogs_pb::DeleteCatalogRequest request;
  request.set_catalog(flags.operands[0]);
  catalogs_pb::DeleteCatalogResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub.async(), &CatalogCalls::DeleteCatalog, request, response, context));
  std::cout << "deleted catalog " << flags.operands[0] << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCatalog(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, ParseClientFlags(arguments, {"yes", "no-filter"}));
  if (flags.Switch("help")) {
    std::cout << kManageHelp << kConnectionHelp << kAnswerHelp;
    return absl::OkStatus();
  }
  PALATE_ASSIGN_OR_RETURN(const CatalogFlags parsed, ParseCatalogFlags(flags));
  if (parsed.action == "delete" && !parsed.sure) {
    return absl::InvalidArgumentError(
        "delete removes the catalog with all its items, users and events: pass --yes");
  }

  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connection::Open(flags));
  const auto stub = catalogs_pb::CatalogService::NewStub(connection->channel());
  const CallContext context = {.deadline = absl::Now() + parsed.timeout};
  if (parsed.action == "list") return ListAll(*stub, parsed, context);
  if (parsed.action == "add-attribute") return AddAttribute(*stub, parsed, context);
  if (parsed.action == "set") return SetFields(*stub, parsed, context);
  if (parsed.action == "delete") return Delete(*stub, parsed, context);
  PALATE_ASSIGN_OR_RETURN(const types_pb::Catalog catalog,
                          Fetch(*stub, parsed.operands[0], context));
  return PrintCatalog(catalog, parsed.json);
}

}  // namespace palate::services
