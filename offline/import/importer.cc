#include "offline/import/importer.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/base/casts.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "domain/limits.h"
#include "offline/import/item_limits.h"
#include "offline/import/line_file.h"

namespace palate::offline {
namespace {

constexpr size_t kMaxRefusedShown = 20;
constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
// Counts that have not changed for this long are final.
constexpr absl::Duration kSettled = absl::Seconds(2);
constexpr char kItemsStep[] = "items";
// Up to here a double holds every integer.
constexpr double kMaxExactInteger = 9007199254740992;

// Bytes beside the text of an event in a message.
constexpr size_t kEventBytes = 256;
// What a request needs beside its elements.
constexpr size_t kRequestBytes = 4096;

// A canonical form of a value, to be digested: length and bytes of each part.
void AppendPart(absl::string_view part, std::string& out) {
  AppendBigEndian64(part.size(), out);
  absl::StrAppend(&out, part);
}

void AppendTime(absl::Time time, std::string& out) {
  AppendBigEndian64(static_cast<uint64_t>(absl::ToUnixMicros(time)), out);
}

void AppendNumber(double number, std::string& out) {
  AppendBigEndian64(absl::bit_cast<uint64_t>(number), out);
}

void AppendValue(const AttributeValue& value, std::string& out) {
  AppendBigEndian64(value.index(), out);
  if (const auto* text = std::get_if<std::string>(&value)) {
    AppendPart(*text, out);
  } else if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    AppendBigEndian64(list->size(), out);
    for (const std::string& element : *list) AppendPart(element, out);
  } else if (const auto* number = std::get_if<double>(&value)) {
    AppendNumber(*number, out);
  } else if (const auto* whole = std::get_if<int64_t>(&value)) {
    AppendBigEndian64(static_cast<uint64_t>(*whole), out);
  } else {
    AppendBigEndian64(std::get<bool>(value) ? 1 : 0, out);
  }
}

std::string DigestOf(const ItemUpload& upload) {
  std::string row;
  for (const std::string* part : {&upload.item.id, &upload.item.title, &upload.item.description})
    AppendPart(*part, row);
  AppendBigEndian64(upload.item.hidden ? 1 : 0, row);
  AppendTime(upload.item.create_time.value_or(absl::InfinitePast()), row);
  AppendTime(upload.item.expire_time.value_or(absl::InfinitePast()), row);
  for (const auto& [name, value] : upload.item.attributes) {
    AppendPart(name, row);
    AppendValue(value, row);
  }
  for (const std::string& image : upload.images) AppendPart(Sha256(image), row);
  return Sha256(row);
}

std::string DigestOf(const Event& event) {
  std::string row;
  for (const std::string* part : {&event.event_id, &event.user_id, &event.item_id, &event.type,
                                  &event.session_id, &event.recommendation_id})
    AppendPart(*part, row);
  AppendTime(event.time, row);
  AppendBigEndian64(event.value.has_value() ? 1 : 0, row);
  AppendNumber(event.value.value_or(0), row);
  return Sha256(row);
}

size_t SizeOf(const Event& event) {
  return event.event_id.size() + event.user_id.size() + event.item_id.size() + event.type.size() +
         event.session_id.size() + event.recommendation_id.size() + kEventBytes;
}

std::string NameOf(const ItemUpload& upload) {
  return absl::StrCat("item ", QuoteForMessage(upload.item.id));
}

std::string NameOf(const Event& event) {
  return absl::StrCat("event of user ", QuoteForMessage(event.user_id), " on item ",
                      QuoteForMessage(event.item_id));
}

// Elements to be sent in one call, with where they came from.
template <typename T>
struct Batch {
  std::vector<T> elements;
  std::vector<SourcePlace> places;
  std::string digests;
  size_t bytes = 0;

