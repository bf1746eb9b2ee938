#include "featurestore/embedding_worker.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"

namespace palate::featurestore {
namespace {

struct ValueText {
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const std::vector<std::string>& values) const {
    return absl::StrJoin(values, ", ");
  }
  std::string operator()(int64_t value) const { return absl::StrCat(value); }
  std::string operator()(double value) const { return NumberText(value); }
  std::string operator()(bool value) const { return value ? "yes" : "no"; }
};

// Errors that have nothing to do with the item.
bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

// Errors that may come from the model or the device, or from the item.
bool IsDoubtful(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsUnknown(status);
}

// Another writer changed the item first: it is in the backlog again, or deleted.
bool IsOvertaken(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
}

// The item's path of a part that its EmbedItem names: pictures are counted as they were sent, with
// those that the store refused.
std::string PartOf(const Item& item, const std::string& path) {
  const FieldStep step = FirstStep(path);
  if (step.name == "fields") {
    const bool has_title = !item.title.empty() || !item.attributes.empty();
    return has_title && step.index == 0 ? "title" : "description";
  }
  if (step.name != "images" || !step.index.has_value()) return path;

  size_t place = *step.index;
  for (const PartFailure& refused : item.refused_images) {
    if (FirstStep(refused.part).index.value_or(0) <= place) ++place;
  }
  return absl::StrCat("images[", place, "]");
}

// The same failures by the item's paths, each once; those of `before` first.
std::vector<PartFailure> PartsOf(const Item& item, const std::vector<PartFailure>& before,
                                 const std::vector<PartFailure>& failures) {
  std::vector<PartFailure> parts = before;
  for (const PartFailure& failure : failures) {
    const std::string part = PartOf(item, failure.part);
    const bool known = std::any_of(parts.begin(), parts.end(), [&](const PartFailure& other) {
      return other.part == part && other.status.code() == failure.status.code();
    });
    if (known) continue;
    parts.push_back({part, MapFields(failure.status, [&](const std::string&) { return part; })});
  }
  return parts;
}

std::string Names(const std::vector<PartFailure>& parts) {
  return absl::StrJoin(parts, "; ", [](std::string* out, const PartFailure& failure) {
    out->append(Describe(failure));
  });
}

}  // namespace

std::string TitleField(const Item& item) {
  std::vector<std::string> attributes;
  for (const auto& [name, value] : item.attributes) {
    std::string text = std::visit(ValueText(), value);
    if (!text.empty()) attributes.push_back(absl::StrCat(name, ": ", text));
  }
  if (attributes.empty()) return item.title;
  if (item.title.empty()) return absl::StrJoin(attributes, "; ");
  return absl::StrCat(item.title, ". ", absl::StrJoin(attributes, "; "));
}

EmbedItem ToEmbedItem(const StoredItem& item, const EmbedItemLimits& limits) {
  EmbedItem embed;
  embed.item_id = item.item.id;
  const auto text = [&](absl::string_view part, absl::string_view whole) {
    if (whole.size() > limits.field_bytes) {
      embed.left_out.push_back(
          {std::string(part),
           InvalidField(
               part, absl::StrCat("makes a text of ", whole.size(), " bytes"),
               absl::StrCat("at most ", limits.field_bytes, "; the rest is not embedded"))});
    }
    return std::string(CutAtCharacter(whole, limits.field_bytes));
  };

  const std::string title = TitleField(item.item);
  if (!title.empty()) {
    embed.text_fields.push_back(text(item.item.attributes.empty() ? "title" : "attributes", title));
  }
  if (!item.item.description.empty())
    embed.text_fields.push_back(text("description", item.item.description));

  size_t bytes = 0;
  for (const std::string& image : item.image_bytes) {
    bytes += image.size();
    if (bytes > limits.image_bytes) break;
    embed.images.push_back(image);
  }
  for (size_t i = embed.images.size(); i < item.image_bytes.size(); ++i) {
    const std::string part = PartOf(item.item, absl::StrCat("images[", i, "]"));
    embed.left_out.push_back(
        {part, InvalidField(part, "and the pictures before it are too large together",
                            absl::StrCat("within the ", limits.image_bytes,
                                         " bytes that are embedded of one item"))});
  }
  return embed;
}

EmbeddingWorker::EmbeddingWorker(FeatureStore* store, ItemEmbedder* embedder,
                                 EmbeddingWorkerOptions options)
    : store_(store),
      embedder_(embedder),
      options_(options),
      listener_(store->AddFeedListener([this] { Wake(); })),
      thread_([this] { Run(); }) {}

EmbeddingWorker::~EmbeddingWorker() {
  store_->RemoveFeedListener(listener_);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.SignalAll();
  }
  thread_.join();
}

EmbeddingWorker::Stats EmbeddingWorker::stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

