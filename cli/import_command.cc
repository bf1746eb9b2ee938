// palate import movielens DIR | items FILE | events FILE.

#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "cli/attribute_types.h"
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
    "  --attribute NAME=TYPE items: the type of an attribute: string, list, int64, double, bool; "
    "may be "
    "repeated (default: inferred from the whole file and printed)\n"
    "  --max-failures N     stop when more lines, or parts of them, than N are malformed or "
    "refused "
    "(default: never)\n"
    "  --no-wait            do not wait until everything is searchable\n"
    "  --timeout-ms N       timeout of each call (default 120000)\n\n"
    "  Exit codes: 0 everything was taken; 1 the import failed; 2 the command line is wrong; 3 "
    "lines, "
    "or parts of them, were not taken\n";

struct ImportFlags {
  std::string kind;
  std::string path;
  std::string catalog;
  std::string images;
  std::string checkpoint;
  bool evaluate = true;
  bool wait = true;
  std::map<std::string, AttributeType> attributes;
  std::optional<int64_t> max_failures;
};

absl::StatusOr<std::map<std::string, AttributeType>> ParseTypes(
    const std::vector<std::string>& pairs) {
  std::map<std::string, AttributeType> types;
  for (const std::string& pair : pairs) {
    const size_t equal = pair.find('=');
    if (equal == std::string::npos || equal == 0)
      return absl::InvalidArgumentError(
          absl::StrCat("--attribute is ", pair, "; must be NAME=TYPE"));
    PALATE_ASSIGN_OR_RETURN(types[pair.substr(0, equal)], ParseTypeWord(pair.substr(equal + 1)));
  }
  return types;
}

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
  PALATE_ASSIGN_OR_RETURN(parsed.attributes, ParseTypes(flags.Texts("attribute")));
  if (!flags.Text("max-failures").empty()) {
    PALATE_ASSIGN_OR_RETURN(parsed.max_failures,
                            flags.Int64("max-failures", 0, 0, int64_t{1} << 60));
  }
  return parsed;
}

std::string DefaultCheckpoint(const ImportFlags& flags, const Connection& connection) {
  if (!connection.data_dir().empty())
    return absl::StrCat(connection.data_dir(), "/import-", flags.catalog, ".checkpoint");
  return absl::StrCat(flags.path, ".checkpoint");
}

// The malformed lines that a reader skips, and what the server refused; both are in order.
void SayRefusals(const offline::SourceReport& report, const offline::ImportOutcome& outcome,
                 offline::Reporter& reporter) {
  for (const std::string& refused : outcome.refused)
    reporter.Say(absl::StrCat("refused: ", refused));
  if (outcome.refused_count() > static_cast<int64_t>(outcome.refused.size()))
    reporter.Say(absl::StrCat("refused: ", outcome.refused_count(), " in all"));

  for (const offline::Malformed& malformed : report.malformed)
    reporter.Say(absl::StrCat("malformed: ", offline::Describe(malformed)));
  if (report.malformed_count > static_cast<int64_t>(report.malformed.size()))
    reporter.Say(absl::StrCat("malformed: ", report.malformed_count, " problems in all"));
}

// An import that ended because of too many failures says which, and exits as one with failures.
absl::Status Stopped(const absl::Status& sent, const offline::SourceReport& report,
                     const offline::ImportOutcome& outcome, offline::Reporter& reporter) {
  SayRefusals(report, outcome, reporter);
  return absl::IsAborted(sent) ? NotTaken(sent) : sent;
}

