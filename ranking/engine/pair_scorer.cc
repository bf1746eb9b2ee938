#include "ranking/engine/pair_scorer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/status.h"
#include "models/torch_status.h"

namespace palate::ranking {
namespace {

// A shorter shared part costs more to copy than to compute again.
constexpr size_t kMinSharedTokens = 16;
// Limit on the keys and values of a group, as a multiple of max_forward_tokens: the shared part is
// copied for each member.
constexpr int64_t kMaxCacheRatio = 4;

size_t CommonPrefix(const std::vector<models::LmSequence>& sequences) {
  const std::vector<int64_t>& first = sequences[0].ids;
  size_t common = first.size();
  for (const models::LmSequence& sequence : sequences) {
    const auto& ids = sequence.ids;
    const auto end = ids.begin() + static_cast<std::ptrdiff_t>(std::min(common, ids.size()));
    common =
        static_cast<size_t>(std::mismatch(ids.begin(), end, first.begin()).first - ids.begin());
    common = std::min(common, ids.size() - 1);  // the last token is computed for each
  }
  return common;
}

bool SameImage(const models::ImagePatches& a, const models::ImagePatches& b) {
  if (a.grid_t != b.grid_t || a.grid_h != b.grid_h || a.grid_w != b.grid_w) return false;
  return a.pixel_values.is_same(b.pixel_values);
}

// The number of whole images within the first `length` tokens that are the same object in all
// sequences. Reduces `length` to end before the first image that is not.
size_t SharedImages(const std::vector<models::LmSequence>& sequences, const models::CausalLm& model,
                    size_t& length) {
  const models::LmSequence& first = sequences[0];
  size_t images = 0;
  for (size_t i = 0; i < length;) {
    if (first.ids[i] != model.image_token_id() || !model.has_vision()) {
      ++i;
      continue;
    }

    const bool same =
        std::all_of(sequences.begin(), sequences.end(), [&](const models::LmSequence& sequence) {
          return SameImage(sequence.images[images], first.images[images]);
        });
    const size_t end = i + static_cast<size_t>(model.vision()->MergedPatches(first.images[images]));
    if (!same || end > length) {
      length = i;
      break;
    }

    ++images;
    i = end;
  }
  return images;
}

}  // namespace

absl::StatusOr<AnswerHead> AnswerHead::Create(std::shared_ptr<const models::CausalLm> model,
                                              int64_t yes_id, int64_t no_id) {
  if (!model->decoder().has_output()) {
    return absl::UnimplementedError(
        "the checkpoint has no output matrix, which a reranker requires");
  }

  PALATE_ASSIGN_OR_RETURN(
      const at::Tensor rows, models::CatchTorch([&] {
        const c10::InferenceMode inference;
        return model->decoder().OutputRows({yes_id, no_id}).to(at::kCPU, at::kFloat);
      }));
  PALATE_ASSIGN_OR_RETURN(at::Tensor direction, models::CatchTorch([&] {
                            const c10::InferenceMode inference;
                            return (rows.select(0, 0) - rows.select(0, 1)).contiguous();
                          }));
  return AnswerHead(std::move(model), std::move(direction));
}

at::Tensor AnswerHead::LogOdds(const at::Tensor& hidden) const {
  return at::mv(hidden.to(at::kCPU, at::kFloat), direction_).contiguous();
}

PairScoring::PairScoring(const AnswerHead& head, std::vector<models::LmSequence> sequences,
                         const PairScoringOptions& options)
    : head_(head),
      options_(options),
      sequences_(std::move(sequences)),
      log_odds_(sequences_.size()) {
  if (options_.share_prefix && sequences_.size() > 1) SplitSharedPrefix();
  num_tokens_ = shared_tokens();
  for (const models::LmSequence& sequence : sequences_)
    num_tokens_ += static_cast<int64_t>(sequence.ids.size());
  MakeGroups();
}

void PairScoring::SplitSharedPrefix() {
  size_t length = CommonPrefix(sequences_);
  const size_t images = SharedImages(sequences_, head_.model(), length);
  if (length < kMinSharedTokens) return;

  const models::LmSequence& first = sequences_[0];
  shared_.ids.assign(first.ids.begin(), first.ids.begin() + static_cast<std::ptrdiff_t>(length));
  shared_.images.assign(first.images.begin(),
                        first.images.begin() + static_cast<std::ptrdiff_t>(images));

  for (models::LmSequence& sequence : sequences_) {
    sequence.ids.erase(sequence.ids.begin(),
                       sequence.ids.begin() + static_cast<std::ptrdiff_t>(length));
    sequence.images.erase(sequence.images.begin(),
                          sequence.images.begin() + static_cast<std::ptrdiff_t>(images));
  }
}

// Sorted by length, because sequences of equal length are computed as one batch.
void PairScoring::MakeGroups() {
  std::vector<size_t> order(sequences_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto size = [&](size_t i) { return static_cast<int64_t>(sequences_[i].ids.size()); };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return size(a) < size(b); });