bool EmbeddingWorker::WaitUntilIdle(absl::Time deadline) const {
  while (true) {
    int64_t seen = 0;
    {
      MutexLock lock(mutex_);
      seen = rounds_;
    }
    // Without the lock: a writer may be waking this worker from inside the store.
    const absl::StatusOr<int64_t> backlog = store_->EmbeddingBacklog();

    MutexLock lock(mutex_);
    // The last vector is stored some moments before the round that stored it has counted it.
    if (backlog.ok() && *backlog == 0 && !in_round_) return true;
    while (rounds_ == seen) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration() || stopping_) return false;
      round_done_.WaitFor(mutex_, left);
    }
  }
}

void EmbeddingWorker::Wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  wake_.SignalAll();
}

bool EmbeddingWorker::Stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void EmbeddingWorker::Run() {
  absl::Duration backoff = options_.retry_min;
  absl::Time next_rescan = absl::InfinitePast();
  while (!Stopping()) {
    if (absl::Now() >= next_rescan) {
      targets_known_.clear();
      next_rescan = absl::Now() + options_.rescan;
    }

    {
      MutexLock lock(mutex_);
      woken_ = false;
      in_round_ = true;
    }
    const Round round = RunRound();
    MutexLock lock(mutex_);
    in_round_ = false;
    ++rounds_;
    round_done_.SignalAll();

    if (round == Round::kClean) {
      backoff = options_.retry_min;
      const absl::Time next_round = std::min(next_rescan, NextAttempt());
      while (!woken_ && !stopping_ && absl::Now() < next_round)
        wake_.WaitFor(mutex_, next_round - absl::Now());
      continue;
    }

    // A new item does not shorten the wait: the embedder would refuse it as well.
    const absl::Time next_try = absl::Now() + backoff;
    while (!stopping_ && absl::Now() < next_try) wake_.WaitFor(mutex_, next_try - absl::Now());
    backoff = std::min(backoff * 2, options_.retry_max);
  }
}

EmbeddingWorker::Round EmbeddingWorker::RunRound() {
  Round round = Round::kClean;
  std::string token;
  do {
    const absl::StatusOr<CatalogPage> page = store_->ListCatalogs(0, token);
    if (!page.ok()) return Retry(page.status());
    for (const Catalog& catalog : page->catalogs) {
      if (RunCatalog(catalog) == Round::kRetry) round = Round::kRetry;
      if (Stopping()) return round;
    }
    token = page->next_page_token;
  } while (!token.empty());
  return round;
}

EmbeddingWorker::Round EmbeddingWorker::Retry(const absl::Status& status) {
  targets_known_.clear();
  MutexLock lock(mutex_);
  ++stats_.failed_calls;
  if (stats_.last_error != status)
    spdlog::warn("embedding worker: {}; trying again", status.ToString());
  stats_.last_error = status;
  return Round::kRetry;
}

absl::Status EmbeddingWorker::LearnTargets(const Catalog& catalog) {
  const auto known = targets_known_.find(catalog.id);
  if (known != targets_known_.end() && known->second == catalog.revision) return absl::OkStatus();

  const absl::StatusOr<std::vector<SpaceKey>> targets = embedder_->Spaces(catalog);
  // NOT_FOUND means here that a model is unknown; below, that the catalog has been deleted.
  if (absl::IsNotFound(targets.status()))
    return absl::FailedPreconditionError(targets.status().message());
  PALATE_RETURN_IF_ERROR(targets.status());
  PALATE_RETURN_IF_ERROR(store_->SetTargetSpaces(catalog.id, *targets));
  targets_known_[catalog.id] = catalog.revision;
  return absl::OkStatus();
}

EmbeddingWorker::Round EmbeddingWorker::RunCatalog(const Catalog& catalog) {
  if (absl::Status status = LearnTargets(catalog); !status.ok()) {
    return absl::IsNotFound(status) ? Round::kClean : Retry(status);
  }

  Round round = Round::kClean;
  std::string after;
  bool stop = false;
  while (!stop && !Stopping()) {
    auto pending =
        store_->ListPending(catalog.id, options_.batch_items, after, options_.batch_image_bytes);
    if (!pending.ok()) return absl::IsNotFound(pending.status()) ? round : Retry(pending.status());
    if (pending->empty()) return round;
    after = pending->back().item.id;
    std::erase_if(*pending, [&](const StoredItem& item) { return !IsDue(catalog.id, item.item); });
    if (pending->empty()) continue;
    if (EmbedAndStore(catalog, *pending, stop) == Round::kRetry) round = Round::kRetry;
  }
  return round;
}

