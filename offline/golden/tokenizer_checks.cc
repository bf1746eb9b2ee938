#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/text/padded_tokenizer.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"

namespace palate::golden {
namespace {

// The comparisons of one text.
struct TokenizeTallies {
  Tally ids, ids_without_special, tokens, decoded, decoded_without_special;
};

void TallyIds(Tally& tally, const std::vector<int64_t>& actual,
              const std::vector<int64_t>& expected, const std::string& text) {
  tally.Add(
      actual == expected,
      actual == expected ? "" : absl::StrCat("\"", text, "\": ", DescribeIds(actual, expected)));
}

void TallyText(Tally& tally, const std::string& actual, const std::string& expected) {
  tally.Add(actual == expected, actual == expected ? "" : DescribeText(actual, expected));
}

absl::Status CompareText(const models::Tokenizer& tokenizer, const std::string& text,
                         const JsonNode& expected, TokenizeTallies& tallies) {
  PALATE_ASSIGN_OR_RETURN(const auto ids, expected.Ids("input_ids"));
  PALATE_ASSIGN_OR_RETURN(const auto ids_without_special, expected.Ids("input_ids_no_special"));
  PALATE_ASSIGN_OR_RETURN(const auto tokens, expected.Strings("tokens"));
  PALATE_ASSIGN_OR_RETURN(const std::string decoded, expected.String("decoded"));
  PALATE_ASSIGN_OR_RETURN(const std::string decoded_without_special,
                          expected.String("decoded_skip_special"));
  PALATE_ASSIGN_OR_RETURN(const bool same_file, expected.Bool("tokenizer_json_agrees"));

  PALATE_ASSIGN_OR_RETURN(const auto with, tokenizer.Encode(text));
  // If the reference's tokenizer class contradicts tokenizer.json, the ids of either are accepted.
  if (!same_file && with.ids != ids) return absl::OkStatus();

  PALATE_ASSIGN_OR_RETURN(const auto without,
                          tokenizer.Encode(text, {.add_special_tokens = false}));
  TallyIds(tallies.ids, with.ids, ids, text);
  TallyIds(tallies.ids_without_special, without.ids, ids_without_special, text);

  std::vector<std::string> names;
  for (int64_t id : ids) names.push_back(tokenizer.IdToToken(id).value_or(""));
  tallies.tokens.Add(names == tokens, absl::StrCat("tokens of \"", text, "\""));

  PALATE_ASSIGN_OR_RETURN(const std::string back,
                          tokenizer.Decode(ids, /*skip_special_tokens=*/false));
  PALATE_ASSIGN_OR_RETURN(const std::string plain, tokenizer.Decode(ids));
  TallyText(tallies.decoded, back, decoded);
  TallyText(tallies.decoded_without_special, plain, decoded_without_special);
  return absl::OkStatus();
}

}  // namespace

absl::Status CompareTokenized(Fixture& fixture, Report& report,
                              const std::vector<std::string>& texts) {
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, fixture.Tokenizer());
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("tokenize"));
  if (answers.size() != texts.size()) {
    return absl::InvalidArgumentError(absl::StrCat(answers.size(), " answers to ", texts.size(),
                                                   " texts in expected.json: tokenize"));
  }

  TokenizeTallies tallies;
  for (size_t i = 0; i < texts.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const std::string text, answers[i].String("text"));
    if (text != texts[i])
      return absl::InvalidArgumentError(
          absl::StrCat("expected.json: tokenize/", i, " answers another text"));
    PALATE_RETURN_IF_ERROR(CompareText(*tokenizer, text, answers[i], tallies));
  }

  tallies.ids.AddTo(report, "tokenize input_ids");
  tallies.ids_without_special.AddTo(report, "tokenize input_ids_no_special");
  tallies.tokens.AddTo(report, "tokenize tokens");
  tallies.decoded.AddTo(report, "tokenize decoded");
  tallies.decoded_without_special.AddTo(report, "tokenize decoded_skip_special");
  return absl::OkStatus();
}

absl::Status CheckTokenize(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto texts, fixture.inputs().Strings("tokenize"));
  return CompareTokenized(fixture, report, texts);
}

absl::Status CheckThirdPartyCases(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, fixture.Tokenizer());
  PALATE_ASSIGN_OR_RETURN(const auto cases, fixture.inputs().List("third_party_cases"));
  Tally tally;
  for (const JsonNode& test : cases) {
    PALATE_ASSIGN_OR_RETURN(const std::string text, test.String("text"));
    PALATE_ASSIGN_OR_RETURN(const auto expected, test.Ids("input_ids"));
    PALATE_ASSIGN_OR_RETURN(const auto actual, tokenizer->Encode(text));
    TallyIds(tally, actual.ids, expected, text);
  }

  tally.AddTo(report, "third_party_cases input_ids");
  // The reference's own results on these cases are not compared.
  fixture.expected().Ignore("third_party_cases");
  return absl::OkStatus();
}

absl::Status CheckPadded(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const int64_t length, fixture.inputs().Int("max_length"));
  PALATE_ASSIGN_OR_RETURN(const auto texts, fixture.inputs().Strings("tokenize"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode answers, fixture.expected().At("padded_input_ids"));

  const auto expected = answers.Take().get<std::vector<std::vector<int64_t>>>();
  PALATE_ASSIGN_OR_RETURN(
      const auto tokenizer,
      models::PaddedTokenizer::Load(fixture.checkpoint(), models::TextPadding::kMaximum, length));
  PALATE_ASSIGN_OR_RETURN(const models::PaddedIds padded,
                          tokenizer->Encode(texts, {.width = length}));

  if (expected.size() != texts.size())
    return absl::InvalidArgumentError(
        "expected.json: padded_input_ids answers another number of texts");

  Tally tally;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = padded.ids.begin() + static_cast<int64_t>(i) * padded.width;
    TallyIds(tally, std::vector<int64_t>(row, row + padded.width), expected[i], texts[i]);
  }
  tally.AddTo(report, "padded_input_ids");
  return absl::OkStatus();
}

}  // namespace palate::golden
