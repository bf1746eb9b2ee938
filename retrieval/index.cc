#include "retrieval/index.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "retrieval/index_state.h"
#include "retrieval/merge_policy.h"
#include "retrieval/row_segment.h"
#include "retrieval/search.h"

namespace palate::retrieval {
namespace {

constexpr size_t kMaxDeletedRevisions = 65'536;
constexpr double kUnitLengthTolerance = 1e-2;

bool IsUnitVector(const std::vector<float>& values) {
  double norm = 0;
  for (float value : values) norm += static_cast<double>(value) * value;
  // False for a norm that is not a number.
  return std::abs(std::sqrt(norm) - 1.0) <= kUnitLengthTolerance;
}

std::map<std::string, AttributeType> FilterableTypes(const CatalogConfig& config) {
  std::map<std::string, AttributeType> types;
  for (const AttributeDeclaration& declaration : config.attributes) {
    if (declaration.filterable) types[declaration.name] = declaration.type;
  }
  return types;
}

absl::Status CheckId(const std::string& field, const std::string& item_id, int64_t revision) {
  if (item_id.empty())
    return InvalidField(absl::StrCat(field, ".item_id"), "is empty", "the item's id");
  if (revision < 1)
    return InvalidField(absl::StrCat(field, ".revision"), absl::StrCat("is ", revision), "above 0");
  return absl::OkStatus();
}

absl::Status CheckChanges(absl::Span<const ItemUpdate> updates,
                          absl::Span<const ItemDelete> deletes) {
  for (size_t i = 0; i < updates.size(); ++i) {
    PALATE_RETURN_IF_ERROR(
        CheckId(absl::StrCat("updates[", i, "]"), updates[i].item_id, updates[i].revision));
  }
  for (size_t i = 0; i < deletes.size(); ++i) {
    PALATE_RETURN_IF_ERROR(
        CheckId(absl::StrCat("deletes[", i, "]"), deletes[i].item_id, deletes[i].revision));
  }
  return absl::OkStatus();
}

// Selects the vectors of updates that are indexed: those of unit length and of their space's
// dimensions, and the last of several in one space.
class VectorCheck {
 public:
  explicit VectorCheck(const IndexState& state) : state_(state) {}

  // Removes the other vectors and returns the number of bad ones. Vectors of dropped fingerprints
  // and all but the last in a space are not counted.
  int64_t Filter(ItemUpdate& update) {
    std::map<SpaceKey, SpaceVector> taken;
    int64_t refused = 0;
    for (SpaceVector& vector : update.vectors) {
      if (state_.dropped.contains(vector.space)) continue;
      if (IsUnitVector(vector.values) && FitsSpace(vector)) {
        const SpaceKey key = vector.space;
        taken[key] = std::move(vector);
        continue;
      }
      ++refused;
    }

    update.vectors.clear();
    for (auto& [key, vector] : taken) update.vectors.push_back(std::move(vector));
    return refused;
  }

 private:
  bool FitsSpace(const SpaceVector& vector) {
    if (vector.values.size() > kMaxDimensions) return false;
    const auto held = state_.spaces.find(vector.space);
    const size_t held_dimensions = held == state_.spaces.end() ? 0 : held->second.dimensions;
    const size_t expected =
        held_dimensions != 0
            ? held_dimensions
            : first_seen_.try_emplace(vector.space, vector.values.size()).first->second;
    return vector.values.size() == expected;
  }

