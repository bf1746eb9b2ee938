// palate import movielens DIR | items FILE | events FILE.

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/grpc_offline_client.h"
#include "offline/console.h"
#include "offline/evaluation/movielens.h"
#include "offline/import/importer.h"
#include "offline/import/jsonl_reader.h"

namespace palate::services {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(120);
constexpr absl::Duration kStallLimit = absl::Minutes(2);

const char kImportHelp[] =
    "palate import: imports items and events through the public API\n\n"
    "  palate import movielens DIR                 a folder like ml-latest-small\n"
    "  palate import items FILE.jsonl --images DIR\n"
    "  palate import events FILE.jsonl\n\n"
    "  --catalog ID         default: movielens, or the only existing catalog; movielens and items "
    "create it\n"
    "  --images DIR         folder of the pictures that items name (default: the file's folder)\n"
    "  --checkpoint FILE    records the progress, to resume an interrupted import (default: in the "
    "data directory, or beside the input)\n"
    "  --no-evaluate        movielens: do not measure the recommendations during the import\n"
    "  --no-wait            do not wait until everything is searchable\n"
    "  --timeout-ms N       timeout of each call (default 120000)\n";

struct ImportFlags {
  std::string kind;
  std::string path;
  std::string catalog;
  std::string images;
  std::string checkpoint;
  bool evaluate = true;
  bool wait = true;
};

absl::StatusOr<ImportFlags> ParseImportFlags(Flags& flags) {
  ImportFlags parsed;
  if (flags.positional().size() != 2)
    return absl::InvalidArgumentError(
        "name what to import: movielens DIR, items FILE or events FILE");

  parsed.kind = flags.positional()[0];
  parsed.path = flags.positional()[1];
  if (parsed.kind != "movielens" && parsed.kind != "items" && parsed.kind != "events") {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot import ", parsed.kind, "; must be movielens, items or events"));
  }

  parsed.catalog = flags.Text("catalog", parsed.kind == "movielens" ? "movielens" : "");
  const size_t slash = parsed.path.rfind('/');
  parsed.images =
      flags.Text("images", slash == std::string::npos ? "." : parsed.path.substr(0, slash));

  parsed.checkpoint = flags.Text("checkpoint");
  parsed.evaluate = !flags.Switch("no-evaluate");
  parsed.wait = !flags.Switch("no-wait");
  return parsed;
}

std::string DefaultCheckpoint(const ImportFlags& flags, const Connection& connection) {
  if (!connection.data_dir().empty())
    return absl::StrCat(connection.data_dir(), "/import-", flags.catalog, ".checkpoint");
  return absl::StrCat(flags.path, ".checkpoint");
}

void SayRefusals(const offline::SourceReport& report, const offline::ImportOutcome& outcome,
                 offline::Reporter& reporter) {
  for (const std::string& refused : outcome.refused)
    reporter.Say(absl::StrCat("refused: ", refused));

  for (const offline::Malformed& malformed : report.malformed) {
    reporter.Say(absl::StrCat("malformed: ", malformed.file, " line ", malformed.line, ": ",
                              malformed.reason));
  }
  if (report.malformed_count > static_cast<int64_t>(report.malformed.size())) {
    reporter.Say(absl::StrCat("malformed: ", report.malformed_count, " problems in all"));
  }
}

absl::Status ImportItems(offline::Client& client, const ImportFlags& flags,
                         const offline::ImportOptions& options, offline::Reporter& reporter) {
  PALATE_ASSIGN_OR_RETURN(std::vector<AttributeDeclaration> attributes,
                          offline::InferAttributes(flags.path));

  offline::Importer importer(client, options);
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog, importer.EnsureCatalog(offline::DefaultCatalog(
                                                     options.catalog, std::move(attributes))));

  offline::SourceReport report;
  PALATE_ASSIGN_OR_RETURN(const auto reader,
                          offline::OpenItemFile(flags.path, flags.images, report));
  offline::ImportOutcome outcome;
  PALATE_RETURN_IF_ERROR(importer.SendItems(*reader, catalog, outcome, reporter.Step("items")));

  if (flags.wait) {
    PALATE_RETURN_IF_ERROR(importer.WaitUntilSearchable(kStallLimit, reporter.Step("embedding")));
  }

  importer.Finish();
  SayRefusals(report, outcome, reporter);

  reporter.Say(absl::StrFormat(
      "items: %d read, %d written, %d unchanged, %d refused; %d without a description, %d without "
      "a picture",
      report.items, outcome.items.changed, outcome.items.unchanged, outcome.items.failures.size(),
      report.without_description, report.without_image));
  return absl::OkStatus();
}

absl::Status ImportEvents(offline::Client& client, const ImportFlags& flags,
                          const offline::ImportOptions& options, offline::Reporter& reporter) {
  PALATE_RETURN_IF_ERROR(client.GetCatalog(options.catalog, options.call_timeout).status());

  offline::Importer importer(client, options);

  offline::SourceReport report;
  PALATE_ASSIGN_OR_RETURN(const auto reader, offline::OpenEventFile(flags.path, report));
  offline::ImportOutcome outcome;
  PALATE_RETURN_IF_ERROR(importer.SendEvents("events", *reader, outcome, reporter.Step("events")));

  importer.Finish();
  SayRefusals(report, outcome, reporter);

  reporter.Say(absl::StrFormat("events: %d read, %d written, %d already known, %d refused",
                               report.events, outcome.events.written, outcome.events.duplicates,
                               outcome.events.failures.size()));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunImport(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, Flags::Parse(arguments, {"help", "no-evaluate", "no-wait"}));
  if (flags.Switch("help")) {
    std::cout << kImportHelp << kConnectionHelp;
    return absl::OkStatus();
  }

  PALATE_ASSIGN_OR_RETURN(ImportFlags parsed, ParseImportFlags(flags));
  PALATE_ASSIGN_OR_RETURN(const absl::Duration timeout,
                          flags.Milliseconds("timeout-ms", kCallTimeout));
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connection::Open(flags));

  if (parsed.catalog.empty()) {
    // Items may create a catalog; events need an existing one.
    const absl::StatusOr<std::string> only = connection->ResolveCatalog("");
    if (!only.ok() && !(absl::IsNotFound(only.status()) && parsed.kind == "items"))
      return only.status();
    parsed.catalog = only.ok() ? *only : "default";
  }

  offline::ImportOptions options;
  options.catalog = parsed.catalog;
  options.source_name = absl::StrCat(parsed.kind, " ", parsed.path);
  options.checkpoint_path =
      parsed.checkpoint.empty() ? DefaultCheckpoint(parsed, *connection) : parsed.checkpoint;
  options.call_timeout = timeout;

  GrpcOfflineClient client(connection->provider());
  offline::ConsoleReporter reporter;
  if (parsed.kind == "items") return ImportItems(client, parsed, options, reporter);
  if (parsed.kind == "events") return ImportEvents(client, parsed, options, reporter);

  evaluation::MovieLensOptions movielens;
  movielens.folder = parsed.path;
  movielens.import = options;
  movielens.evaluate = parsed.evaluate;
  return evaluation::ImportMovieLens(client, movielens, reporter);
}

}  // namespace palate::services
