#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/adapter.h"
#include "models/text/padded_tokenizer.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"
#include "offline/golden/language_model.h"

namespace palate::golden {
namespace {

std::string Numbered(const std::string& name, size_t n) { return absl::StrCat(name, ".", n); }

// Checks that the answers belong to the prompts, in order, and compares the ids of the prompts.
absl::Status ComparePromptIds(Report& report, const std::string& what,
                              const std::vector<std::string>& prompts, const TokenLists& ids,
                              const std::vector<JsonNode>& answers) {
  if (answers.size() != prompts.size())
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": another number of answers than prompts"));

  Tally tally;
  for (size_t i = 0; i < prompts.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const std::string prompt, answers[i].String("prompt"));
    PALATE_ASSIGN_OR_RETURN(const auto expected, answers[i].Ids("input_ids"));
    if (prompt != prompts[i])
      return absl::InvalidArgumentError(absl::StrCat(what, "/", i, " answers another prompt"));
    tally.Add(ids[i] == expected, DescribeIds(ids[i], expected));
  }
  tally.AddTo(report, absl::StrCat(what, " input_ids"));
  return absl::OkStatus();
}

// Compares how far the adapter moved the logits with what the reference measured.
absl::Status CompareChange(Fixture& fixture, Report& report, const std::vector<JsonNode>& answers,
                           const TokenLists& ids, const std::vector<at::Tensor>& logits) {
  PALATE_ASSIGN_OR_RETURN(const std::string folder, fixture.BaseFolder());
  PALATE_ASSIGN_OR_RETURN(const auto base, models::CausalLm::Load(folder));

  for (size_t i = 0; i < answers.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const double expected, answers[i].Double("max_change_from_base"));
    const double actual =
        MaxDifference(base->decoder().Logits(base->Hidden(TextSequences({ids[i]}))), logits[i]);
    report.AtMost(Numbered("max_change_from_base", i), "difference", std::abs(actual - expected),
                  2 * kStateTolerance);
  }
  return absl::OkStatus();
}

// Ids padded on the left to the longest sequence, with mask and positions, as the reference batches
// the prompts.
struct LeftPadded {
  at::Tensor ids, mask, positions;  // int64 [batch, width]
};

LeftPadded PadLeft(const TokenLists& lists, int64_t pad_id) {
  size_t width = 0;
  for (const auto& list : lists) width = std::max(width, list.size());
  const std::vector<int64_t> shape = {static_cast<int64_t>(lists.size()),
                                      static_cast<int64_t>(width)};

  LeftPadded result = {at::full(shape, pad_id, at::kLong), at::zeros(shape, at::kLong),
                       at::zeros(shape, at::kLong)};
  for (size_t i = 0; i < lists.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const auto length = static_cast<int64_t>(lists[i].size());
    const int64_t start = shape[1] - length;
    result.ids[row].narrow(0, start, length).copy_(IdTensor(lists[i]));
    result.mask[row].narrow(0, start, length).fill_(1);
    result.positions[row].narrow(0, start, length).copy_(at::arange(length));
  }
  return result;
}

// Logits of the last column of a left-padded batch, computed with an explicit attention mask.
at::Tensor LastLogitsOfMasked(const models::DecoderModel& decoder, const LeftPadded& batch) {
  const int64_t width = batch.ids.size(1);
  const at::Tensor causal = at::ones({width, width}, at::kBool).tril();
  const at::Tensor real = batch.mask.to(at::kBool).unsqueeze(1);
  const at::Tensor allowed = causal.logical_and(real).logical_or(at::eye(width, at::kBool));
  const at::Tensor states =
      decoder.Forward(models::MaskedTokens{batch.ids, batch.positions, allowed});
  return decoder.Logits(states.view({batch.ids.size(0), width, -1}).select(1, width - 1));
}

