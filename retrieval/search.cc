#include "retrieval/search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/vector.h"

namespace palate::retrieval {
namespace {

// The vectors of one space in one segment, and which of them may be returned.
struct Target {
  const RowSegment* rows = nullptr;
  const SpacePart* part = nullptr;
  std::shared_ptr<const Bitmap> allowed;  // by vector; null: all
};

absl::Status CheckGoingOn(const SearchRequest& request, const Clock& clock) {
  return request.context.Check("the search", clock.Now());
}

absl::Status CheckValues(const std::vector<float>& values, int dimensions) {
  constexpr absl::string_view kField = "vector.values";
  if (values.empty() || values.size() > kMaxDimensions) {
    return InvalidField(kField, absl::StrCat("has ", values.size(), " dimensions"),
                        absl::StrCat("1 to ", kMaxDimensions));
  }
  if (dimensions != 0 && static_cast<int>(values.size()) != dimensions) {
    return InvalidField(kField, absl::StrCat("has ", values.size(), " dimensions"),
                        absl::StrCat(dimensions, ", as the space's vectors"));
  }

  double norm = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      return InvalidField(absl::StrCat(kField, "[", i, "]"), absl::StrCat("is ", values[i]),
                          "finite");
    norm += static_cast<double>(values[i]) * values[i];
  }
  if (norm == 0)
    return InvalidField(kField, "is all zeros", "different from 0 in at least one element");
  return absl::OkStatus();
}

// The error of one query.
absl::Status CheckQuery(const IndexState& state, const VectorQuery& query) {
  PALATE_RETURN_IF_ERROR(PrefixFields(CheckSpace(state, query.vector.space), "vector"));
  const auto space = state.spaces.find(query.vector.space);
  PALATE_RETURN_IF_ERROR(
      CheckValues(query.vector.values, space == state.spaces.end() ? 0 : space->second.dimensions));
  if (query.k < 1 || query.k > kMaxSearchResults) {
    return InvalidField("k", absl::StrCat("is ", query.k),
                        absl::StrCat("1 to ", kMaxSearchResults));
  }
  return absl::OkStatus();
}

absl::Status CheckLists(const std::vector<CandidateList>& lists) {
  if (lists.size() > kMaxCandidateLists) {
    return InvalidField("candidate_lists", absl::StrCat("has ", lists.size(), " elements"),
                        absl::StrCat("at most ", kMaxCandidateLists));
  }

  for (size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].item_ids.size() > kMaxListedCandidates) {
      return InvalidField(absl::StrCat("candidate_lists[", i, "].item_ids"),
                          absl::StrCat("has ", lists[i].item_ids.size(), " ids"),
                          absl::StrCat("at most ", kMaxListedCandidates));
    }
    if (lists[i].k < 1 || lists[i].k > kMaxSearchResults) {
      return InvalidField(absl::StrCat("candidate_lists[", i, "].k"),
                          absl::StrCat("is ", lists[i].k),
                          absl::StrCat("1 to ", kMaxSearchResults));
    }
  }
  return absl::OkStatus();
}

// The error of the request as a whole.
absl::Status CheckRequest(const SearchRequest& request) {
  if ((request.queries.empty() && request.lists.empty()) ||
      request.queries.size() > kMaxSearchQueries) {
    return InvalidField("queries", absl::StrCat("has ", request.queries.size(), " elements"),
                        absl::StrCat("1 to ", kMaxSearchQueries));
  }
  PALATE_RETURN_IF_ERROR(CheckLists(request.lists));
  if (request.exclude_item_ids.size() > kMaxExcludedItems) {
    return InvalidField("exclude_item_ids",
                        absl::StrCat("has ", request.exclude_item_ids.size(), " ids"),
                        absl::StrCat("at most ", kMaxExcludedItems));
  }
  return absl::OkStatus();
}

// The vectors of the part that belong to allowed rows; null stands for all rows and all vectors.
std::shared_ptr<const Bitmap> AllowedVectors(const SpacePart& part,
                                             std::shared_ptr<const Bitmap> rows) {
  if (rows == nullptr || part.row_of_vector.size() == rows->size())
    return rows;  // every row has a vector, so both have the same indexes
  auto vectors = std::make_shared<Bitmap>(part.row_of_vector.size());
  vectors->Fill([&](size_t vector) { return rows->Test(part.row_of_vector[vector]); });
  return vectors;
}

class StateSearch final : public PreparedSearch {
 public:
  StateSearch(std::shared_ptr<const IndexState> state, const SearchRequest& request,
              const Clock& clock)
      : state_(std::move(state)), request_(request), clock_(clock) {}

  absl::Status Prepare();
  SearchResult Run(size_t query) const override;
  std::vector<std::string> RunList(size_t list) const override;
  int64_t filter_evaluations() const override { return filter_evaluations_; }

 private:
  struct Candidate {
    float score;
    absl::string_view item_id;
  };