  const IndexState& state_;
  std::map<SpaceKey, size_t> first_seen_;
};

}  // namespace

struct CatalogIndex::Accepted {
  std::vector<ItemUpdate> updates;  // to be written
  std::vector<RowPlace> replaced;   // rows to be removed
  ApplyResult result;
};

CatalogIndex::CatalogIndex(CatalogConfig config, IndexOptions options,
                           const VectorSegmentFactory& factory, const Clock& clock)
    : options_(options), factory_(factory), clock_(clock) {
  IndexState empty;
  empty.config = std::make_shared<const CatalogConfig>(std::move(config));
  empty.listing_due = true;
  Publish(StateEditor(empty).Finish(absl::InfinitePast()));
}

CatalogIndex::~CatalogIndex() = default;

void CatalogIndex::Publish(std::shared_ptr<const IndexState> state) {
  // The old state, which may be the last owner of segments, is released after the lock.
  MutexLock lock(state_mutex_);
  state_.swap(state);
}

std::shared_ptr<const IndexState> CatalogIndex::state() const {
  MutexLock lock(state_mutex_);
  return state_;
}

CatalogConfig CatalogIndex::config() const { return *state()->config; }

absl::StatusOr<Filter> CatalogIndex::ParseFilter(absl::string_view text) const {
  return Filter::Parse(text, state()->config->attributes);
}

bool CatalogIndex::SetCatalog(CatalogConfig config) {
  MutexLock lock(write_mutex_);
  const std::shared_ptr<const IndexState> before = state();
  if (*before->config == config) return false;

  const std::map<std::string, AttributeType> types_before = FilterableTypes(*before->config);
  const std::map<std::string, AttributeType> types = FilterableTypes(config);
  bool needs_listing =
      !std::includes(types_before.begin(), types_before.end(), types.begin(), types.end());
  for (const auto& [name, fingerprint] : config.active_fingerprints) {
    needs_listing = needs_listing || before->dropped.contains({name, fingerprint});
  }

  StateEditor editor(*before);
  editor.SetConfig(std::make_shared<const CatalogConfig>(std::move(config)));
  // In the same state as the declarations, so that no snapshot has them without it.
  if (needs_listing) editor.SetListingDue(true);
  Publish(editor.Finish(clock_.Now() + options_.retire_after));
  return needs_listing;
}

bool CatalogIndex::listing_due() const { return state()->listing_due; }

void CatalogIndex::RequireListing() {
  MutexLock lock(write_mutex_);
  const std::shared_ptr<const IndexState> before = state();
  if (before->listing_due) return;
  StateEditor editor(*before);
  editor.SetListingDue(true);
  Publish(editor.Finish(clock_.Now() + options_.retire_after));
}

void CatalogIndex::BeginListing() {
  RequireListing();
  MutexLock lock(write_mutex_);
  deleted_revisions_.clear();
  deletion_order_.clear();
}

int64_t CatalogIndex::DeletedRevision(absl::string_view item_id) const {
  const auto deleted = deleted_revisions_.find(item_id);
  return deleted == deleted_revisions_.end() ? 0 : deleted->second;
}

void CatalogIndex::RecordDeletion(const std::string& item_id, int64_t revision) {
  const auto [entry, added] = deleted_revisions_.try_emplace(item_id, revision);
  entry->second = std::max(entry->second, revision);
  if (!added) return;

  deletion_order_.push_back(item_id);
  if (deletion_order_.size() <= kMaxDeletedRevisions) return;
  deleted_revisions_.erase(deletion_order_.front());
  deletion_order_.pop_front();
}

CatalogIndex::Accepted CatalogIndex::Accept(Source source, absl::Span<const ItemUpdate> updates,
                                            absl::Span<const ItemDelete> deletes,
                                            const StateEditor& editor) {
  Accepted accepted;
  for (const ItemDelete& deletion : deletes) RecordDeletion(deletion.item_id, deletion.revision);

  NewestUpdates newest;
  for (const ItemUpdate& update : updates) {
    const ItemUpdate*& known = newest[update.item_id];
    if (known != nullptr) ++accepted.result.stale;
    if (known == nullptr || update.revision >= known->revision) known = &update;
  }

  AcceptUpdates(source, updates, newest, editor, accepted);
  AcceptDeletes(deletes, newest, editor, accepted);
  return accepted;
}

void CatalogIndex::AcceptUpdates(Source source, absl::Span<const ItemUpdate> updates,
                                 const NewestUpdates& newest, const StateEditor& editor,
                                 Accepted& accepted) {
  const std::map<std::string, AttributeType> types = FilterableTypes(*editor.state().config);
  VectorCheck vector_check(editor.state());

  // In the order of the updates, because the first vector of a space decides its dimensions.
  for (const ItemUpdate& candidate : updates) {
    if (newest.at(candidate.item_id) != &candidate) continue;
    const std::optional<RowPlace> place = editor.Find(candidate.item_id);
    const int64_t held =
        place.has_value() ? editor.state().segments[place->segment].rows->revision(place->row) : 0;
    const bool outdated =
        candidate.revision < held || candidate.revision <= DeletedRevision(candidate.item_id);
    if (source == Source::kChanges && outdated) {
      ++accepted.result.stale;
      continue;
    }

    ItemUpdate update = candidate;
    std::erase_if(update.attributes, [&](const auto& attribute) {
      const auto declared = types.find(attribute.first);
      return declared == types.end() || declared->second != TypeOf(attribute.second);
    });
    accepted.result.refused_vectors += vector_check.Filter(update);
    if (candidate.revision == held &&
        editor.state().segments[place->segment].rows->Equals(place->row, update)) {
      ++accepted.result.unchanged;
      continue;
    }

    if (place.has_value()) accepted.replaced.push_back(*place);
    accepted.updates.push_back(std::move(update));
    ++accepted.result.applied;
  }
}

void CatalogIndex::AcceptDeletes(absl::Span<const ItemDelete> deletes, const NewestUpdates& newest,
                                 const StateEditor& editor, Accepted& accepted) {
  absl::flat_hash_map<absl::string_view, int64_t> revisions;
  for (const ItemDelete& deletion : deletes) {
    int64_t& revision = revisions[deletion.item_id];
    revision = std::max(revision, deletion.revision);
  }

  for (const auto& [item_id, revision] : revisions) {
    const auto update = newest.find(item_id);
    if (update != newest.end() && update->second->revision > revision)
      continue;  // written again by the same call

    const std::optional<RowPlace> place = editor.Find(item_id);
    if (!place.has_value()) {
      ++accepted.result.unchanged;
    } else if (editor.state().segments[place->segment].rows->revision(place->row) > revision) {
      ++accepted.result.stale;
    } else {
      accepted.replaced.push_back(*place);
      ++accepted.result.applied;
    }
  }
}

absl::StatusOr<ApplyResult> CatalogIndex::Apply(absl::Span<const ItemUpdate> updates,
                                                absl::Span<const ItemDelete> deletes) {
  return ApplyFrom(Source::kChanges, updates, deletes);
}

absl::StatusOr<ApplyResult> CatalogIndex::ApplyListed(absl::Span<const ItemUpdate> updates) {
  return ApplyFrom(Source::kListing, updates, {});
}

absl::StatusOr<ApplyResult> CatalogIndex::ApplyFrom(Source source,
                                                    absl::Span<const ItemUpdate> updates,
                                                    absl::Span<const ItemDelete> deletes) {
  PALATE_RETURN_IF_ERROR(CheckChanges(updates, deletes));

  MutexLock lock(write_mutex_);
  StateEditor editor(*state());
  const Accepted accepted = Accept(source, updates, deletes, editor);
  for (const RowPlace& place : accepted.replaced) editor.Kill(place);

  if (!accepted.updates.empty()) {
    const bool delta = static_cast<int64_t>(accepted.updates.size()) < options_.delta_rows;
    RowSegmentBuilder builder(factory_, {}, delta);
    for (const ItemUpdate& update : accepted.updates) builder.Add(update);
    PALATE_ASSIGN_OR_RETURN(std::shared_ptr<const RowSegment> segment, builder.Build());
    editor.Append(std::move(segment));
    PALATE_RETURN_IF_ERROR(FoldDelta(editor));
  }

  if (accepted.result.refused_vectors > 0) {
    spdlog::warn(
        "retrieval: catalog {}: {} vectors are left out: not of unit length, or not of their "
        "space's dimensions",
        editor.state().config->id, accepted.result.refused_vectors);
  }

  if (accepted.result.applied > 0) Publish(editor.Finish(clock_.Now() + options_.retire_after));
  MutexLock counters(state_mutex_);
  totals_.applied += accepted.result.applied;
  totals_.unchanged += accepted.result.unchanged;
  totals_.stale += accepted.result.stale;
  totals_.refused_vectors += accepted.result.refused_vectors;
  return accepted.result;
}

// Keeps the number of delta segments logarithmic: merges the newest two as long as the older one
// has at most twice the rows. So a row is copied a few times at most before it is in a large
// segment.
absl::Status CatalogIndex::FoldDelta(StateEditor& editor) {
  while (editor.state().segments.size() >= 2) {
    const size_t last = editor.state().segments.size() - 1;
    const SegmentView older = editor.state().segments[last - 1];
    const SegmentView newer = editor.state().segments[last];
    const bool foldable = IsDelta(older, options_) && IsDelta(newer, options_) &&
                          older.live <= 2 * newer.live &&
                          older.live + newer.live < options_.delta_rows;
    if (!foldable || merging_.contains(older.rows.get()) || merging_.contains(newer.rows.get()))
      break;

    RowSegmentBuilder builder(factory_, editor.state().dropped, /*delta=*/true);
    for (const SegmentView* view : {&older, &newer}) {
      for (uint32_t row = 0; row < view->rows->rows(); ++row) {
        if (view->IsLive(row)) builder.Add(*view->rows, row);
      }
    }

    PALATE_ASSIGN_OR_RETURN(std::shared_ptr<const RowSegment> folded, builder.Build());
    editor.Remove(last);
    editor.Remove(last - 1);
    editor.Append(std::move(folded));
  }
  return absl::OkStatus();
}

int64_t CatalogIndex::EndListing(const absl::flat_hash_set<std::string>& item_ids) {
  MutexLock lock(write_mutex_);
  StateEditor editor(*state());
  int64_t removed = 0;
  for (size_t i = 0; i < editor.state().segments.size(); ++i) {
    const SegmentView view = editor.state().segments[i];
    for (uint32_t row = 0; row < view.rows->rows(); ++row) {
      if (!view.IsLive(row) || item_ids.contains(view.rows->item_id(row))) continue;
      editor.Kill({.segment = i, .row = row});
      ++removed;
    }
  }

  editor.SetListingDue(false);
  Publish(editor.Finish(clock_.Now() + options_.retire_after));
  return removed;
}

absl::StatusOr<std::unique_ptr<const PreparedSearch>> CatalogIndex::Prepare(
    const SearchRequest& request) const {
  return PrepareSearch(state(), request, clock_);
}

absl::StatusOr<SearchResponse> CatalogIndex::Search(const SearchRequest& request) const {
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<const PreparedSearch> search, Prepare(request));
  SearchResponse response{
      .results = {}, .lists = {}, .filter_evaluations = search->filter_evaluations()};
  for (size_t i = 0; i < request.queries.size(); ++i) response.results.push_back(search->Run(i));
  for (size_t i = 0; i < request.lists.size(); ++i) response.lists.push_back(search->RunList(i));
  return response;
}