  // The cache of every member has the capacity of the shared part's, from which it is copied: that
  // of the longest sequence.
  const int64_t capacity = order.empty() ? 0 : shared_tokens() + size(order.back());

  int64_t tokens = 0;
  for (const size_t i : order) {
    const int64_t members = groups_.empty() ? 0 : static_cast<int64_t>(groups_.back().size()) + 1;
    const bool full = tokens + size(i) > options_.max_forward_tokens ||
                      members * capacity > kMaxCacheRatio * options_.max_forward_tokens;
    if (groups_.empty() || full) {
      groups_.emplace_back();
      tokens = 0;
    }
    groups_.back().push_back(i);
    tokens += size(i);
  }
}

// Computes the shared part again in each step, so that its keys and values do not outlive the step
// when many requests take turns.
absl::StatusOr<bool> PairScoring::Step(const std::function<bool()>& wanted) {
  return models::CatchTorch([&]() -> absl::StatusOr<bool> {
    const c10::InferenceMode inference;
    if (!wanted()) return absl::CancelledError("the caller no longer waits for the scores");
    models::LmCache prefix;
    if (!shared_.ids.empty()) prefix = ComputePrefix();

    for (int64_t tokens = 0; next_group_ < groups_.size() && tokens < options_.slice_tokens;
         ++next_group_) {
      if (!wanted()) return absl::CancelledError("the caller no longer waits for the scores");
      const std::vector<size_t>& group = groups_[next_group_];
      ComputeGroup(group, shared_.ids.empty() ? nullptr : &prefix);
      for (const size_t i : group) tokens += static_cast<int64_t>(sequences_[i].ids.size());
    }
    return next_group_ < groups_.size();
  });
}

models::LmCache PairScoring::ComputePrefix() const {
  size_t longest = 0;
  for (size_t g = next_group_; g < groups_.size(); ++g)
    longest = std::max(longest, sequences_[groups_[g].back()].ids.size());

  models::LmCache prefix =
      head_.model().NewCache(1, shared_tokens() + static_cast<int64_t>(longest));
  head_.model().Hidden({shared_}, prefix);
  return prefix;
}

void PairScoring::ComputeGroup(const std::vector<size_t>& group, const models::LmCache* prefix) {
  std::vector<models::LmSequence> batch;
  for (const size_t i : group) batch.push_back(sequences_[i]);

  at::Tensor last;
  if (prefix == nullptr) {
    last = head_.model().LastHidden(batch);
  } else {
    models::LmCache cache;
    cache.keys_values = prefix->keys_values.Select(std::vector<int64_t>(group.size(), 0));
    cache.next_positions.assign(group.size(), prefix->next_positions[0]);
    const at::Tensor hidden = head_.model().Hidden(batch, cache);
    std::vector<int64_t> ends;
    int64_t end = -1;
    for (const models::LmSequence& sequence : batch)
      ends.push_back(end += static_cast<int64_t>(sequence.ids.size()));
    last = hidden.index_select(0, at::tensor(ends, at::kLong).to(hidden.device()));
  }

  const at::Tensor odds = head_.LogOdds(last);
  for (size_t i = 0; i < group.size(); ++i) log_odds_[group[i]] = odds.data_ptr<float>()[i];
}

}  // namespace palate::ranking
