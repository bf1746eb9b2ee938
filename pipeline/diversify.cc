#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "pipeline/recommend_stages.h"
#include "ranking/diversity.h"

namespace palate::pipeline {
namespace {

// The values of an attribute that a cap counts; numbers and booleans as text.
std::vector<std::string> ValuesOf(const Item& item, const std::string& attribute) {
  const auto found = item.attributes.find(attribute);
  if (found == item.attributes.end()) return {};
  return std::visit(
      [](const auto& value) -> std::vector<std::string> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return value;
        } else if constexpr (std::is_same_v<T, double>) {
          return {NumberText(value)};
        } else {
          return {absl::StrCat(value)};
        }
      },
      found->second);
}

// The model of most of the candidates' vectors in the text space. While a space changes its model,
// candidates may have vectors of both.
std::string TextFingerprint(const std::vector<Candidate>& candidates) {
  std::map<std::string, int> counts;
  std::string most;
  for (const Candidate& candidate : candidates) {
    for (const SpaceVector& vector : candidate.record.vectors) {
      const std::string& fingerprint = vector.space.fingerprint;
      if (vector.space.name == kTextSpace && ++counts[fingerprint] > counts[most])
        most = fingerprint;
    }
  }
  return most;
}

// `ordered`: whether the language model ordered a part of the list. `text`: the space whose vectors
// are compared.
ranking::DiversityCandidate ToCandidate(const Candidate& candidate, bool ordered,
                                        const SpaceKey& text,
                                        const std::vector<ranking::AttributeCap>& caps) {
  ranking::DiversityCandidate out;
  out.item_id = candidate.item_id;
  out.score = candidate.score;
  // What the model did not order does not pass what it did.
  out.tier = ordered && !candidate.rerank_score.has_value() ? 1 : 0;
  // Vectors of different spaces cannot be compared. Nearly every item has one in the text space.
  if (const std::vector<float>* vector = candidate.FindVector(text)) out.vector = *vector;
  for (const ranking::AttributeCap& cap : caps)
    out.capped_values.push_back(ValuesOf(candidate.record.item, cap.attribute));
  return out;
}

// Exploration differs between users and times, and is the same for the same request.
uint64_t SeedOf(const RequestState& state) {
  uint64_t seed = 1469598103934665603u;
  for (char c : absl::StrCat(state.query.user_id, "/", absl::ToUnixMillis(state.now)))
    seed = (seed ^ static_cast<uint8_t>(c)) * 1099511628211u;

  return seed;
}

}  // namespace

absl::Status DiversifyStage::Run(RequestState& state) const {
  const Diversity& wanted = state.query.diversity;
  ranking::DiversityOptions options;
  options.num_results = state.query.num_results;
  options.strength = wanted.mmr_lambda;
  options.exploration_share = wanted.exploration_share;
  options.seed = SeedOf(state);
  for (const auto& [attribute, cap] : wanted.attribute_caps)
    options.caps.push_back({attribute, cap});

  const size_t found = state.candidates.size();
  const bool keep_order =
      wanted.mmr_lambda == 0 && wanted.exploration_share == 0 && options.caps.empty();

  if (keep_order) {
    if (static_cast<int>(state.candidates.size()) > options.num_results)
      state.candidates.resize(options.num_results);
  } else {
    std::vector<ranking::DiversityCandidate> candidates;
    const bool ordered =
        std::any_of(state.candidates.begin(), state.candidates.end(),
                    [](const Candidate& candidate) { return candidate.rerank_score.has_value(); });
    const SpaceKey text = {kTextSpace, TextFingerprint(state.candidates)};
    for (const Candidate& candidate : state.candidates)
      candidates.push_back(ToCandidate(candidate, ordered, text, options.caps));
    std::vector<Candidate> picked;
    for (const ranking::DiversityPick& pick : ranking::Diversify(candidates, options)) {
      // Caps are strict: the result has fewer items rather than one over a cap.
      if (!pick.over_cap) picked.push_back(state.candidates[pick.index]);
    }
    state.candidates = std::move(picked);
  }

  if (static_cast<int>(state.candidates.size()) < options.num_results) {
    state.Degrade(Degradation::kFewerThanRequested,
                  absl::StrCat(state.candidates.size(), " of ", options.num_results, " results: ",
                               found, " items may be shown, ", state.filtered_item_ids.size(),
                               " candidates did not pass the filters"));
  }
  return absl::OkStatus();
}

}  // namespace palate::pipeline
