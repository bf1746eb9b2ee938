#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/recommend_stages.h"

namespace palate::pipeline {
namespace {

// Whether the request compares items with a vector of a model that its space only changes to.
bool UsesTargets(const RequestState& state) {
  for (const SpaceModels& models : state.context.spaces) {
    if (!models.IsChanging()) continue;
    const SpaceKey target = {models.name, models.target_fingerprint};
    for (const QueryVector& query : state.query_vectors) {
      if (query.vector.space == target) return true;
    }
    for (const ItemWithVectors& item : state.context_items) {
      for (const SpaceVector& vector : item.vectors) {
        if (vector.space == target) return true;
      }
    }
  }
  return false;
}

}  // namespace

bool FilterStage::Admits(const RequestState& state, const Item& item) {
  if (item.hidden || state.excluded.count(item.id) > 0) return false;
  if (state.excluded_numbers.Contains(item.number)) return false;
  if (item.expire_time.has_value() && *item.expire_time <= state.now) return false;
  return state.filter == nullptr || state.filter->Matches(item.attributes);
}

absl::Status FilterStage::Run(RequestState& state) const {
  std::vector<std::string> ids;
  for (const Candidate& candidate : state.candidates) ids.push_back(candidate.item_id);
  if (ids.empty()) return absl::OkStatus();

  const ItemVectors vectors = {.spaces = {kTextSpace, kImageSpace},
                               .all_fingerprints = UsesTargets(state)};
  PALATE_ASSIGN_OR_RETURN(auto items,
                          features_.GetItems(state.query.catalog, ids, vectors, state.call));

  std::vector<Candidate> kept;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].has_value()) {
      state.missing_item_ids.push_back(ids[i]);
      continue;
    }
    if (!Admits(state, items[i]->item)) {
      state.filtered_item_ids.push_back(ids[i]);
      continue;
    }
    state.candidates[i].record = *std::move(items[i]);
    kept.push_back(std::move(state.candidates[i]));
  }

  state.candidates = std::move(kept);
  return absl::OkStatus();
}

}  // namespace palate::pipeline
