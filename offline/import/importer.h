// Sends items and events to a running Palate in batches. An interrupted import resumes where it
// stopped.
//
// A small checkpoint file (checkpoint.h) records what the server has acknowledged, bound to the
// rows, the catalog and the store. It only saves time: imports are idempotent, because unchanged
// items and known events change nothing. Not thread-safe.
//
// Usage:
//   ImportOptions options;
//   options.catalog = wanted.id;
//   options.checkpoint_path = checkpoint;
//   Importer importer(client, options);
//   PALATE_ASSIGN_OR_RETURN(const Catalog catalog, importer.EnsureCatalog(wanted));
//   ImportOutcome outcome;
//   PALATE_RETURN_IF_ERROR(importer.SendItems(*reader, catalog, outcome, on_progress));
//   PALATE_RETURN_IF_ERROR(importer.WaitUntilSearchable(absl::Minutes(2), on_progress));
//   PALATE_RETURN_IF_ERROR(importer.AddFailedEmbeddings(outcome));
//   importer.Finish();
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "offline/client.h"
#include "offline/import/checkpoint.h"
#include "offline/import/source.h"

namespace palate::offline {

struct ImportOptions {
  std::string catalog;
  std::string checkpoint_path;  // empty: no checkpoint
  std::string source_name;      // a checkpoint of another source is ignored
  int max_batch_items = 256;
  size_t max_batch_bytes = 8 << 20;  // of items or events, as they are sent
  int max_batch_events = 1000;
  // The import ends when more lines, or parts of them, than this are malformed or refused.
  std::optional<int64_t> max_failures;
  absl::Duration call_timeout = absl::Seconds(120);
};

// What the server acknowledged or refused; SourceReport describes the files.
struct ImportOutcome {
  UpsertOutcome items;
  EventsOutcome events;
  int64_t resumed_items = 0;  // skipped: acknowledged in an earlier run
  int64_t resumed_events = 0;
  int64_t refused_locally = 0;  // larger than a message may be, so never sent
  int64_t refused_parts = 0;    // of items that were taken without them, or not with all of them
  // Item ids and pictures ("images[1]", as sent) among them that the write refused.
  std::set<std::pair<std::string, std::string>> refused_images;
  // Messages for users, of the first refusals: file, line and column where the reader knows them.
  std::vector<std::string> refused;

  // Items and events that were not taken.
  int64_t refused_elements() const {
    return static_cast<int64_t>(items.failures.size() + events.failures.size()) + refused_locally;
  }
  // These, and parts of others.
  int64_t refused_count() const { return refused_elements() + refused_parts; }
};

// Called from the importing thread with the progress of the current step.
using OnProgress = std::function<void(int64_t done, int64_t total)>;

class Importer {
 public:
  // `client` outlives the importer.
  Importer(Client& client, ImportOptions options);

  // Creates the catalog, or checks that the stored one declares what the import needs:
  // FailedPrecondition naming what is missing.
  absl::StatusOr<Catalog> EnsureCatalog(const Catalog& wanted);

  // Converts attribute values to the types in `declared` where no information is lost (an integer
  // to a double, a whole double to an integer, a string to a list). Fails when the reader or a call
  // fails, Aborted after more than `max_failures`; refused items are in `outcome`.
  absl::Status SendItems(ItemReader& reader, const Catalog& declared, ImportOutcome& outcome,
                         const OnProgress& on_progress);
  // `step` names these events in the checkpoint, so that several calls can share one checkpoint.
  absl::Status SendEvents(const std::string& step, EventReader& reader, ImportOutcome& outcome,
                          const OnProgress& on_progress);

  // Waits until every item is embedded (or cannot be) and retrieval serves it. DeadlineExceeded
  // after `limit` without any progress. A server that does not know, as a gateway alone, is not
  // waited for: a warning is logged.
  absl::Status WaitUntilSearchable(absl::Duration limit, const OnProgress& on_progress);

  // Adds to `outcome` the items that this importer sent and that cannot be embedded, or not with
  // all of their parts. Call it when nothing waits to be embedded.
  absl::Status AddFailedEmbeddings(ImportOutcome& outcome);

  // Ends a complete import and removes the checkpoint: the next run sends everything again.
  void Finish();

 private:
  // Reads the checkpoint if there is one of the same source, catalog and store.
  absl::Status OpenCheckpoint();
  absl::Status CheckFailures(const ImportOutcome& outcome, int64_t malformed) const;

  Client& client_;
  const ImportOptions options_;
  bool opened_ = false;
  // The lines of the items that were sent or skipped, by a hash of their ids.
  std::unordered_map<uint64_t, int64_t> lines_;
  std::string file_;
  Checkpoint checkpoint_;
};

// Converts values to the declared types where no information is lost. Other values are unchanged;
// the service refuses them.
void CoerceAttributes(const std::vector<AttributeDeclaration>& declarations,
                      Attributes& attributes);

}  // namespace palate::offline
