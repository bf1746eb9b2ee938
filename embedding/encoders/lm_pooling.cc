#include "embedding/encoders/lm_pooling.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace palate::embedding {
namespace {

// `states` is [tokens, hidden] of one sequence.
at::Tensor PoolOne(const at::Tensor& states, models::TextPooling pooling) {
  switch (pooling) {
    case models::TextPooling::kMean:
      return states.mean(0);
    case models::TextPooling::kCls:
      return states[0];
    case models::TextPooling::kMax:
      return states.amax(0);
    case models::TextPooling::kMeanSqrtLen:
      return states.sum(0) / std::sqrt(static_cast<double>(states.size(0)));
    case models::TextPooling::kLastToken:
      break;
  }
  return states[-1];
}

}  // namespace

at::Tensor PoolStates(const models::CausalLm& lm, absl::Span<const models::LmSequence> sequences,
                      models::TextPooling pooling) {
  if (pooling == models::TextPooling::kLastToken) return lm.LastHidden(sequences);
  const at::Tensor states = lm.Hidden(sequences).to(at::kFloat);

  std::vector<at::Tensor> rows;
  rows.reserve(sequences.size());

  int64_t start = 0;
  for (const models::LmSequence& sequence : sequences) {
    const auto length = static_cast<int64_t>(sequence.ids.size());
    rows.push_back(PoolOne(states.narrow(0, start, length), pooling));
    start += length;
  }

  return at::stack(rows).to(at::kCPU);
}

}  // namespace palate::embedding
