#include "retrieval/search.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/vector.h"

namespace palate::retrieval {
namespace {

// The vectors of one segment that may be returned.
struct Target {
  const RowSegment* rows = nullptr;
  const SpacePart* part = nullptr;
  bool all = true;  // then `allowed` is empty
  Bitmap allowed;   // by vector
};

absl::Status CheckGoingOn(const SearchRequest& request, const Clock& clock) { return request.context.Check("the search", clock.Now()); }

absl::Status CheckQuery(const std::vector<float>& query, const std::string& field, int dimensions) {
  if (query.empty() || query.size() > kMaxDimensions) {
    return InvalidField(field, absl::StrCat("has ", query.size(), " dimensions"), absl::StrCat("1 to ", kMaxDimensions));
  }
  if (dimensions != 0 && static_cast<int>(query.size()) != dimensions) {
    return InvalidField(field, absl::StrCat("has ", query.size(), " dimensions"), absl::StrCat(dimensions, ", as the space's vectors"));
  }
  double norm = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    if (!std::isfinite(query[i])) return InvalidField(absl::StrCat(field, "[", i, "]"), absl::StrCat("is ", query[i]), "finite");
    norm += static_cast<double>(query[i]) * query[i];
  }
  if (norm == 0) return InvalidField(field, "is all zeros", "a direction: some element above or below 0");
  return absl::OkStatus();
}

absl::Status CheckRequest(const SearchRequest& request, int dimensions) {
  if (request.k < 1 || request.k > kMaxSearchResults) {
    return InvalidField("k", absl::StrCat("is ", request.k), absl::StrCat("1 to ", kMaxSearchResults));
  }
  if (request.queries.empty() || request.queries.size() > kMaxSearchQueries) {
    return InvalidField("queries", absl::StrCat("has ", request.queries.size(), " vectors"), absl::StrCat("1 to ", kMaxSearchQueries));
  }
  if (request.exclude_item_ids.size() > kMaxExcludedItems) {
    return InvalidField("exclude_item_ids", absl::StrCat("has ", request.exclude_item_ids.size(), " ids"),
                        absl::StrCat("at most ", kMaxExcludedItems));
  }
  for (size_t i = 0; i < request.queries.size(); ++i) {
    PALATE_RETURN_IF_ERROR(CheckQuery(request.queries[i], absl::StrCat("queries[", i, "]"), dimensions));
  }
  return absl::OkStatus();
}

// The rows of the segment that the request may see.
absl::StatusOr<Bitmap> AllowedRows(const SegmentView& view, const SearchRequest& request, int64_t now_micros, const Clock& clock) {
  const RowSegment& rows = *view.rows;
  Bitmap allowed(rows.rows(), true);
  if (request.filter != nullptr && !request.filter->matches_everything()) {
    PALATE_ASSIGN_OR_RETURN(allowed, rows.columns().Evaluate(*request.filter, [&] { return CheckGoingOn(request, clock); }));
  }
  if (view.dead != nullptr) allowed.AndNot(*view.dead);
  allowed.AndNot(rows.hidden());
  const std::vector<int64_t>& expire = rows.expire_micros();
  for (size_t row = 0; row < expire.size(); ++row) {
    if (expire[row] <= now_micros) allowed.Clear(row);
  }
  for (const std::string& id : request.exclude_item_ids) {
    const std::optional<uint32_t> row = rows.Find(id);
    if (row.has_value()) allowed.Clear(*row);
  }
  return allowed;
}

class StateSearch final : public PreparedSearch {
 public:
  StateSearch(std::shared_ptr<const IndexState> state, const SearchRequest& request, const Clock& clock)
      : state_(std::move(state)), request_(request), clock_(clock) {}

  absl::Status Prepare();
  absl::StatusOr<std::vector<SearchHit>> Run(size_t query) const override;

 private:
  struct Candidate {
    float score;
    absl::string_view item_id;
  };

  absl::Status Collect(const Target& target, const std::vector<float>& query, std::vector<Candidate>& candidates) const;

