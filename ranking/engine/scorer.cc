#include "ranking/engine/scorer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>

#include "absl/status/status.h"
#include "base/status.h"
#include "models/torch_status.h"
#include "ranking/special_tokens.h"

namespace palate::ranking {
namespace {

// Each candidate of a group copies the prefix's keys and values, so their number is limited besides
// their tokens.
constexpr size_t kMaxGroupCandidates = 32;

// Candidate indices in groups, sorted by length, because equal lengths are computed as one batch.
std::vector<std::vector<size_t>> MakeGroups(const std::vector<std::vector<int64_t>>& candidates,
                                            int64_t max_tokens) {
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return candidates[a].size() < candidates[b].size(); });

  std::vector<std::vector<size_t>> groups;
  int64_t tokens = 0;
  for (const size_t i : order) {
    const auto size = static_cast<int64_t>(candidates[i].size());
    if (groups.empty() || tokens + size > max_tokens ||
        groups.back().size() >= kMaxGroupCandidates) {
      groups.emplace_back();
      tokens = 0;
    }
    groups.back().push_back(i);
    tokens += size;
  }
  return groups;
}

// The logit of kYes minus that of kNo at the last token of each sequence: [sequences].
at::Tensor LogOddsAtEnds(const LoadedModel& loaded, const at::Tensor& hidden,
                         const std::vector<int64_t>& lengths) {
  std::vector<int64_t> ends(lengths.size());
  std::partial_sum(lengths.begin(), lengths.end(), ends.begin());
  for (int64_t& end : ends) --end;

  const PromptEncoder& encoder = *loaded.encoder;
  const at::Tensor logits =
      loaded.model->LabelLogits(hidden.index_select(0, at::tensor(ends, at::kLong)),
                                {encoder.Id(SpecialToken::kYes), encoder.Id(SpecialToken::kNo)});
  return (logits.select(1, 0) - logits.select(1, 1)).to(at::kFloat).contiguous();
}

}  // namespace

absl::StatusOr<std::vector<float>> ScoreCandidates(const LoadedModel& loaded,
                                                   const EncodedRankPrompt& prompt,
                                                   int64_t max_forward_tokens,
                                                   const std::function<bool()>& keep_going) {
  return models::CatchTorch([&]() -> absl::StatusOr<std::vector<float>> {
    const c10::InferenceMode inference;
    size_t longest = 0;
    for (const std::vector<int64_t>& candidate : prompt.candidates)
      longest = std::max(longest, candidate.size());
    models::KvCache prefix =
        loaded.model->NewCache(1, static_cast<int64_t>(prompt.prefix.size() + longest));
    loaded.model->Forward(models::PackTokens({prompt.prefix}), prefix);

    std::vector<float> scores(prompt.candidates.size());
    for (const std::vector<size_t>& group : MakeGroups(prompt.candidates, max_forward_tokens)) {
      if (!keep_going()) return absl::CancelledError("the caller no longer waits for the scores");
      std::vector<std::vector<int64_t>> sequences;
      for (const size_t i : group) sequences.push_back(prompt.candidates[i]);
      const models::PackedTokens tokens = models::PackTokens(sequences);
      models::KvCache cache = prefix.Select(std::vector<int64_t>(group.size(), 0));
      const at::Tensor odds =
          LogOddsAtEnds(loaded, loaded.model->Forward(tokens, cache), tokens.lengths);
      for (size_t i = 0; i < group.size(); ++i) scores[group[i]] = odds.data_ptr<float>()[i];
    }
    return scores;
  });
}

}  // namespace palate::ranking