  void Add(T element, SourcePlace place, size_t size) {
    digests += DigestOf(element);
    bytes += size;
    elements.push_back(std::move(element));
    places.push_back(std::move(place));
  }
  std::string digest() const { return absl::BytesToHexString(Sha256(digests).substr(0, 16)); }
  void Clear() { *this = Batch(); }
};

void AddRefusal(const std::string& name, const SourcePlace& place, const absl::Status& error,
                ImportOutcome& outcome) {
  if (outcome.refused.size() >= kMaxRefusedShown) return;
  const absl::Status wrong = WithoutBatch(error);
  const std::string reason = absl::StrCat(name, ": ", wrong.message());
  outcome.refused.push_back(
      place.file.empty() ? reason
                         : Describe({place.file, place.line, ColumnOf(place.text, wrong), reason}));
}

template <typename T>
void AddRefusals(const std::vector<ElementFailure>& failures, const Batch<T>& batch,
                 ImportOutcome& outcome) {
  for (const ElementFailure& failure : failures) {
    if (failure.index >= batch.elements.size()) continue;
    AddRefusal(NameOf(batch.elements[failure.index]), batch.places[failure.index], failure.status,
               outcome);
  }
}

// "images[0]" of the pictures that were sent -> the place in the source's list.
absl::Status InSource(const absl::Status& error, const ItemUpload& upload) {
  return MapFields(WithoutBatch(error), [&](const std::string& path) -> std::string {
    const FieldStep step = FirstStep(path);
    if (step.name != "images" || !step.index.has_value()) return path;
    return JoinPaths(absl::StrCat("images[", upload.PositionOf(*step.index), "]"), step.rest);
  });
}

void AddPartRefusal(const ItemUpload& upload, const SourcePlace& place, const absl::Status& error,
                    ImportOutcome& outcome) {
  ++outcome.refused_parts;
  AddRefusal(absl::StrCat("a part of ", NameOf(upload)), place, error, outcome);
}

// Counts what was taken, and says what was not.
void AddAnswer(const UpsertOutcome& sent, const Batch<ItemUpload>& batch, ImportOutcome& outcome) {
  outcome.items.changed += sent.changed;
  outcome.items.unchanged += sent.unchanged;
  outcome.items.failures.insert(outcome.items.failures.end(), sent.failures.begin(),
                                sent.failures.end());
  AddRefusals(sent.failures, batch, outcome);

  for (const ElementFailure& failure : sent.part_failures) {
    if (failure.index >= batch.elements.size()) continue;
    const ItemUpload& upload = batch.elements[failure.index];
    const std::vector<FieldViolation> wrong = FieldViolations(WithoutBatch(failure.status));
    if (!wrong.empty()) outcome.refused_images.insert({upload.item.id, wrong.front().field});
    AddPartRefusal(upload, batch.places[failure.index], InSource(failure.status, upload), outcome);
  }
}

// Whether the element is too large to be sent at all. It is refused as the server would.
template <typename T>
bool RefusesTooLarge(const T& element, size_t bytes, const SourcePlace& place,
                     ImportOutcome& outcome) {
  if (bytes + kRequestBytes <= static_cast<size_t>(kMaxMessageBytes)) return false;
  ++outcome.refused_locally;
  AddRefusal(NameOf(element), place,
             absl::InvalidArgumentError(absl::StrCat("has ", bytes,
                                                     " bytes with its pictures; at "
                                                     "most ",
                                                     kMaxMessageBytes - kRequestBytes)),
             outcome);
  return true;
}

uint64_t HashOf(const std::string& id) { return std::hash<std::string>()(id); }

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
    } else if (declaration.type == AttributeType::kInt64 && std::holds_alternative<double>(value)) {
      const double number = std::get<double>(value);
      if (std::abs(number) <= kMaxExactInteger && std::trunc(number) == number)
        value = static_cast<int64_t>(number);
    } else if (declaration.type == AttributeType::kStringList &&
               std::holds_alternative<std::string>(value)) {
      value = std::vector<std::string>{std::get<std::string>(value)};
    }
  }
}

Importer::Importer(Client& client, ImportOptions options)
    : client_(client), options_(std::move(options)) {}