  const std::shared_ptr<const IndexState> state_;
  const SearchRequest& request_;
  const Clock& clock_;
  std::vector<Target> targets_;
};

absl::Status StateSearch::Prepare() {
  PALATE_RETURN_IF_ERROR(CheckSpace(*state_, request_.space));
  const auto space = state_->spaces.find(request_.space);
  PALATE_RETURN_IF_ERROR(CheckRequest(request_, space == state_->spaces.end() ? 0 : space->second.dimensions));
  const int64_t now = absl::ToUnixMicros(request_.now == absl::InfiniteFuture() ? clock_.Now() : request_.now);
  for (const SegmentView& view : state_->segments) {
    PALATE_RETURN_IF_ERROR(CheckGoingOn(request_, clock_));
    const SpacePart* part = view.rows->FindSpace(request_.space);
    if (part == nullptr || view.live_vectors[part - view.rows->spaces().data()] == 0) continue;
    PALATE_ASSIGN_OR_RETURN(Bitmap rows, AllowedRows(view, request_, now, clock_));
    Target target{.rows = view.rows.get(), .part = part, .all = true, .allowed = {}};
    if (part->row_of_vector.size() == view.rows->rows()) {
      target.allowed = std::move(rows);  // every row has a vector: vectors are numbered like rows
    } else {
      target.allowed = Bitmap(part->row_of_vector.size());
      target.allowed.Fill([&](size_t vector) { return rows.Test(part->row_of_vector[vector]); });
    }
    const size_t count = target.allowed.Count();
    if (count == 0) continue;
    target.all = count == target.allowed.size();
    if (target.all) target.allowed = Bitmap();
    targets_.push_back(std::move(target));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SearchHit>> StateSearch::Run(size_t query) const {
  std::vector<float> unit = request_.queries[query];
  Normalize(unit);
  std::vector<Candidate> candidates;
  for (const Target& target : targets_) {
    PALATE_RETURN_IF_ERROR(CheckGoingOn(request_, clock_));
    PALATE_RETURN_IF_ERROR(Collect(target, unit, candidates));
  }
  const size_t count = std::min<size_t>(request_.k, candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + count, candidates.end(),
                    [](const Candidate& a, const Candidate& b) { return a.score != b.score ? a.score > b.score : a.item_id < b.item_id; });
  std::vector<SearchHit> hits;
  hits.reserve(count);
  for (size_t i = 0; i < count; ++i) hits.push_back({.item_id = std::string(candidates[i].item_id), .score = candidates[i].score});
  return hits;
}

// Adds the segment's k best and everything that scores like the last of them: which of the equals is returned is
// decided by item id, among all segments. So one more than k is asked for, and more while the extra ones still score
// the same.
absl::Status StateSearch::Collect(const Target& target, const std::vector<float>& query, std::vector<Candidate>& candidates) const {
  const VectorSegment& vectors = *target.part->vectors;
  const Bitmap* allowed = target.all ? nullptr : &target.allowed;
  const int64_t k = request_.k;
  std::vector<VectorHit> hits;
  for (int64_t wanted = k + 1;; wanted = std::min(wanted * 8, vectors.size())) {
    PALATE_ASSIGN_OR_RETURN(hits, vectors.Search(query.data(), wanted, allowed));
    const int64_t found = static_cast<int64_t>(hits.size());
    if (found < wanted || found >= vectors.size() || hits[k - 1].score > hits.back().score) break;
  }
  for (const VectorHit& hit : hits) {
    candidates.push_back({.score = hit.score, .item_id = target.rows->item_id(target.part->row_of_vector[hit.index])});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSpace(const IndexState& state, const SpaceKey& space) {
  const auto& declared = state.config->spaces;
  if (std::find(declared.begin(), declared.end(), space.name) == declared.end()) {
    return absl::NotFoundError(absl::StrCat("catalog \"", state.config->id, "\" declares no space ", QuoteForMessage(space.name)));
  }
  if (space.fingerprint.empty()) {
    return InvalidField("space.fingerprint", "is empty", "the fingerprint of the model that made the vector");
  }
  const auto active = state.active.find(space.name);
  if (active == state.active.end() || active->second == space.fingerprint || state.retiring.contains(space)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the vector is from model ", QuoteForMessage(space.fingerprint), ", space \"",
                                                    space.name, "\" of catalog \"", state.config->id, "\" is served with model ",
                                                    QuoteForMessage(active->second)));
}

absl::StatusOr<std::unique_ptr<const PreparedSearch>> PrepareSearch(std::shared_ptr<const IndexState> state, const SearchRequest& request,
                                                                    const Clock& clock) {
  auto search = std::make_unique<StateSearch>(std::move(state), request, clock);
  PALATE_RETURN_IF_ERROR(search->Prepare());
  return search;
}

}  // namespace palate::retrieval