absl::StatusOr<SpaceVector> CatalogIndex::GetVector(absl::string_view item_id,
                                                    const SpaceKey& space) const {
  const std::shared_ptr<const IndexState> state = this->state();
  SpaceKey key = space;
  const auto active = state->active.find(space.name);
  if (key.fingerprint.empty() && active != state->active.end()) key.fingerprint = active->second;
  const absl::Status no_vector = absl::NotFoundError(absl::StrCat(
      "item ", QuoteForMessage(item_id), " has no vector in space ", QuoteForMessage(space.name)));

  // Without a fingerprint here the space has no vectors. CheckSpace finds out whether it is
  // declared; it needs a fingerprint that is not empty.
  const bool nothing_embedded = key.fingerprint.empty();
  if (nothing_embedded) key.fingerprint = "none";
  PALATE_RETURN_IF_ERROR(CheckSpace(*state, key));

  const std::optional<RowPlace> place = FindLiveRow(*state, item_id);
  if (!place.has_value())
    return absl::NotFoundError(absl::StrCat("no item ", QuoteForMessage(item_id), " in the index"));
  const RowSegment& rows = *state->segments[place->segment].rows;
  const SpacePart* part = nothing_embedded ? nullptr : rows.FindSpace(key);
  if (part == nullptr || part->vector_of_row[place->row] == SpacePart::kNoVector) return no_vector;

  SpaceVector vector{.space = key, .values = std::vector<float>(part->vectors->dimensions())};
  part->vectors->Reconstruct(part->vector_of_row[place->row], vector.values.data());
  return vector;
}

