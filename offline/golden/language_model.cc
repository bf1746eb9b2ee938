#include "offline/golden/language_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "offline/golden/compare.h"

namespace palate::golden {
namespace {

// Whether every choice along the path is clear enough that rounding cannot change it.
absl::StatusOr<bool> IsReliable(const JsonNode& answer) {
  PALATE_ASSIGN_OR_RETURN(const double gap, answer.Double("min_top2_gap"));
  if (!answer.Has("greedy_reliable")) return gap >= kReliableGap;
  return answer.Bool("greedy_reliable");
}

}  // namespace

std::vector<models::LmSequence> TextSequences(const TokenLists& ids) {
  std::vector<models::LmSequence> sequences;
  for (const std::vector<int64_t>& list : ids) sequences.push_back({.ids = list, .images = {}});
  return sequences;
}

absl::StatusOr<TokenLists> EncodePrompts(const models::Tokenizer& tokenizer,
                                         const std::vector<std::string>& prompts) {
  PALATE_ASSIGN_OR_RETURN(auto encoded, tokenizer.EncodeBatch(prompts));
  TokenLists lists;
  for (models::EncodedText& text : encoded) lists.push_back(std::move(text.ids));
  return lists;
}

std::vector<at::Tensor> HiddenStates(const models::CausalLm& model,
                                     const std::vector<models::LmSequence>& sequences) {
  std::vector<int64_t> lengths;
  for (const models::LmSequence& sequence : sequences)
    lengths.push_back(static_cast<int64_t>(sequence.ids.size()));
  return at::split_with_sizes(model.Hidden(sequences), lengths);
}

void CompareBatchWithSingles(Report& report, const models::CausalLm& model,
                             const std::vector<models::LmSequence>& sequences) {
  const std::vector<at::Tensor> together = HiddenStates(model, sequences);
  double difference = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    difference = std::max(difference, MaxDifference(model.Hidden({sequences[i]}), together[i]));
  }

  report.AtMost(absl::StrCat("batch of ", sequences.size(), " equals singles"), "max abs diff",
                difference, kStateTolerance);
}

absl::Status CompareGreedy(Report& report, const std::string& what, const models::CausalLm& model,
                           const models::LmSequence& prompt, int64_t new_tokens,
                           const JsonNode& answer) {
  PALATE_ASSIGN_OR_RETURN(const auto expected, answer.Ids("new_ids"));
  PALATE_ASSIGN_OR_RETURN(const bool reliable, IsReliable(answer));

  const std::vector<int64_t> actual = model.Greedy(prompt, new_tokens);
  const std::string ids_name = absl::StrCat(what, " new_ids");
  if (reliable) {
    CompareIds(report, ids_name, actual, expected);
  } else {
    report.Add(actual.size() == expected.size(), ids_name,
               absl::StrCat(actual == expected ? "equal" : "different",
                            ", not compared: two logits along the path are too close"));
  }

  // The choices of one forward pass without the cache over the reference's path.
  models::LmSequence whole = prompt;
  whole.ids.insert(whole.ids.end(), expected.begin(), expected.end());
  const auto first = static_cast<int64_t>(prompt.ids.size()) - 1;
  const at::Tensor states =
      model.Hidden({whole}).narrow(0, first, static_cast<int64_t>(expected.size()));
  const std::vector<int64_t> choices = IdVector(model.decoder().Logits(states).argmax(-1));
  if (reliable) CompareIds(report, absl::StrCat(what, " without cache"), choices, expected);

  if (!answer.Has("text")) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::string text, answer.String("text"));
  PALATE_ASSIGN_OR_RETURN(const std::string decoded,
                          model.tokenizer().Decode(expected, /*skip_special_tokens=*/false));
  CompareText(report, absl::StrCat(what, " text"), decoded, text);
  return absl::OkStatus();
}

}  // namespace palate::golden