  // A segment, and which of its rows may be returned; null: all.
  struct AllowedSegment {
    const RowSegment* rows = nullptr;
    std::shared_ptr<const Bitmap> allowed;
  };

  absl::Status AddSegment(const SegmentView& view, int64_t now_micros);
  std::vector<std::string> LastChanged(size_t count) const;
  absl::StatusOr<std::shared_ptr<const Bitmap>> AllowedRows(const SegmentView& view,
                                                            int64_t now_micros);
  absl::Status Collect(const Target& target, const std::vector<float>& query, int64_t k,
                       std::vector<Candidate>& candidates) const;

  const std::shared_ptr<const IndexState> state_;
  const SearchRequest& request_;
  const Clock& clock_;
  std::vector<absl::Status> checks_;                 // of each of request_.queries
  std::map<SpaceKey, std::vector<Target>> targets_;  // by the spaces of the correct queries
  std::vector<AllowedSegment> segments_;             // only if the request has lists
  int64_t filter_evaluations_ = 0;
};

absl::Status StateSearch::Prepare() {
  PALATE_RETURN_IF_ERROR(CheckRequest(request_));
  for (const VectorQuery& query : request_.queries) {
    checks_.push_back(CheckQuery(*state_, query));
    if (checks_.back().ok()) targets_.try_emplace(query.vector.space);
  }

  const int64_t now =
      absl::ToUnixMicros(request_.now == absl::InfiniteFuture() ? clock_.Now() : request_.now);
  for (const SegmentView& view : state_->segments) {
    PALATE_RETURN_IF_ERROR(CheckGoingOn(request_, clock_));
    PALATE_RETURN_IF_ERROR(AddSegment(view, now));
  }
  return absl::OkStatus();
}

// Adds the segment's targets. Which rows are allowed is evaluated once for all queries and spaces,
// and only if at least one of the spaces has vectors in the segment or the request has lists.
absl::Status StateSearch::AddSegment(const SegmentView& view, int64_t now_micros) {
  std::vector<std::pair<const SpacePart*, std::vector<Target>*>> parts;
  for (auto& [space, targets] : targets_) {
    const SpacePart* part = view.rows->FindSpace(space);
    if (part == nullptr || view.live_vectors[part - view.rows->spaces().data()] == 0) continue;
    parts.emplace_back(part, &targets);
  }
  if (parts.empty() && request_.lists.empty()) return absl::OkStatus();

  PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<const Bitmap> rows, AllowedRows(view, now_micros));
  if (!request_.lists.empty()) segments_.push_back({view.rows.get(), rows});
  for (const auto& [part, targets] : parts) {
    Target target{.rows = view.rows.get(), .part = part, .allowed = AllowedVectors(*part, rows)};
    if (target.allowed != nullptr) {
      const size_t count = target.allowed->Count();
      if (count == 0) continue;
      if (count == target.allowed->size()) target.allowed = nullptr;
    }
    targets->push_back(std::move(target));
  }
  return absl::OkStatus();
}

// The rows of the segment that may be returned; null: all of them.
absl::StatusOr<std::shared_ptr<const Bitmap>> StateSearch::AllowedRows(const SegmentView& view,
                                                                       int64_t now_micros) {
  const RowSegment& rows = *view.rows;
  std::shared_ptr<Bitmap> allowed;
  const auto restricted = [&]() -> Bitmap& {
    if (allowed == nullptr) allowed = std::make_shared<Bitmap>(rows.rows(), true);
    return *allowed;
  };

  if (request_.filter != nullptr && !request_.filter->matches_everything()) {
    ++filter_evaluations_;
    PALATE_ASSIGN_OR_RETURN(Bitmap matching, rows.columns().Evaluate(*request_.filter, [&] {
      return CheckGoingOn(request_, clock_);
    }));
    allowed = std::make_shared<Bitmap>(std::move(matching));
  }

  if (view.dead != nullptr) restricted().AndNot(*view.dead);
  if (rows.hidden().Any()) restricted().AndNot(rows.hidden());
  const std::vector<int64_t>& expire = rows.expire_micros();
  for (size_t row = 0; row < expire.size(); ++row) {
    if (expire[row] <= now_micros) restricted().Clear(row);
  }

  for (const std::string& id : request_.exclude_item_ids) {
    const std::optional<uint32_t> row = rows.Find(id);
    if (row.has_value()) restricted().Clear(*row);
  }
  rows.ForEachRowOf(request_.exclude_item_numbers, [&](size_t row) { restricted().Clear(row); });
  return allowed;
}

