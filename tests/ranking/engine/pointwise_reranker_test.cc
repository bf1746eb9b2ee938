#include "ranking/engine/pointwise_reranker.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "absl/time/clock.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/causal_lm/causal_lm.h"
#include "models/checkpoint/parameters.h"
#include "models/image/image.h"
#include "ranking/engine/rerank_protocol.h"
#include "ranking/ranker.h"
#include "tests/models/golden.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr float kScoreTolerance = 1e-5f;  // for published scores

std::unique_ptr<PointwiseReranker> Load(const models::Golden& golden,
                                        const RerankerOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<PointwiseReranker>> reranker =
      PointwiseReranker::Load(golden.checkpoint(), options);
  EXPECT_TRUE(reranker.ok()) << reranker.status();
  return reranker.ok() ? *std::move(reranker) : nullptr;
}

RankOutput Rank(PointwiseReranker& reranker, const RankInput& input) {
  absl::StatusOr<RankOutput> output = reranker.Rank(input, {});
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? *std::move(output) : RankOutput();
}

RankInput Request(std::string query, const std::vector<std::string>& documents) {
  RankInput input;
  input.query = RankContent{std::move(query)};
  for (const std::string& document : documents) input.documents.push_back({document});
  return input;
}

// Documents of many lengths, some with a common beginning.
std::vector<std::string> SomeDocuments(int count) {
  std::vector<std::string> documents;
  for (int i = 0; i < count; ++i) {
    std::string text = i % 3 == 0 ? "The capital of China is Beijing." : "Gravity";
    for (int word = 0; word < (i * 7) % 40; ++word) text += " attracts " + std::to_string(i * word);
    documents.push_back(text);
  }
  return documents;
}

void ExpectSameScores(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], kScoreTolerance) << i;
}

// A fixture of ../shared/goldens by its name, or of tests/goldens by its path in the checkout.
models::Golden Fixture(const std::string& name) {
  models::Golden golden(name);
  if (name.find('/') != std::string::npos)
    golden.folder = std::string(PALATE_SOURCE_DIR) + "/" + name;
  return golden;
}

RankContent ContentOf(const models::Golden& golden, const nlohmann::ordered_json& pair,
                      const std::string& side) {
  RankContent content{pair.value(side, "")};
  for (const std::string& name : pair.value(side + "_images", std::vector<std::string>())) {
    content.images.push_back(models::ReadAll(golden.input(name)));
  }
  return content;
}

class GoldenRerankerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenRerankerTest, ScoresAsTheReferenceDoes) {
  const models::Golden golden = Fixture(GetParam());
  PALATE_SKIP_WITHOUT(golden);
  const auto reranker = Load(golden);

  auto tensors = models::LoadTensors(golden.tensors());
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const at::Tensor scores = (*tensors)["rerank.scores"],
                   logits = (*tensors)["rerank.no_yes_logits"];
  const auto pairs = golden.inputs()["rerank"];

  for (size_t i = 0; i < pairs.size(); ++i) {
    RankInput input;
    input.query = ContentOf(golden, pairs[i], "query");
    input.documents = {ContentOf(golden, pairs[i], "document")};
    input.instruction = pairs[i].value("instruction", "");
    const RankOutput output = Rank(*reranker, input);
    ASSERT_EQ(output.relevance.size(), 1u);
    const auto row = static_cast<int64_t>(i);
    EXPECT_NEAR(output.relevance[0], scores[row].item<float>(), kScoreTolerance) << i;
    EXPECT_NEAR(output.scores[0], (logits[row][1] - logits[row][0]).item<float>(), 1e-4) << i;
  }
}

// Without qwen3-yarn, whose pairs are longer than its positions: the reference computes beyond
// them, a service truncates.
INSTANTIATE_TEST_SUITE_P(Protocols, GoldenRerankerTest,
                         ::testing::Values("qwen3-gqa", "tests/goldens/rerank-qwen3",
                                           "tests/goldens/rerank-qwen3_vl"));

class PointwiseRerankerTest : public ::testing::Test {
 protected:
  void SetUp() override { PALATE_SKIP_WITHOUT(golden_); }

  const models::Golden golden_{"qwen3-gqa"};
};

