#include "offline/import/importer.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "offline/import/text_files.h"

namespace palate::offline {
namespace {

constexpr size_t kMaxRefusedShown = 20;
constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
// Counts that have not changed for this long are final.
constexpr absl::Duration kSettled = absl::Seconds(2);
constexpr char kItemsStep[] = "items";

size_t SizeOf(const ItemUpload& upload) {
  size_t bytes = upload.item.title.size() + upload.item.description.size() + 256;
  for (const std::string& image : upload.images) bytes += image.size();
  return bytes;
}

void AddRefusals(const std::vector<ElementFailure>& failures,
                 const std::function<std::string(size_t)>& name, ImportOutcome& outcome) {
  for (const ElementFailure& failure : failures) {
    if (outcome.refused.size() >= kMaxRefusedShown) return;
    outcome.refused.push_back(absl::StrCat(name(failure.index), ": ", failure.status.message()));
  }
}

// Names what `wanted` declares and `stored` does not; empty when nothing is missing.
std::string Missing(const Catalog& stored, const Catalog& wanted) {
  std::string missing;
  for (const AttributeDeclaration& attribute : wanted.attributes) {
    const bool found = std::any_of(
        stored.attributes.begin(), stored.attributes.end(),
        [&](const AttributeDeclaration& other) { return other.name == attribute.name; });
    if (!found) absl::StrAppend(&missing, " attribute ", attribute.name, ";");
  }

  for (const EventTypeDeclaration& type : wanted.event_types) {
    const bool found =
        std::any_of(stored.event_types.begin(), stored.event_types.end(),
                    [&](const EventTypeDeclaration& other) { return other.name == type.name; });
    if (!found) absl::StrAppend(&missing, " event type ", type.name, ";");
  }
  return missing;
}

}  // namespace

void CoerceAttributes(const std::vector<AttributeDeclaration>& declarations,
                      Attributes& attributes) {
  for (const AttributeDeclaration& declaration : declarations) {
    const auto found = attributes.find(declaration.name);
    if (found == attributes.end()) continue;
    AttributeValue& value = found->second;
    if (declaration.type == AttributeType::kDouble && std::holds_alternative<int64_t>(value)) {
      value = static_cast<double>(std::get<int64_t>(value));
    } else if (declaration.type == AttributeType::kStringList &&
               std::holds_alternative<std::string>(value)) {
      value = std::vector<std::string>{std::get<std::string>(value)};
    }
  }
}

Importer::Importer(Client& client, ImportOptions options)
    : client_(client), options_(std::move(options)) {
  if (options_.checkpoint_path.empty()) return;
  const absl::StatusOr<std::string> text = ReadFile(options_.checkpoint_path);
  if (!text.ok()) return;

  const nlohmann::json checkpoint =
      nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const bool usable = checkpoint.is_object() &&
                      checkpoint.value("source", nlohmann::json()) == options_.source_name &&
                      checkpoint.value("catalog", nlohmann::json()) == options_.catalog &&
                      checkpoint.contains("done") && checkpoint["done"].is_object();

  if (!usable) {
    spdlog::warn("{} is not a checkpoint of this import: everything is sent again",
                 options_.checkpoint_path);
    return;
  }

  for (const auto& [step, count] : checkpoint["done"].items()) {
    if (count.is_number_integer()) done_[step] = count.get<int64_t>();
  }
}

int64_t Importer::Done(const std::string& step) const {
  const auto found = done_.find(step);
  return found == done_.end() ? 0 : found->second;
}

void Importer::Acknowledge(const std::string& step, int64_t done) {
  done_[step] = done;
  if (options_.checkpoint_path.empty()) return;
  const nlohmann::json checkpoint = {
      {"source", options_.source_name}, {"catalog", options_.catalog}, {"done", done_}};

  // Written to another file and renamed, because with a damaged checkpoint the import starts again.
  const std::string aside = options_.checkpoint_path + ".new";
  std::ofstream(aside) << checkpoint.dump() << "\n";
  if (std::rename(aside.c_str(), options_.checkpoint_path.c_str()) != 0) {
    spdlog::warn("the checkpoint {} cannot be written", options_.checkpoint_path);
  }
}

void Importer::Finish() {
  done_.clear();
  if (!options_.checkpoint_path.empty()) unlink(options_.checkpoint_path.c_str());
}

absl::StatusOr<Catalog> Importer::EnsureCatalog(const Catalog& wanted) {
  const absl::Status created = client_.CreateCatalog(wanted, options_.call_timeout);
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  PALATE_ASSIGN_OR_RETURN(Catalog stored, client_.GetCatalog(wanted.id, options_.call_timeout));

  const std::string missing = Missing(stored, wanted);
  if (!missing.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("catalog ", wanted.id, " exists already, but does not declare:", missing,
                     " import into another catalog"));
  }
  return stored;
}