EmbeddingWorker::Round EmbeddingWorker::EmbedAndStore(const Catalog& catalog,
                                                      const std::vector<StoredItem>& pending,
                                                      bool& stop) {
  std::vector<EmbedItem> items;
  for (const StoredItem& item : pending) items.push_back(ToEmbedItem(item));
  auto embedded = embedder_->Embed(catalog, items);
  if (embedded.ok() && embedded->size() != items.size()) {
    embedded = absl::InternalError(
        absl::StrCat("the embedder answered ", embedded->size(), " of ", items.size(), " items"));
  }
  if (!embedded.ok()) {
    stop = true;
    return Retry(embedded.status());
  }

  Round round = Round::kClean;
  for (size_t i = 0; i < items.size(); ++i) {
    absl::StatusOr<EmbeddedItem>& one = (*embedded)[i];
    const Item& item = pending[i].item;
    if (one.ok()) {
      one->failed_parts = PartsOf(item, items[i].left_out, one->failed_parts);
    } else {
      one = MapFields(one.status(), [&](const std::string& path) { return PartOf(item, path); });
    }
    const absl::Status status = Store(catalog, item, one);
    if (status.ok()) continue;
    round = Retry(status);
    // The models may have changed meanwhile; the other items wait for the next round, which asks
    // for the spaces again.
    stop = absl::IsFailedPrecondition(status);
    if (stop) return round;
  }
  return round;
}

bool EmbeddingWorker::StoreInPart(const Catalog& catalog, const Item& item,
                                  const EmbeddedItem& embedded, absl::Status& status) {
  const auto passing = std::find_if(
      embedded.failed_parts.begin(), embedded.failed_parts.end(),
      [](const PartFailure& part) { return IsTransient(part.status) || IsDoubtful(part.status); });
  if (passing == embedded.failed_parts.end()) return false;
  if (IsDoubtful(passing->status) && !TryLater(catalog.id, item)) return false;

  if (IsDoubtful(passing->status)) Retry(passing->status);
  if (!embedded.vectors.empty()) {
    status = store_->PutVectors(catalog.id, item.id, item.revision, embedded.vectors,
                                /*complete=*/false);
  }
  if (status.ok() && IsTransient(passing->status)) status = passing->status;
  return true;
}

absl::Status EmbeddingWorker::Store(const Catalog& catalog, const Item& item,
                                    const absl::StatusOr<EmbeddedItem>& embedded) {
  absl::Status status;
  absl::Status failure = embedded.status();
  if (embedded.ok()) {
    if (StoreInPart(catalog, item, *embedded, status))
      return IsOvertaken(status) && !StillPending(catalog.id, item) ? absl::OkStatus() : status;
    status = store_->PutVectors(catalog.id, item.id, item.revision, embedded->vectors,
                                /*complete=*/true, embedded->failed_parts);
    // Vectors that the store cannot take are a failure for good.
    if (absl::IsInvalidArgument(status)) failure = status;
  } else if (IsTransient(failure)) {
    return failure;
  } else if (IsDoubtful(failure) && TryLater(catalog.id, item)) {
    Retry(failure);
    return absl::OkStatus();
  }
  if (!failure.ok()) {
    status = store_->SetEmbeddingFailure(catalog.id, item.id, item.revision, failure);
  }

  attempts_.erase({catalog.id, item.id});
  if (absl::IsFailedPrecondition(status) && StillPending(catalog.id, item)) return status;
  if (IsOvertaken(status)) return absl::OkStatus();
  if (!status.ok()) return status;
  if (!failure.ok()) {
    spdlog::warn("catalog {}: item {} cannot be embedded: {}", catalog.id, QuoteForMessage(item.id),
                 failure.ToString());
  } else if (!embedded->failed_parts.empty()) {
    spdlog::warn("catalog {}: item {} is embedded without parts of it: {}", catalog.id,
                 QuoteForMessage(item.id), Names(embedded->failed_parts));
  }
  MutexLock lock(mutex_);
  ++(failure.ok() ? stats_.embedded : stats_.failed);
  return absl::OkStatus();
}

bool EmbeddingWorker::IsDue(const std::string& catalog, const Item& item) {
  const auto found = attempts_.find({catalog, item.id});
  if (found == attempts_.end()) return true;
  if (found->second.revision == item.revision) return found->second.next <= absl::Now();
  attempts_.erase(found);
  return true;
}

bool EmbeddingWorker::TryLater(const std::string& catalog, const Item& item) {
  const auto key = std::pair(catalog, item.id);
  Attempts& attempts = attempts_[key];
  attempts.revision = item.revision;
  if (++attempts.failed >= options_.item_attempts) {
    attempts_.erase(key);
    return false;
  }

  absl::Duration pause = options_.item_retry_min;
  for (int i = 1; i < attempts.failed && pause < options_.item_retry_max; ++i) pause *= 2;
  attempts.next = absl::Now() + std::min(pause, options_.item_retry_max);
  return true;
}

absl::Time EmbeddingWorker::NextAttempt() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [key, attempts] : attempts_) next = std::min(next, attempts.next);
  return next;
}

bool EmbeddingWorker::StillPending(const std::string& catalog, const Item& item) const {
  const auto stored = store_->GetItems(catalog, {item.id});
  return stored.ok() && stored->items[0].has_value() &&
         stored->items[0]->item.revision == item.revision;
}

}  // namespace palate::featurestore