TEST_F(PointwiseRerankerTest, ScoresADocumentAloneAsAmongMany) {
  const auto reranker = Load(golden_);
  const std::vector<std::string> documents = SomeDocuments(24);
  const RankOutput together = Rank(*reranker, Request("What is gravity?", documents));
  EXPECT_GT(*std::max_element(together.relevance.begin(), together.relevance.end()) -
                *std::min_element(together.relevance.begin(), together.relevance.end()),
            0.01f);

  for (size_t i = 0; i < documents.size(); i += 5) {
    ExpectSameScores(Rank(*reranker, Request("What is gravity?", {documents[i]})).relevance,
                     {together.relevance[i]});
  }
}

TEST_F(PointwiseRerankerTest, ScoresOfPermutedDocumentsAreThePermutedScores) {
  const auto reranker = Load(golden_);
  std::vector<std::string> documents = SomeDocuments(20);
  const RankOutput before = Rank(*reranker, Request("Explain", documents));
  std::reverse(documents.begin(), documents.end());
  RankOutput after = Rank(*reranker, Request("Explain", documents));
  std::reverse(after.relevance.begin(), after.relevance.end());
  ExpectSameScores(before.relevance, after.relevance);
}

TEST_F(PointwiseRerankerTest, ScoresAreTheSameWithAndWithoutASharedPrefixAndInAnyGroups) {
  const RankInput input = Request("What is the capital of China?", SomeDocuments(30));
  const RankOutput expected = Rank(*Load(golden_, {.share_prefix = false}), input);
  for (const int64_t group_tokens : {64, 300, 100000}) {
    const auto reranker = Load(golden_, {.max_forward_tokens = group_tokens});
    ExpectSameScores(Rank(*reranker, input).relevance, expected.relevance);
  }
}

TEST_F(PointwiseRerankerTest, AnswersManyCallersInTurnsWithTheSameScores) {
  const auto reranker = Load(golden_, {.max_forward_tokens = 64});
  const RankInput input = Request("What is gravity?", SomeDocuments(12));
  const RankOutput expected = Rank(*reranker, input);

  std::vector<std::thread> callers;
  std::atomic<int> equal = 0;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 3; ++i) {
        const auto output = reranker->Rank(input, {});
        if (output.ok() && output->scores == expected.scores) ++equal;
      }
    });
  }

  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(equal, 12);
}

TEST_F(PointwiseRerankerTest, ABadDocumentFailsAlone) {
  const auto reranker = Load(golden_);
  RankInput input = Request("What is gravity?", SomeDocuments(5));
  const RankOutput good = Rank(*reranker, input);
  EXPECT_THAT(good.failures, IsEmpty());

  input.documents[1].text = "broken \xff\xfe";
  input.documents[3].images = {"no picture, and no eyes for one"};
  const RankOutput output = Rank(*reranker, input);

  ASSERT_EQ(output.failures.size(), 2u);
  EXPECT_EQ(output.failures[0].index, 1u);
  EXPECT_EQ(output.failures[0].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldViolations(output.failures[0].status)[0].field, "text");
  EXPECT_EQ(FieldViolations(output.failures[1].status)[0].field, "images");
  EXPECT_TRUE(std::isnan(output.scores[1]) && std::isnan(output.relevance[3]));
  for (const size_t i : {0, 2, 4})
    EXPECT_NEAR(output.relevance[i], good.relevance[i], kScoreTolerance);
}

TEST_F(PointwiseRerankerTest, ABadQueryFailsTheRequest) {
  const auto reranker = Load(golden_);
  RankInput input = Request("\xff", {"a"});
  absl::Status status = reranker->Rank(input, {}).status();
  EXPECT_EQ(FieldViolations(status)[0].field, "query.text");

  input.query = RankContent{"q", {"picture"}};
  status = reranker->Rank(input, {}).status();
  EXPECT_EQ(FieldViolations(status)[0].field, "query.images");
}

TEST_F(PointwiseRerankerTest, CutsALongDocumentAndSaysSo) {
  const auto reranker = Load(golden_);
  std::string endless;
  for (int i = 0; i < 6000; ++i) endless += " gravity";

  const RankOutput output = Rank(*reranker, Request("What is gravity?", {"short", endless}));
  EXPECT_EQ(output.truncated_documents, 1);
  EXPECT_THAT(output.failures, IsEmpty());
  EXPECT_TRUE(std::isfinite(output.scores[1]));
  EXPECT_LE(output.prompt_tokens, 2 * reranker->max_prompt_tokens());
}

