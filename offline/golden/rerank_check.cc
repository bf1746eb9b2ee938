#include <ATen/ATen.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"
#include "offline/golden/pictures.h"
#include "ranking/engine/pair_scorer.h"
#include "ranking/engine/rerank_protocol.h"

namespace palate::golden {
namespace {

// The number of merged patches of each picture.
std::vector<int64_t> PatchCounts(const models::CausalLm& model,
                                 const std::vector<models::ImagePatches>& images) {
  std::vector<int64_t> counts;
  for (const models::ImagePatches& image : images)
    counts.push_back(model.vision()->MergedPatches(image));
  return counts;
}

// The text under a key, or `absent` when the key is missing or null.
absl::StatusOr<std::string> TextOr(const JsonNode& node, const std::string& key,
                                   absl::string_view absent) {
  if (!node.Has(key)) return std::string(absent);
  PALATE_ASSIGN_OR_RETURN(const JsonNode value, node.At(key));
  if (value.Take().is_null()) return std::string(absent);
  return node.String(key);
}

absl::StatusOr<models::LmSequence> EncodePair(Fixture& fixture, const models::CausalLm& model,
                                              const ranking::RerankProtocol& protocol,
                                              const JsonNode& pair) {
  PALATE_ASSIGN_OR_RETURN(
      const std::string instruction,
      TextOr(pair, "instruction", ranking::DefaultInstruction(protocol.style())));
  PALATE_ASSIGN_OR_RETURN(const std::string query, TextOr(pair, "query", ""));
  PALATE_ASSIGN_OR_RETURN(const std::string document, TextOr(pair, "document", ""));
  PALATE_ASSIGN_OR_RETURN(std::vector<models::ImagePatches> images,
                          NamedPatches(fixture, model, pair, "query_images"));
  PALATE_ASSIGN_OR_RETURN(std::vector<models::ImagePatches> document_images,
                          NamedPatches(fixture, model, pair, "document_images"));

  const std::vector<int64_t> query_counts = PatchCounts(model, images);
  const std::vector<int64_t> document_counts = PatchCounts(model, document_images);

  PALATE_ASSIGN_OR_RETURN(ranking::EncodedPair encoded,
                          protocol.Encode({.instruction = instruction,
                                           .query = query,
                                           .document = document,
                                           .query_images = query_counts,
                                           .document_images = document_counts}));

  images.insert(images.end(), document_images.begin(), document_images.end());
  return models::LmSequence{.ids = std::move(encoded.ids), .images = std::move(images)};
}

// The length to which the reference truncated pairs: the model's positions, or no limit if one of
// its answers is longer (transformers computes beyond the positions).
absl::StatusOr<int64_t> PairLimit(const std::vector<JsonNode>& cases, int64_t max_positions) {
  int64_t limit = max_positions;
  for (const JsonNode& answer : cases) {
    PALATE_ASSIGN_OR_RETURN(const auto ids, answer.Ids("input_ids"));
    if (static_cast<int64_t>(ids.size()) > max_positions)
      limit = std::numeric_limits<int64_t>::max();
  }
  return limit;
}

// Scores as the engine computes them, with shared prefixes computed once.
absl::StatusOr<at::Tensor> ServedScores(const ranking::AnswerHead& head,
                                        const std::vector<models::LmSequence>& sequences) {
  ranking::PairScoring scoring(head, sequences, {});
  for (bool more = true; more;) {
    PALATE_ASSIGN_OR_RETURN(more, scoring.Step([] { return true; }));
  }
  return at::tensor(scoring.log_odds()).sigmoid();
}

absl::Status CompareAnswer(Report& report, const std::string& name, const models::CausalLm& model,
                           const models::LmSequence& sequence, const JsonNode& answer) {
  PALATE_ASSIGN_OR_RETURN(const auto expected, answer.Ids("input_ids"));
  CompareIds(report, name + " input_ids", sequence.ids, expected);

  if (!answer.Has("prompt")) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::string prompt, answer.String("prompt"));
  PALATE_ASSIGN_OR_RETURN(const std::string decoded,
                          model.tokenizer().Decode(sequence.ids, /*skip_special_tokens=*/false));
  CompareText(report, name + " prompt", decoded, prompt);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRerank(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto pairs, fixture.inputs().List("rerank"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode answers, fixture.expected().At("rerank"));
  PALATE_ASSIGN_OR_RETURN(const auto cases, answers.List("cases"));
  PALATE_ASSIGN_OR_RETURN(const int64_t yes_id, answers.Int("yes_id"));
  PALATE_ASSIGN_OR_RETURN(const int64_t no_id, answers.Int("no_id"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_logits, fixture.Tensor("rerank.no_yes_logits"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_scores, fixture.Tensor("rerank.scores"));
  PALATE_ASSIGN_OR_RETURN(const auto model, fixture.LanguageModel());

  const auto style =
      model->has_vision() ? ranking::RerankStyle::kVision : ranking::RerankStyle::kText;
  PALATE_ASSIGN_OR_RETURN(const int64_t limit,
                          PairLimit(cases, model->decoder().config().max_positions));
  PALATE_ASSIGN_OR_RETURN(const auto protocol,
                          ranking::RerankProtocol::Create(model->shared_tokenizer(), style, limit));

  if (pairs.size() != cases.size())
    return absl::InvalidArgumentError("expected.json: rerank answers another number of pairs");
  CompareIds(report, "rerank no_id, yes_id", {protocol->no_id(), protocol->yes_id()},
             {no_id, yes_id});

  std::vector<models::LmSequence> sequences;
  std::vector<double> written_scores;
  for (size_t i = 0; i < pairs.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(sequences.emplace_back(),
                            EncodePair(fixture, *model, *protocol, pairs[i]));
    PALATE_RETURN_IF_ERROR(
        CompareAnswer(report, absl::StrCat("rerank.", i), *model, sequences.back(), cases[i]));
    PALATE_ASSIGN_OR_RETURN(written_scores.emplace_back(), cases[i].Double("score"));
  }

  const at::Tensor logits =
      model->decoder().LabelLogits(model->LastHidden(sequences), {no_id, yes_id});
  CompareTensor(report, "rerank.no_yes_logits", logits, expected_logits, kStateTolerance);
  PALATE_ASSIGN_OR_RETURN(const auto head, ranking::AnswerHead::Create(model, yes_id, no_id));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor scores, ServedScores(head, sequences));
  CompareTensor(report, "rerank.scores", scores, expected_scores, kScoreTolerance);
  CompareTensor(report, "rerank score", scores, at::tensor(written_scores),
                kScoreTolerance + kRoundedTolerance);

  std::vector<at::Tensor> singles;
  for (const models::LmSequence& sequence : sequences) {
    PALATE_ASSIGN_OR_RETURN(singles.emplace_back(), ServedScores(head, {sequence}));
  }
  CompareTensor(report, absl::StrCat("rerank batch of ", sequences.size(), " equals singles"),
                scores, at::cat(singles), kScoreTolerance);
  return absl::OkStatus();
}

}  // namespace palate::golden