// Declares what the file needs. Nothing is created unless a line of the file can be imported.
absl::StatusOr<Catalog> EnsureCatalogOf(const ImportFlags& flags, offline::Importer& importer,
                                        offline::Reporter& reporter) {
  absl::StatusOr<std::vector<AttributeDeclaration>> attributes =
      offline::InferAttributes(flags.path, flags.attributes);
  if (absl::IsFailedPrecondition(attributes.status())) return NotTaken(attributes.status());
  // Values that fit no type are the file's fault, not the command line's.
  if (absl::IsInvalidArgument(attributes.status())) {
    return NotTaken(absl::FailedPreconditionError(
        absl::StrCat(attributes.status().message(), "; choose one with --attribute NAME=TYPE")));
  }
  PALATE_RETURN_IF_ERROR(attributes.status());

  const std::vector<AttributeDeclaration> needed = *attributes;
  PALATE_ASSIGN_OR_RETURN(Catalog catalog, importer.EnsureCatalog(offline::DefaultCatalog(
                                               flags.catalog, *std::move(attributes))));
  for (const AttributeDeclaration& attribute : needed) {
    const AttributeDeclaration* stored = FindAttribute(catalog, attribute.name);
    if (stored == nullptr) continue;
    reporter.Say(absl::StrCat("attribute ", stored->name, ": ", TypeWord(stored->type),
                              stored->type == attribute.type
                                  ? ""
                                  : absl::StrCat(", as the catalog declares; the file suggests ",
                                                 TypeWord(attribute.type))));
  }
  return catalog;
}

absl::Status ImportItems(offline::Client& client, const ImportFlags& flags,
                         const offline::ImportOptions& options, offline::Reporter& reporter) {
  offline::Importer importer(client, options);
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog, EnsureCatalogOf(flags, importer, reporter));

  offline::SourceReport report;
  PALATE_ASSIGN_OR_RETURN(const auto reader,
                          offline::OpenItemFile(flags.path, flags.images, report));
  offline::ImportOutcome outcome;
  const absl::Status sent = importer.SendItems(*reader, catalog, outcome, reporter.Step("items"));
  if (!sent.ok()) return Stopped(sent, report, outcome, reporter);

  if (flags.wait) {
    PALATE_RETURN_IF_ERROR(importer.WaitUntilSearchable(kStallLimit, reporter.Step("embedding")));
    PALATE_RETURN_IF_ERROR(importer.AddFailedEmbeddings(outcome));
  }

  importer.Finish();
  SayRefusals(report, outcome, reporter);

  reporter.Say(absl::StrFormat(
      "items: %d read, %d written, %d unchanged, %d skipped (acknowledged earlier), %d refused, "
      "%d parts of others not taken; %d without a description, %d without a picture",
      report.items, outcome.items.changed, outcome.items.unchanged, outcome.resumed_items,
      outcome.refused_elements(), outcome.refused_parts, report.without_description,
      report.without_image));
  return CheckAllTaken(outcome.refused_count() + report.malformed_count);
}

absl::Status ImportEvents(offline::Client& client, const ImportFlags& flags,
                          const offline::ImportOptions& options, offline::Reporter& reporter) {
  PALATE_RETURN_IF_ERROR(client.GetCatalog(options.catalog, options.call_timeout).status());

  offline::Importer importer(client, options);

  offline::SourceReport report;
  const auto reader = offline::OpenEventFile(flags.path, report);
  if (absl::IsFailedPrecondition(reader.status())) return NotTaken(reader.status());
  PALATE_RETURN_IF_ERROR(reader.status());
  offline::ImportOutcome outcome;
  const absl::Status sent =
      importer.SendEvents("events", **reader, outcome, reporter.Step("events"));
  if (!sent.ok()) return Stopped(sent, report, outcome, reporter);

  importer.Finish();
  SayRefusals(report, outcome, reporter);

  reporter.Say(absl::StrFormat(
      "events: %d read, %d written, %d already known, %d skipped (acknowledged earlier), %d "
      "refused",
      report.events, outcome.events.written, outcome.events.duplicates, outcome.resumed_events,
      outcome.refused_count()));
  return CheckAllTaken(outcome.refused_count() + report.malformed_count);
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
  options.max_failures = parsed.max_failures;

  GrpcOfflineClient client(connection->provider());
  offline::ConsoleReporter reporter;
  if (parsed.kind == "items") return ImportItems(client, parsed, options, reporter);
  if (parsed.kind == "events") return ImportEvents(client, parsed, options, reporter);

  evaluation::MovieLensOptions movielens;
  movielens.folder = parsed.path;
  movielens.import = options;
  movielens.evaluate = parsed.evaluate;
  const absl::StatusOr<int64_t> not_taken =
      evaluation::ImportMovieLens(client, movielens, reporter);
  if (absl::IsAborted(not_taken.status())) return NotTaken(not_taken.status());
  PALATE_RETURN_IF_ERROR(not_taken.status());
  return CheckAllTaken(*not_taken);
}

}  // namespace palate::services