absl::Status Importer::SendItems(ItemReader& reader, const Catalog& declared,
                                 ImportOutcome& outcome, const OnProgress& on_progress) {
  const int64_t resume_at = Done(kItemsStep);
  int64_t read = 0;
  std::vector<ItemUpload> batch;
  size_t batch_bytes = 0;

  const auto flush = [&]() -> absl::Status {
    if (batch.empty()) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(const UpsertOutcome sent,
                            client_.UpsertItems(options_.catalog, batch, options_.call_timeout));

    outcome.items.changed += sent.changed;
    outcome.items.unchanged += sent.unchanged;
    outcome.items.failures.insert(outcome.items.failures.end(), sent.failures.begin(),
                                  sent.failures.end());

    AddRefusals(
        sent.failures,
        [&](size_t i) { return absl::StrCat("item ", QuoteForMessage(batch[i].item.id)); },
        outcome);

    Acknowledge(kItemsStep, read);
    on_progress(read, reader.size());
    batch.clear();
    batch_bytes = 0;
    return absl::OkStatus();
  };

  while (true) {
    PALATE_ASSIGN_OR_RETURN(std::optional<ItemUpload> upload, reader.Next());
    if (!upload.has_value()) break;

    if (read++ < resume_at) {
      ++outcome.resumed_items;
      continue;
    }

    CoerceAttributes(declared.attributes, upload->item.attributes);
    const size_t bytes = SizeOf(*upload);
    if (!batch.empty() && (static_cast<int>(batch.size()) >= options_.max_batch_items ||
                           batch_bytes + bytes > options_.max_batch_bytes)) {
      --read;  // the batch that is acknowledged now does not include this item
      PALATE_RETURN_IF_ERROR(flush());
      ++read;
    }

    batch_bytes += bytes;
    batch.push_back(*std::move(upload));
  }
  return flush();
}

absl::Status Importer::SendEvents(const std::string& step, EventReader& reader,
                                  ImportOutcome& outcome, const OnProgress& on_progress) {
  const int64_t resume_at = Done(step);
  int64_t read = 0;
  std::vector<Event> batch;

  const auto flush = [&]() -> absl::Status {
    if (batch.empty()) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(
        const EventsOutcome sent,
        client_.WriteEvents(options_.catalog, batch, /*allow_late=*/true, options_.call_timeout));

    outcome.events.written += sent.written;
    outcome.events.duplicates += sent.duplicates;
    outcome.events.failures.insert(outcome.events.failures.end(), sent.failures.begin(),
                                   sent.failures.end());

    AddRefusals(
        sent.failures,
        [&](size_t i) {
          return absl::StrCat("event of user ", QuoteForMessage(batch[i].user_id), " on item ",
                              batch[i].item_id);
        },
        outcome);

    Acknowledge(step, read);
    on_progress(read, reader.size());
    batch.clear();
    return absl::OkStatus();
  };

  while (true) {
    PALATE_ASSIGN_OR_RETURN(std::optional<Event> event, reader.Next());
    if (!event.has_value()) break;
    if (read++ < resume_at) {
      ++outcome.resumed_events;
      continue;
    }

    batch.push_back(*std::move(event));
    if (static_cast<int>(batch.size()) >= options_.max_batch_events)
      PALATE_RETURN_IF_ERROR(flush());
  }
  return flush();
}

absl::Status Importer::WaitUntilSearchable(absl::Duration limit, const OnProgress& on_progress) {
  CatalogProgress last;
  last.pending_embeddings = -1;
  absl::Time last_change = absl::Now();

  while (true) {
    PALATE_ASSIGN_OR_RETURN(const CatalogProgress progress,
                            client_.GetProgress(options_.catalog, options_.call_timeout));
    on_progress(progress.items - progress.pending_embeddings, progress.items);

    if (progress.pending_embeddings != last.pending_embeddings ||
        progress.index_vectors != last.index_vectors)
      last_change = absl::Now();
    last = progress;

    const absl::Duration still = absl::Now() - last_change;
    const bool indexed = progress.index_current || (progress.index_idle && still >= kSettled);
    if (progress.pending_embeddings == 0 && indexed) return absl::OkStatus();
    if (still > limit) {
      return absl::DeadlineExceededError(absl::StrCat(
          progress.pending_embeddings, " items wait to be embedded, ", progress.index_vectors,
          " vectors are indexed, and nothing has changed for ", absl::FormatDuration(limit)));
    }

    absl::SleepFor(kPollInterval);
  }
}

}  // namespace palate::offline