absl::Status Importer::OpenCheckpoint() {
  if (opened_) return absl::OkStatus();
  opened_ = true;
  if (options_.checkpoint_path.empty()) return absl::OkStatus();

  PALATE_ASSIGN_OR_RETURN(const std::string store,
                          client_.GetStoreIncarnation(options_.call_timeout));
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog,
                          client_.GetCatalog(options_.catalog, options_.call_timeout));
  // Without a name of the store nobody knows what it has: everything is sent.
  if (store.empty()) return absl::OkStatus();

  // A catalog that was deleted and created again has another time.
  checkpoint_ = Checkpoint(
      options_.checkpoint_path,
      absl::StrCat(options_.source_name, " into ", options_.catalog, " of ",
                   absl::FormatTime(catalog.create_time, absl::UTCTimeZone()), " in ", store));
  return absl::OkStatus();
}

absl::Status Importer::CheckFailures(const ImportOutcome& outcome, int64_t malformed) const {
  const int64_t failures = outcome.refused_count() + malformed;
  if (!options_.max_failures.has_value() || failures <= *options_.max_failures)
    return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("stopped: ", failures,
                                         " lines or parts of them were malformed or refused, at "
                                         "most ",
                                         *options_.max_failures, " are allowed"));
}

void Importer::Finish() {
  checkpoint_ = Checkpoint();
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
                     " add it with `palate catalog add-attribute`, or import into another "
                     "catalog"));
  }
  return stored;
}

absl::Status Importer::SendItems(ItemReader& reader, const Catalog& declared,
                                 ImportOutcome& outcome, const OnProgress& on_progress) {
  PALATE_RETURN_IF_ERROR(OpenCheckpoint());
  int64_t read = 0;
  Batch<ItemUpload> batch;

  const auto flush = [&]() -> absl::Status {
    if (batch.elements.empty()) return absl::OkStatus();
    const size_t rows = batch.elements.size();
    const std::string digest = batch.digest();
    if (checkpoint_.Skips(kItemsStep, rows, digest)) {
      outcome.resumed_items += static_cast<int64_t>(rows);
    } else {
      PALATE_ASSIGN_OR_RETURN(
          const UpsertOutcome sent,
          client_.UpsertItems(options_.catalog, batch.elements, options_.call_timeout));
      AddAnswer(sent, batch, outcome);
      checkpoint_.Record(kItemsStep, rows, digest,
                         sent.failures.empty() && sent.part_failures.empty());
    }

    on_progress(read, reader.size());
    batch.Clear();
    return CheckFailures(outcome, reader.malformed());
  };

  while (true) {
    PALATE_ASSIGN_OR_RETURN(std::optional<ItemUpload> element, reader.Next());
    PALATE_RETURN_IF_ERROR(CheckFailures(outcome, reader.malformed()));
    if (!element.has_value()) break;
    CoerceAttributes(declared.attributes, element->item.attributes);
    for (const absl::Status& part :
         FitToLimits(static_cast<size_t>(kMaxMessageBytes) - kRequestBytes, *element))
      AddPartRefusal(*element, reader.place(), part, outcome);
    const size_t bytes = SizeOf(*element);
    if (RefusesTooLarge(*element, bytes, reader.place(), outcome)) {
      ++read;
      continue;
    }
    if (batch.bytes + bytes > options_.max_batch_bytes) PALATE_RETURN_IF_ERROR(flush());
    ++read;
    file_ = reader.place().file;
    lines_[HashOf(element->item.id)] = reader.place().line;
    batch.Add(*std::move(element), reader.place(), bytes);

    // A portion of the checkpoint is compared as a whole.
    const size_t known = checkpoint_.NextRows(kItemsStep);
    const size_t most = static_cast<size_t>(options_.max_batch_items);
    if (batch.elements.size() >= (known > 0 ? std::min(known, most) : most))
      PALATE_RETURN_IF_ERROR(flush());
  }
  PALATE_RETURN_IF_ERROR(flush());
  return CheckFailures(outcome, reader.malformed());
}