absl::Status CompareLeftPadded(Fixture& fixture, Report& report, const models::CausalLm& model,
                               const TokenLists& lists, const at::Tensor& packed_logits) {
  PALATE_ASSIGN_OR_RETURN(const at::Tensor ids, fixture.Tensor("batch.input_ids"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor mask, fixture.Tensor("batch.attention_mask"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor positions, fixture.Tensor("batch.position_ids"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor logits, fixture.Tensor("batch.last_logits_left_padded"));
  PALATE_ASSIGN_OR_RETURN(const auto padding, models::PaddedTokenizer::Load(
                                                  model.folder(), models::TextPadding::kLongest,
                                                  model.decoder().config().max_positions));

  const LeftPadded batch = PadLeft(lists, padding->pad_id());
  CompareExact(report, "batch.input_ids", batch.ids, ids);
  CompareExact(report, "batch.attention_mask", batch.mask, mask);
  // The positions of padding have no meaning.
  CompareExact(report, "batch.position_ids", batch.positions, positions * mask);

  // Sliding windows may differ between layers, which one mask cannot express; for such models only
  // the packed batch is compared.
  const bool windows = !model.decoder().config().sliding_windows.empty();
  const at::Tensor actual =
      windows
          ? packed_logits
          : LastLogitsOfMasked(model.decoder(), {.ids = ids, .mask = mask, .positions = positions});
  CompareTensor(report, "batch.last_logits_left_padded", actual, logits, kStateTolerance);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLogits(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto prompts, fixture.inputs().Strings("logits_prompts"));
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("logits"));
  PALATE_ASSIGN_OR_RETURN(const auto model, fixture.LanguageModel());
  PALATE_ASSIGN_OR_RETURN(const TokenLists ids, EncodePrompts(model->tokenizer(), prompts));
  PALATE_RETURN_IF_ERROR(ComparePromptIds(report, "logits", prompts, ids, answers));

  std::vector<at::Tensor> all_logits;
  for (size_t i = 0; i < ids.size(); ++i) {
    const at::Tensor states = model->Hidden(TextSequences({ids[i]}));
    all_logits.push_back(model->decoder().Logits(states));
    PALATE_ASSIGN_OR_RETURN(const at::Tensor logits, fixture.Tensor(Numbered("logits", i)));
    CompareTensor(report, Numbered("logits", i), all_logits.back(), logits, kStateTolerance);

    const std::string states_name = Numbered("last_hidden_state", i);
    // The fixture of an adapter may have logits only.
    if (fixture.inputs().Has("base") && !fixture.HasTensor(states_name)) continue;
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_states, fixture.Tensor(states_name));
    CompareTensor(report, states_name, states, expected_states, kStateTolerance);
  }

  CompareBatchWithSingles(report, *model, TextSequences(ids));
  if (!fixture.inputs().Has("base")) return absl::OkStatus();
  return CompareChange(fixture, report, answers, ids, all_logits);
}

absl::Status CheckBatch(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto prompts, fixture.inputs().Strings("batch_prompts"));
  PALATE_ASSIGN_OR_RETURN(const auto model, fixture.LanguageModel());
  PALATE_ASSIGN_OR_RETURN(const TokenLists ids, EncodePrompts(model->tokenizer(), prompts));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor("batch.last_logits"));
  const at::Tensor logits =
      model->decoder().Logits(model->LastHidden(TextSequences(ids)).to(model->decoder().dtype()));

  CompareTensor(report, "batch.last_logits", logits, expected, kStateTolerance);
  CompareBatchWithSingles(report, *model, TextSequences(ids));
  return CompareLeftPadded(fixture, report, *model, ids, logits);
}

absl::Status CheckGreedy(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto candidates, fixture.inputs().Strings("greedy_candidates"));
  PALATE_ASSIGN_OR_RETURN(const int64_t new_tokens, fixture.inputs().Int("greedy_new_tokens"));
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("greedy"));
  PALATE_ASSIGN_OR_RETURN(const auto model, fixture.LanguageModel());

  const std::set<std::string> known(candidates.begin(), candidates.end());
  std::vector<std::string> prompts;
  for (const JsonNode& answer : answers) {
    PALATE_ASSIGN_OR_RETURN(prompts.emplace_back(), answer.String("prompt"));
    if (known.count(prompts.back()) == 0)
      return absl::InvalidArgumentError(
          "expected.json: greedy answers a prompt that is no candidate");
  }

  PALATE_ASSIGN_OR_RETURN(const TokenLists ids, EncodePrompts(model->tokenizer(), prompts));
  PALATE_RETURN_IF_ERROR(ComparePromptIds(report, "greedy", prompts, ids, answers));
  for (size_t i = 0; i < answers.size(); ++i) {
    PALATE_RETURN_IF_ERROR(CompareGreedy(report, Numbered("greedy", i), *model,
                                         {.ids = ids[i], .images = {}}, new_tokens, answers[i]));
  }
  return absl::OkStatus();
}