TEST_F(PointwiseRerankerTest, RefusesAtOnceWhatCannotBeReadyInTime) {
  const auto reranker = Load(golden_);
  const RankInput input = Request("q", SomeDocuments(8));
  EXPECT_EQ(reranker->Rank(input, {.deadline = absl::Now()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(reranker->Rank(input, {.deadline = absl::InfinitePast()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(reranker->stats().refused_for_deadline, 2);
  EXPECT_TRUE(reranker->Rank(input, {.deadline = absl::Now() + absl::Hours(1)}).ok());
}

TEST_F(PointwiseRerankerTest, RefusesAtOnceUnderOverload) {
  const auto reranker = Load(golden_, {.max_queued_rankings = 0});
  EXPECT_EQ(reranker->Rank(Request("q", {"d"}), {}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(reranker->stats().refused_for_overload, 1);
}

TEST_F(PointwiseRerankerTest, StopsForACallerWhoCancels) {
  const auto reranker = Load(golden_, {.max_forward_tokens = 64});
  const RankInput input = Request("q", SomeDocuments(40));
  const auto cancellation = std::make_shared<Cancellation>();
  cancellation->Cancel();
  EXPECT_EQ(reranker->Rank(input, {.cancellation = cancellation}).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_TRUE(reranker->Rank(Request("q", {"d"}), {}).ok());
}

TEST_F(PointwiseRerankerTest, RefusesMoreTokensThanItsLimit) {
  const auto reranker = Load(golden_, {.max_rank_tokens = 1500});
  const absl::Status status = reranker->Rank(Request("q", SomeDocuments(40)), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 1500"));
}

TEST_F(PointwiseRerankerTest, HasAFingerprintOfItsWeightsAndProtocol) {
  const auto reranker = Load(golden_), again = Load(golden_);
  EXPECT_EQ(reranker->fingerprint().size(), 16u);
  EXPECT_EQ(reranker->fingerprint(), again->fingerprint());
  EXPECT_EQ(reranker->max_prompt_tokens(), 4096);  // the positions of the checkpoint
  EXPECT_FALSE(reranker->reads_images());
  EXPECT_TRUE(reranker->Health().ok());
}

TEST_F(PointwiseRerankerTest, ReadsHistoryAndFactsWhereNoContentIsGiven) {
  const auto reranker = Load(golden_);
  RandomShopper shopper = MakeRandomShopper(5, 12, 6);
  RankInput input{"", std::move(shopper.history), std::move(shopper.candidates), ""};
  const RankOutput output = Rank(*reranker, input);
  ASSERT_EQ(output.scores.size(), 6u);
  EXPECT_THAT(output.failures, IsEmpty());

  std::reverse(input.candidates.begin(), input.candidates.end());
  RankOutput reversed = Rank(*reranker, input);
  std::reverse(reversed.relevance.begin(), reversed.relevance.end());
  ExpectSameScores(output.relevance, reversed.relevance);
}

TEST_F(PointwiseRerankerTest, RefusesAFolderOfAnotherFamily) {
  const models::Golden llama("llama-llama3rope_bf16");
  PALATE_SKIP_WITHOUT(llama);
  EXPECT_EQ(PointwiseReranker::Load(llama.checkpoint()).status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(PointwiseReranker::Load(golden_.checkpoint() + "/absent").status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(PointwiseRerankerTest, RankerServesARerankerByNameAndExplainsByTemplate) {
  const auto ranker =
      Ranker::Create({.models = {{"judge", golden_.checkpoint()}}, .default_model = "judge"});
  ASSERT_TRUE(ranker.ok()) << ranker.status();
  ASSERT_EQ((*ranker)->models().size(), 1u);
  EXPECT_EQ((*ranker)->models()[0].mode, RankMode::kPointwise);

  RankInput input = Request("What is gravity?", {"Gravity attracts.", "Dogs run."});
  input.mode = RankMode::kPointwise;
  const auto output = (*ranker)->Rank(input, {});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->scores.size(), 2u);
  input.mode = RankMode::kListwise;
  EXPECT_EQ((*ranker)->Rank(input, {}).status().code(), absl::StatusCode::kInvalidArgument);

  const RandomShopper shopper = MakeRandomShopper(3, 8, 1);
  std::vector<ExplainInput> asked = {{"", shopper.history, shopper.candidates[0], {"content"}, ""}};
  const auto explanations = (*ranker)->Explain(asked, nullptr, {});
  ASSERT_TRUE(explanations.ok()) << explanations.status();
  EXPECT_EQ((*explanations)[0].source, ExplanationSource::kTemplate);
  EXPECT_THAT((*explanations)[0].rejected_reason, HasSubstr("no language model that writes"));

  asked[0].model = "judge";
  EXPECT_EQ((*ranker)->Explain(asked, nullptr, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// The vision protocol on a small model with random weights. The expected scores are computed with
// the model directly, pair by pair.
class VisionRerankerTest : public ::testing::Test {
 protected:
  void SetUp() override { PALATE_SKIP_WITHOUT(golden_); }

  static std::string Picture(int64_t width, int64_t height, int seed) {
    models::Image image{width, height, {}};
    for (int64_t i = 0; i < width * height * 3; ++i)
      image.rgb.push_back(static_cast<uint8_t>((i * (7 + seed) + seed * 31) % 251));
    return models::EncodePng(image).value();
  }

  float Expected(const models::CausalLm& model, const RankInput& input,
                 const RankContent& document) const {
    const auto protocol = RerankProtocol::Create(model.shared_tokenizer(), RerankStyle::kVision,
                                                 model.decoder().config().max_positions);

    models::LmSequence sequence;
    std::vector<int64_t> query_images, document_images;
    const auto add = [&](const std::vector<std::string>& images, std::vector<int64_t>& tokens) {
      for (const std::string& encoded : images) {
        const models::PixelBudget budget{4 * 32 * 32, 1800 * 32 * 32};
        sequence.images.push_back(
            model.image_processor()->Process(models::DecodeImage(encoded).value(), budget).value());
        tokens.push_back(model.vision()->MergedPatches(sequence.images.back()));
      }
    };

    add(input.query->images, query_images);
    add(document.images, document_images);
    sequence.ids = (*protocol)
                       ->Encode({DefaultInstruction(RerankStyle::kVision), input.query->text,
                                 document.text, query_images, document_images})
                       ->ids;

    const c10::InferenceMode inference;
    const at::Tensor logits = model.decoder().Logits(model.LastHidden({sequence}));
    return (logits[0][(*protocol)->yes_id()] - logits[0][(*protocol)->no_id()])
        .sigmoid()
        .item<float>();
  }

  const models::Golden golden_{"qwen3_vl-deepstack"};
};

TEST_F(VisionRerankerTest, ScoresPicturesAndTextInQueryAndDocuments) {
  const auto model = models::CausalLm::Load(golden_.checkpoint());
  ASSERT_TRUE(model.ok()) << model.status();

  RankInput input;
  input.query = RankContent{"a walnut chair", {Picture(70, 90, 1)}};
  input.documents = {{"A chair.", {Picture(64, 64, 2)}},
                     {"Only text."},
                     {"", {Picture(100, 40, 3), Picture(40, 100, 4)}},
                     {"A chair.", {Picture(64, 64, 5)}},
                     {""}};

  for (const bool share : {true, false}) {
    const auto reranker = Load(golden_, {.share_prefix = share});
    EXPECT_TRUE(reranker->reads_images());
    const RankOutput output = Rank(*reranker, input);
    EXPECT_THAT(output.failures, IsEmpty());
    for (size_t i = 0; i < input.documents.size(); ++i) {
      EXPECT_NEAR(output.relevance[i], Expected(**model, input, input.documents[i]),
                  kScoreTolerance)
          << i;
    }
    EXPECT_GT(std::abs(output.scores[0] - output.scores[3]), 1e-4)
        << "the image does not affect the score";
  }
}

TEST_F(VisionRerankerTest, ABrokenPictureFailsAlone) {
  const auto reranker = Load(golden_);
  RankInput input;
  input.query = RankContent{"chair"};
  input.documents = {
      {"good", {Picture(64, 64, 1)}}, {"bad", {Picture(64, 64, 1).substr(0, 60)}}, {"also good"}};
  const RankOutput output = Rank(*reranker, input);

  ASSERT_EQ(output.failures.size(), 1u);
  EXPECT_EQ(output.failures[0].index, 1u);
  EXPECT_EQ(FieldViolations(output.failures[0].status)[0].field, "images[0]");
  EXPECT_TRUE(std::isfinite(output.scores[0]) && std::isfinite(output.scores[2]));
}

}  // namespace
}  // namespace palate::ranking
