#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/families/bert/bert.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"
#include "offline/golden/language_model.h"

namespace palate::golden {
namespace {

absl::StatusOr<TokenLists> Tokenized(const models::SentenceEncoder& encoder,
                                     const std::string& prompt,
                                     const std::vector<std::string>& sentences) {
  TokenLists lists;
  for (const std::string& sentence : sentences) {
    PALATE_ASSIGN_OR_RETURN(models::EncodedText encoded,
                            encoder.Tokenize(absl::StrCat(prompt, sentence)));
    lists.push_back(std::move(encoded.ids));
  }
  return lists;
}

absl::Status CompareIdsOfCases(Fixture& fixture, Report& report,
                               const std::vector<std::string>& sentences, const TokenLists& ids) {
  PALATE_ASSIGN_OR_RETURN(const auto cases, fixture.expected().List("cases"));
  if (cases.size() != sentences.size())
    return absl::InvalidArgumentError("expected.json: cases answers another number of sentences");

  Tally tally;
  for (size_t i = 0; i < sentences.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const std::string text, cases[i].String("text"));
    PALATE_ASSIGN_OR_RETURN(const auto expected, cases[i].Ids("input_ids"));
    if (text != sentences[i])
      return absl::InvalidArgumentError(
          absl::StrCat("expected.json: cases/", i, " answers another sentence"));
    tally.Add(ids[i] == expected, absl::StrCat("\"", text, "\": ", DescribeIds(ids[i], expected)));
  }
  tally.AddTo(report, "sentences input_ids");
  return absl::OkStatus();
}

// The name that the reference uses.
std::string PoolingName(models::TextPooling pooling) {
  switch (pooling) {
    case models::TextPooling::kMean:
      return "mean";
    case models::TextPooling::kCls:
      return "cls";
    case models::TextPooling::kMax:
      return "max";
    case models::TextPooling::kMeanSqrtLen:
      return "mean_sqrt_len_tokens";
    case models::TextPooling::kLastToken:
      return "lasttoken";
  }
  return "";
}

absl::Status CompareSettings(Fixture& fixture, Report& report,
                             const models::SentenceEncoder& encoder) {
  const JsonNode& expected = fixture.expected();
  PALATE_ASSIGN_OR_RETURN(const std::string pooling, expected.String("pooling"));
  PALATE_ASSIGN_OR_RETURN(const int64_t max_tokens, expected.Int("max_seq_length"));
  PALATE_ASSIGN_OR_RETURN(const bool normalize, expected.Bool("normalize"));

  CompareText(report, "pooling", PoolingName(encoder.pooling()), pooling);
  CompareIds(report, "max_seq_length", {encoder.max_tokens()}, {max_tokens});
  report.Add(encoder.normalizes() == normalize, "normalize",
             normalize ? "the reference's vectors have unit length"
                       : "the reference's vectors are not normalized");
  expected.Ignore("agrees_with_sentence_transformers");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSentences(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto sentences, fixture.inputs().Strings("sentences"));
  PALATE_ASSIGN_OR_RETURN(const auto encoder, models::SentenceEncoder::Load(fixture.checkpoint()));
  PALATE_RETURN_IF_ERROR(CompareSettings(fixture, report, *encoder));
  PALATE_ASSIGN_OR_RETURN(const TokenLists ids, Tokenized(*encoder, "", sentences));
  PALATE_RETURN_IF_ERROR(CompareIdsOfCases(fixture, report, sentences, ids));

  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string name = absl::StrCat("last_hidden_state.", i);
    if (!fixture.HasTensor(name)) continue;
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(name));
    const at::Tensor states =
        encoder->model().Forward(IdTensor(ids[i]), {static_cast<int64_t>(ids[i].size())});
    CompareTensor(report, name, states, expected, kStateTolerance);
  }

  PALATE_ASSIGN_OR_RETURN(const at::Tensor batch, encoder->Encode(ids));
  std::vector<at::Tensor> singles;
  for (const auto& list : ids) {
    PALATE_ASSIGN_OR_RETURN(singles.emplace_back(), encoder->Encode({list}));
  }

  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor("embeddings"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_batch, fixture.Tensor("embeddings_batched"));
  CompareVectors(report, "embeddings", at::cat(singles), expected);
  CompareVectors(report, "embeddings_batched", batch, expected_batch);
  CompareTensor(report, absl::StrCat("batch of ", ids.size(), " equals singles"), batch,
                at::cat(singles), kVectorTolerance);

  PALATE_ASSIGN_OR_RETURN(const JsonNode prompt_node, fixture.inputs().At("prompt"));
  if (prompt_node.Take().is_null()) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::string prompt, fixture.inputs().String("prompt"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_prompted,
                          fixture.Tensor("embeddings_with_prompt"));
  PALATE_ASSIGN_OR_RETURN(const TokenLists prompted_ids, Tokenized(*encoder, prompt, sentences));

  PALATE_ASSIGN_OR_RETURN(const at::Tensor prompted, encoder->Encode(prompted_ids));
  // The checkpoint need not have the fixture's prompt.
  if (!encoder->query_prompt().empty())
    CompareText(report, "prompt", encoder->query_prompt(), prompt);
  CompareVectors(report, "embeddings_with_prompt", prompted, expected_prompted);
  return absl::OkStatus();
}

}  // namespace palate::golden