absl::StatusOr<std::string> CatalogIndex::ActiveFingerprint(absl::string_view space) const {
  const std::shared_ptr<const IndexState> state = this->state();
  const auto active = state->active.find(std::string(space));
  if (active != state->active.end()) return active->second;
  PALATE_RETURN_IF_ERROR(CheckSpace(*state, {.name = std::string(space), .fingerprint = "none"}));
  return std::string();
}

bool CatalogIndex::Retire() {
  StateEditor editor(*state());
  if (!editor.Drop(clock_.Now())) return false;
  Publish(editor.Finish(clock_.Now() + options_.retire_after));
  return true;
}

absl::StatusOr<bool> CatalogIndex::Maintain() {
  std::vector<SegmentView> inputs;
  std::set<SpaceKey> dropped;
  {
    MutexLock lock(write_mutex_);
    if (Retire()) return true;
    const std::shared_ptr<const IndexState> state = this->state();
    for (size_t picked : PickMerge(*state, options_)) {
      inputs.push_back(state->segments[picked]);
      merging_.insert(state->segments[picked].rows.get());
    }
    dropped = state->dropped;
  }
  if (inputs.empty()) return false;

  int64_t live = 0;
  for (const SegmentView& input : inputs) live += input.live;
  RowSegmentBuilder builder(factory_, std::move(dropped), live < options_.delta_rows);
  for (const SegmentView& input : inputs) {
    for (uint32_t row = 0; row < input.rows->rows(); ++row) {
      if (input.IsLive(row)) builder.Add(*input.rows, row);
    }
  }

  absl::StatusOr<std::shared_ptr<const RowSegment>> merged = builder.Build();
  MutexLock lock(write_mutex_);
  merging_.clear();
  if (!merged.ok()) return Annotate(merged.status(), "merging segments");
  Install(inputs, *std::move(merged));
  MutexLock counters(state_mutex_);
  ++merges_;
  return true;
}