absl::Status Importer::SendEvents(const std::string& step, EventReader& reader,
                                  ImportOutcome& outcome, const OnProgress& on_progress) {
  PALATE_RETURN_IF_ERROR(OpenCheckpoint());
  int64_t read = 0;
  Batch<Event> batch;

  const auto flush = [&]() -> absl::Status {
    if (batch.elements.empty()) return absl::OkStatus();
    const size_t rows = batch.elements.size();
    const std::string digest = batch.digest();
    if (checkpoint_.Skips(step, rows, digest)) {
      outcome.resumed_events += static_cast<int64_t>(rows);
    } else {
      PALATE_ASSIGN_OR_RETURN(const EventsOutcome sent,
                              client_.WriteEvents(options_.catalog, batch.elements,
                                                  /*allow_late=*/true, options_.call_timeout));
      outcome.events.written += sent.written;
      outcome.events.duplicates += sent.duplicates;
      outcome.events.failures.insert(outcome.events.failures.end(), sent.failures.begin(),
                                     sent.failures.end());
      AddRefusals(sent.failures, batch, outcome);
      checkpoint_.Record(step, rows, digest, sent.failures.empty());
    }

    on_progress(read, reader.size());
    batch.Clear();
    return CheckFailures(outcome, reader.malformed());
  };

  while (true) {
    PALATE_ASSIGN_OR_RETURN(std::optional<Event> element, reader.Next());
    PALATE_RETURN_IF_ERROR(CheckFailures(outcome, reader.malformed()));
    if (!element.has_value()) break;

    const size_t bytes = SizeOf(*element);
    if (RefusesTooLarge(*element, bytes, reader.place(), outcome)) {
      ++read;
      continue;
    }
    if (batch.bytes + bytes > options_.max_batch_bytes) PALATE_RETURN_IF_ERROR(flush());
    ++read;
    batch.Add(*std::move(element), reader.place(), bytes);

    // A portion of the checkpoint is compared as a whole.
    const size_t known = checkpoint_.NextRows(step);
    const size_t most = static_cast<size_t>(options_.max_batch_events);
    if (batch.elements.size() >= (known > 0 ? std::min(known, most) : most))
      PALATE_RETURN_IF_ERROR(flush());
  }
  PALATE_RETURN_IF_ERROR(flush());
  return CheckFailures(outcome, reader.malformed());
}

absl::Status Importer::WaitUntilSearchable(absl::Duration limit, const OnProgress& on_progress) {
  CatalogProgress last;
  last.pending_embeddings = -1;
  absl::Time last_change = absl::Now();

  while (true) {
    const absl::StatusOr<CatalogProgress> answer =
        client_.GetProgress(options_.catalog, options_.call_timeout);
    // A gateway alone does not know. What was sent is acknowledged all the same.
    if (absl::IsUnimplemented(answer.status())) {
      spdlog::warn("the server does not say when items are searchable: not waiting for it");
      return absl::OkStatus();
    }
    PALATE_RETURN_IF_ERROR(answer.status());
    const CatalogProgress& progress = *answer;
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

absl::Status Importer::AddFailedEmbeddings(ImportOutcome& outcome) {
  std::string token;
  do {
    absl::StatusOr<FailingItems> listed =
        client_.ListFailingItems(options_.catalog, token, options_.call_timeout);
    // A gateway alone does not know.
    if (absl::IsUnimplemented(listed.status())) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(const FailingItems page, std::move(listed));
    for (const FailingItem& item : page.items) {
      const auto line = lines_.find(HashOf(item.id));
      if (line == lines_.end()) continue;
      for (const PartFailure& failure : item.failed_parts) {
        // What the write answered has been said, with the place in the file.
        if (outcome.refused_images.contains({item.id, failure.part})) continue;
        ++outcome.refused_parts;
        if (outcome.refused.size() >= kMaxRefusedShown) continue;
        const std::string reason =
            absl::StrCat("item ", QuoteForMessage(item.id),
                         failure.part.empty() ? " cannot be embedded" : " is embedded in part",
                         ": ", Describe(failure));
        outcome.refused.push_back(
            file_.empty() ? reason : offline::Describe(Malformed{file_, line->second, 0, reason}));
      }
    }
    token = page.next_page_token;
  } while (!token.empty());
  return absl::OkStatus();
}

}  // namespace palate::offline
