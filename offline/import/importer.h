// Sends items and events to a running Palate in batches, so that an interrupted import goes on
// where it stopped.
//
// What has been acknowledged is kept in a small checkpoint file beside the data. Sending again what
// was sent already is harmless (items without a change and known events change nothing); the
// checkpoint only saves the time. One thread at a time.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "offline/client.h"
#include "offline/import/source.h"

namespace palate::offline {

struct ImportOptions {
  std::string catalog;
  std::string checkpoint_path;  // empty: none is kept
  std::string source_name;      // what is imported: a checkpoint of another source is not used
  int max_batch_items = 256;
  size_t max_batch_bytes = 8 << 20;
  int max_batch_events = 1000;
  absl::Duration call_timeout = absl::Seconds(120);
};

// What arrived, beside what the SourceReport says of the files.
struct ImportOutcome {
  UpsertOutcome items;
  EventsOutcome events;
  int64_t resumed_items = 0;  // skipped because an earlier run had them acknowledged
  int64_t resumed_events = 0;
  std::vector<std::string> refused;  // in words, the first ones
};

// Called with how much of the current step is done; from the importing thread.
using OnProgress = std::function<void(int64_t done, int64_t total)>;

class Importer {
 public:
  // Reads the checkpoint, if there is one for the same source. `client` outlives the importer.
  Importer(Client& client, ImportOptions options);

  // Creates the catalog, or checks that the stored one declares what the import needs:
  // FailedPrecondition naming what is missing.
  absl::StatusOr<Catalog> EnsureCatalog(const Catalog& wanted);

  // `declared`: attribute values are turned into the declared types where nothing is lost (an
  // integer for a double, a string for a list).
  absl::Status SendItems(ItemReader& reader, const Catalog& declared, ImportOutcome& outcome,
                         const OnProgress& on_progress);
  // `step` names a part of the events in the checkpoint, so that several calls can share one.
  absl::Status SendEvents(const std::string& step, EventReader& reader, ImportOutcome& outcome,
                          const OnProgress& on_progress);

  // Waits until every item is embedded (or cannot be) and retrieval serves it. DeadlineExceeded
  // after `limit` without any progress.
  absl::Status WaitUntilSearchable(absl::Duration limit, const OnProgress& on_progress);

  // The import is complete: the next run sends everything anew.
  void Finish();

 private:
  int64_t Done(const std::string& step) const;
  void Acknowledge(const std::string& step, int64_t done);

  Client& client_;
  const ImportOptions options_;
  std::map<std::string, int64_t> done_;
};

// Turns the value into the declared type where nothing is lost; leaves it alone otherwise, for the
// service to refuse.
void CoerceAttributes(const std::vector<AttributeDeclaration>& declarations,
                      Attributes& attributes);

}  // namespace palate::offline