// Replaces the inputs with the merged segment. Rows that were replaced or deleted in an input
// during the merge are marked as dead in the merged segment too.
void CatalogIndex::Install(const std::vector<SegmentView>& inputs,
                           std::shared_ptr<const RowSegment> merged) {
  StateEditor editor(*state());
  std::vector<uint32_t> died;
  for (const SegmentView& input : inputs) {
    const auto& segments = editor.state().segments;
    const auto present =
        std::find_if(segments.begin(), segments.end(),
                     [&](const SegmentView& view) { return view.rows == input.rows; });
    for (uint32_t row = 0; row < input.rows->rows(); ++row) {
      const bool lives = present != segments.end() && present->IsLive(row);
      if (input.IsLive(row) && !lives) died.push_back(*merged->Find(input.rows->item_id(row)));
    }
    if (present != segments.end()) editor.Remove(present - segments.begin());
  }

  editor.Prepend(std::move(merged));
  for (uint32_t row : died) editor.Kill({.segment = 0, .row = row});
  Publish(editor.Finish(clock_.Now() + options_.retire_after));
}

void CatalogIndex::Restore(std::vector<SegmentView> segments, const std::set<SpaceKey>& retiring,
                           const std::set<SpaceKey>& dropped, bool listing_due) {
  MutexLock lock(write_mutex_);
  IndexState restored;
  restored.config = state()->config;
  restored.segments = std::move(segments);
  restored.listing_due = listing_due;

  StateEditor editor(restored);
  const absl::Time retire_at = clock_.Now() + options_.retire_after;
  editor.AdoptRetired(retiring, dropped, retire_at);
  Publish(editor.Finish(retire_at));
}

CatalogStats CatalogIndex::GetStats() const {
  CatalogStats stats;
  std::shared_ptr<const IndexState> state;
  {
    MutexLock lock(state_mutex_);
    state = state_;
    stats.applied = totals_.applied;
    stats.stale = totals_.stale;
    stats.refused_vectors = totals_.refused_vectors;
    stats.merges = merges_;
  }

  stats.catalog = state->config->id;
  for (const SegmentView& view : state->segments) {
    stats.items += view.live;
    stats.tombstones += static_cast<int64_t>(view.rows->rows()) - view.live;
    stats.memory_bytes += view.rows->memory_bytes();
    if (IsDelta(view, options_)) {
      stats.delta_items += view.live;
    } else {
      ++stats.segments;
    }
  }

  for (const auto& [key, info] : state->spaces) {
    const auto active = state->active.find(key.name);
    stats.spaces.push_back(
        {.space = key,
         .active = active != state->active.end() && active->second == key.fingerprint,
         .dimensions = info.dimensions,
         .vectors = info.live_vectors});
  }
  return stats;
}

}  // namespace palate::retrieval