absl::Status CheckScore(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto cases, fixture.inputs().List("score"));
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("score"));
  PALATE_ASSIGN_OR_RETURN(const auto model, fixture.LanguageModel());
  if (cases.size() != answers.size())
    return absl::InvalidArgumentError("expected.json: score answers another number of cases");

  for (size_t i = 0; i < cases.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const std::string prompt, cases[i].String("prompt"));
    PALATE_ASSIGN_OR_RETURN(const std::string continuation, cases[i].String("continuation"));
    PALATE_ASSIGN_OR_RETURN(const auto prompt_ids, answers[i].Ids("prompt_ids"));
    PALATE_ASSIGN_OR_RETURN(const auto continuation_ids, answers[i].Ids("continuation_ids"));
    PALATE_ASSIGN_OR_RETURN(const double sum, answers[i].Double("sum"));
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(Numbered("score", i)));
    PALATE_ASSIGN_OR_RETURN(const auto encoded_prompt, model->tokenizer().Encode(prompt));
    PALATE_ASSIGN_OR_RETURN(const auto encoded_continuation,
                            model->tokenizer().Encode(continuation, {.add_special_tokens = false}));

    const std::string name = Numbered("score", i);
    CompareIds(report, name + " prompt_ids", encoded_prompt.ids, prompt_ids);
    CompareIds(report, name + " continuation_ids", encoded_continuation.ids, continuation_ids);

    std::vector<int64_t> whole = prompt_ids;
    whole.insert(whole.end(), continuation_ids.begin(), continuation_ids.end());
    const at::Tensor states = model->Hidden(TextSequences({whole}));
    const auto length = static_cast<int64_t>(continuation_ids.size());
    const at::Tensor rows = model->decoder().Logits(
        states.narrow(0, static_cast<int64_t>(prompt_ids.size()) - 1, length));

    const at::Tensor scores =
        at::log_softmax(rows, -1).gather(1, IdTensor(continuation_ids).unsqueeze(1)).squeeze(1);
    CompareTensor(report, name, scores, expected, kStateTolerance);
    // Each of the summed values may be off by the tolerance.
    report.AtMost(name + " sum", "difference", std::abs(scores.sum().item<double>() - sum),
                  kStateTolerance * static_cast<double>(length));
  }
  return absl::OkStatus();
}

absl::Status CheckAdapter(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const models::Adapter adapter,
                          models::Adapter::Open(fixture.checkpoint()));
  if (fixture.expected().Has("merged_modules")) {
    PALATE_ASSIGN_OR_RETURN(const int64_t expected, fixture.expected().Int("merged_modules"));
    const auto actual = static_cast<int64_t>(adapter.updates().size());
    report.AtMost("merged_modules", "difference", static_cast<double>(std::abs(actual - expected)),
                  0);
  }

  if (fixture.expected().Has("scaling")) {
    PALATE_ASSIGN_OR_RETURN(const double expected, fixture.expected().Double("scaling"));
    // With rank or alpha patterns, the expected scaling is that of the modules that no pattern
    // matches.
    double difference = adapter.updates().empty()
                            ? 1.0
                            : std::abs(adapter.updates().begin()->second.scaling - expected);
    for (const auto& [module, update] : adapter.updates())
      difference = std::min(difference, std::abs(update.scaling - expected));
    report.AtMost("scaling", "difference", difference, kRoundedTolerance);
  }

  // The reference's comparison with another library.
  fixture.expected().Ignore("agrees_with_peft");
  if (!fixture.inputs().Has("logits_prompts") && !fixture.inputs().Has("greedy_candidates")) {
    return absl::InvalidArgumentError(
        "inputs.json: an adapter (base) without logits_prompts or greedy_candidates");
  }
  return absl::OkStatus();
}

}  // namespace palate::golden