SearchResult StateSearch::Run(size_t query) const {
  PALATE_RETURN_IF_ERROR(checks_[query]);
  const VectorQuery& wanted = request_.queries[query];
  std::vector<float> unit = wanted.vector.values;
  Normalize(unit);

  std::vector<Candidate> candidates;
  for (const Target& target : targets_.at(wanted.vector.space)) {
    PALATE_RETURN_IF_ERROR(CheckGoingOn(request_, clock_));
    PALATE_RETURN_IF_ERROR(Collect(target, unit, wanted.k, candidates));
  }

  const size_t count = std::min<size_t>(wanted.k, candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + count, candidates.end(),
                    [](const Candidate& a, const Candidate& b) {
                      return a.score != b.score ? a.score > b.score : a.item_id < b.item_id;
                    });

  std::vector<SearchHit> hits;
  hits.reserve(count);
  for (size_t i = 0; i < count; ++i)
    hits.push_back({.item_id = std::string(candidates[i].item_id), .score = candidates[i].score});
  return hits;
}

std::vector<std::string> StateSearch::RunList(size_t list) const {
  const CandidateList& wanted = request_.lists[list];
  const auto count = static_cast<size_t>(wanted.k);
  if (wanted.item_ids.empty()) return LastChanged(count);

  std::vector<std::string> ids;
  for (const std::string& id : wanted.item_ids) {
    if (ids.size() == count) break;
    const bool allowed =
        std::any_of(segments_.begin(), segments_.end(), [&](const AllowedSegment& segment) {
          const std::optional<uint32_t> row = segment.rows->Find(id);
          return row.has_value() && (segment.allowed == nullptr || segment.allowed->Test(*row));
        });
    if (allowed) ids.push_back(id);
  }
  return ids;
}

// The allowed items with the highest revisions, the highest first, ties by id.
std::vector<std::string> StateSearch::LastChanged(size_t count) const {
  struct Row {
    int64_t revision;
    absl::string_view item_id;
  };
  const auto before = [](const Row& a, const Row& b) {
    return a.revision != b.revision ? a.revision > b.revision : a.item_id < b.item_id;
  };

  std::vector<Row> best;  // a heap, whose front is the last of them
  for (const AllowedSegment& segment : segments_) {
    const auto visit = [&](size_t at) {
      const Row row{segment.rows->revision(at), segment.rows->item_id(at)};
      if (best.size() == count) {
        if (!before(row, best.front())) return;
        std::pop_heap(best.begin(), best.end(), before);
        best.pop_back();
      }
      best.push_back(row);
      std::push_heap(best.begin(), best.end(), before);
    };
    if (segment.allowed != nullptr) {
      segment.allowed->ForEach(visit);
    } else {
      for (size_t row = 0; row < segment.rows->rows(); ++row) visit(row);
    }
  }

  std::sort_heap(best.begin(), best.end(), before);
  std::vector<std::string> ids;
  for (const Row& row : best) ids.emplace_back(row.item_id);
  return ids;
}

// Adds the segment's k best vectors and all others with the same score as the last of them, because
// ties are decided by item id among all segments. So it searches for k + 1, and for more while the
// last hit has the same score as hit k.
absl::Status StateSearch::Collect(const Target& target, const std::vector<float>& query, int64_t k,
                                  std::vector<Candidate>& candidates) const {
  const VectorSegment& vectors = *target.part->vectors;
  std::vector<VectorHit> hits;
  for (int64_t wanted = k + 1;; wanted = std::min(wanted * 8, vectors.size())) {
    PALATE_ASSIGN_OR_RETURN(hits, vectors.Search(query.data(), wanted, target.allowed.get()));
    const int64_t found = static_cast<int64_t>(hits.size());
    if (found < wanted || found >= vectors.size() || hits[k - 1].score > hits.back().score) break;
  }

  for (const VectorHit& hit : hits) {
    candidates.push_back({.score = hit.score,
                          .item_id = target.rows->item_id(target.part->row_of_vector[hit.index])});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSpace(const IndexState& state, const SpaceKey& space) {
  const auto& declared = state.config->spaces;
  if (std::find(declared.begin(), declared.end(), space.name) == declared.end()) {
    return absl::NotFoundError(absl::StrCat("catalog \"", state.config->id, "\" declares no space ",
                                            QuoteForMessage(space.name)));
  }
  if (space.fingerprint.empty()) {
    return InvalidField("space.fingerprint", "is empty",
                        "the fingerprint of the model that made the vector");
  }

  // Vectors of a model that the space changes to can be searched as soon as there are some: the
  // caller knows that they are not all of the catalog.
  const auto active = state.active.find(space.name);
  if (active == state.active.end() || active->second == space.fingerprint ||
      state.retiring.contains(space) || state.spaces.contains(space))
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the vector is from model ", QuoteForMessage(space.fingerprint), ", space \"",
                   space.name, "\" of catalog \"", state.config->id, "\" is served with model ",
                   QuoteForMessage(active->second)));
}

absl::StatusOr<std::unique_ptr<const PreparedSearch>> PrepareSearch(
    std::shared_ptr<const IndexState> state, const SearchRequest& request, const Clock& clock) {
  auto search = std::make_unique<StateSearch>(std::move(state), request, clock);
  PALATE_RETURN_IF_ERROR(search->Prepare());
  return search;
}

}  // namespace palate::retrieval
