#include "ranking/engine/llm_engine.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <limits>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ranking/engine/decode_wave.h"
#include "ranking/engine/loaded_model.h"
#include "ranking/engine/scorer.h"
#include "ranking/ranker.h"
#include "tests/eventually.h"
#include "tests/ranking/engine/tiny_model.h"
#include "tests/ranking/ranking_test_data.h"
#include "tests/temp_folder.h"

namespace palate::ranking {
namespace {

using ::testing::HasSubstr;

class LlmEngineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_folder_ = std::make_unique<TempFolder>();
    folder_ = temp_folder_->file("tiny_lm");
    ASSERT_TRUE(WriteTinyModel(folder_).ok());
  }
  static void TearDownTestSuite() { temp_folder_.reset(); }

  static std::unique_ptr<LlmEngine> Load(const EngineOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<LlmEngine>> engine = LlmEngine::Load(folder_, options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  static RankInput Input(uint64_t seed, int candidates) {
    RandomShopper shopper = MakeRandomShopper(seed, 12, candidates);
    return {"", std::move(shopper.history), std::move(shopper.candidates), ""};
  }

  static std::vector<ExplainInput> ExplainInputs(int count) {
    const RandomShopper shopper = MakeRandomShopper(3, 10, count);
    std::vector<ExplainInput> inputs;
    for (const ItemFacts& item : shopper.candidates)
      inputs.push_back({"", shopper.history, item, {"content", "trending"}, ""});
    return inputs;
  }

  static inline std::unique_ptr<TempFolder> temp_folder_;
  static inline std::string folder_;
};

constexpr float kTolerance = 1e-4f;

// The reference: the prefix and all candidates in one row under the block mask, with positions that
// continue from the prefix for each candidate.
std::vector<float> ScoresByMask(const LoadedModel& loaded, const EncodedRankPrompt& prompt) {
  const c10::InferenceMode inference;
  std::vector<int64_t> ids = prompt.prefix, positions, owner(prompt.prefix.size(), -1), ends;

  for (size_t i = 0; i < ids.size(); ++i) positions.push_back(static_cast<int64_t>(i));
  for (size_t c = 0; c < prompt.candidates.size(); ++c) {
    for (size_t i = 0; i < prompt.candidates[c].size(); ++i) {
      ids.push_back(prompt.candidates[c][i]);
      positions.push_back(static_cast<int64_t>(prompt.prefix.size() + i));
      owner.push_back(static_cast<int64_t>(c));
    }
    ends.push_back(static_cast<int64_t>(ids.size()) - 1);
  }

  const int64_t n = static_cast<int64_t>(ids.size());
  const at::Tensor owners = at::tensor(owner, at::kLong);
  const at::Tensor same =
      owners.unsqueeze(1).eq(owners.unsqueeze(0)).logical_or(owners.eq(-1).unsqueeze(0));
  const at::Tensor allowed = same.logical_and(at::ones({n, n}, at::kBool).tril());
  const at::Tensor hidden = loaded.model->Forward(
      models::MaskedTokens{at::tensor(ids, at::kLong).unsqueeze(0),
                           at::tensor(positions, at::kLong).unsqueeze(0), allowed.unsqueeze(0)});

  const at::Tensor logits = loaded.model->LabelLogits(
      hidden.index_select(0, at::tensor(ends, at::kLong)),
      {loaded.encoder->Id(SpecialToken::kYes), loaded.encoder->Id(SpecialToken::kNo)});
  const at::Tensor odds = (logits.select(1, 0) - logits.select(1, 1)).contiguous();
  return {odds.data_ptr<float>(), odds.data_ptr<float>() + odds.numel()};
}

TEST_F(LlmEngineTest, ScoresEqualOneForwardUnderTheTrainersMask) {
  const auto loaded = LoadedModel::Load(folder_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const RankInput input = Input(1, 20);
  const auto prompt = loaded->encoder->Encode(
      BuildRankPrompt(input, Summarize(input.history), {}, loaded->encoder->Counter()));
  ASSERT_TRUE(prompt.ok());
  const std::vector<float> expected = ScoresByMask(*loaded, *prompt);

  for (const int64_t group_tokens : {1, 50, 1024}) {
    const auto scores = ScoreCandidates(*loaded, *prompt, group_tokens, [] { return true; });
    ASSERT_TRUE(scores.ok()) << scores.status();
    ASSERT_EQ(scores->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR((*scores)[i], expected[i], kTolerance) << group_tokens;
  }
}

TEST_F(LlmEngineTest, ScoresOfPermutedCandidatesAreThePermutedScores) {
  const auto engine = Load();
  RankInput input = Input(2, 30);
  const auto before = engine->Rank(input, {});
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_EQ(before->scores.size(), 30u);
  EXPECT_GT(*std::max_element(before->scores.begin(), before->scores.end()) -
                *std::min_element(before->scores.begin(), before->scores.end()),
            0.1f);

  std::reverse(input.candidates.begin(), input.candidates.end());
  const auto after = engine->Rank(input, {});
  ASSERT_TRUE(after.ok());
  for (size_t i = 0; i < 30; ++i) EXPECT_NEAR(before->scores[i], after->scores[29 - i], kTolerance);
}

TEST_F(LlmEngineTest, ScoresACandidateAloneAsAmongMany) {
  const auto engine = Load();
  const RankInput input = Input(4, 25);
  const auto together = engine->Rank(input, {});
  ASSERT_TRUE(together.ok());
  for (size_t i = 0; i < 25; i += 6) {
    RankInput alone = input;
    alone.candidates = {input.candidates[i]};
    const auto score = engine->Rank(alone, {});
    ASSERT_TRUE(score.ok());
    EXPECT_NEAR(score->scores[0], together->scores[i], kTolerance);
  }
}

TEST_F(LlmEngineTest, AnswersManyCallersAtOnceWithTheSameScores) {
  const auto engine = Load();
  const RankInput input = Input(5, 10);
  const auto expected = engine->Rank(input, {});
  ASSERT_TRUE(expected.ok());

  std::vector<std::thread> callers;
  std::atomic<int> equal = 0;
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        const auto output = engine->Rank(input, {});
        if (output.ok() && output->scores == expected->scores) ++equal;
      }
    });
  }

  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(equal, 30);
}

TEST_F(LlmEngineTest, RanksNothingAndSaysWhatThePromptTook) {
  const auto engine = Load();
  RankInput input = Input(6, 0);
  auto output = engine->Rank(input, {});
  ASSERT_TRUE(output.ok());
  EXPECT_TRUE(output->scores.empty());
  EXPECT_GT(output->prompt_tokens, 0);
  EXPECT_EQ(output->model_fingerprint, engine->fingerprint());
  EXPECT_EQ(output->model_fingerprint.size(), 16u);

  for (int i = 0; i < 40; ++i)
    input.history.push_back(MakeEntry(WalnutChair(), "like", 1.0, 20 + i));
  for (int i = 0; i < 40; ++i)
    input.history[static_cast<size_t>(i)].item.item_id = "x" + std::to_string(i);
  output = engine->Rank(input, {});
  ASSERT_TRUE(output.ok());
  EXPECT_GT(output->truncated_history, 20);
}

TEST_F(LlmEngineTest, TakesSpecialTokensInItemTextAsCharacters) {
  const auto loaded = LoadedModel::Load(folder_);
  ASSERT_TRUE(loaded.ok());
  const PromptEncoder& encoder = *loaded->encoder;
  for (const std::string& text : SpecialTokenTexts()) {
    const auto ids = encoder.Encode({Segment::Text(" walnut " + text + text)});
    ASSERT_TRUE(ids.ok());
    for (const int64_t id : *ids) EXPECT_FALSE(encoder.IsSpecial(id)) << text;
    const auto special = encoder.Encode({Segment{Segment::Kind::kSpecial, text}});
    ASSERT_TRUE(special.ok());
    ASSERT_EQ(special->size(), 1u);
    EXPECT_TRUE(encoder.IsSpecial((*special)[0]));
  }
}

TEST_F(LlmEngineTest, EncodesAndDecodesSegmentsUnchanged) {
  const auto loaded = LoadedModel::Load(folder_);
  ASSERT_TRUE(loaded.ok());
  const std::vector<Segment> segments = {
      Segment::Text(" You often choose caf\u00e9 things"), Segment::Special(ValueSlot(0)),
      Segment::Text(", and this one."), Segment::Special(SpecialToken::kEnd)};

  const auto ids = loaded->encoder->Encode(segments);
  ASSERT_TRUE(ids.ok());
  const auto decoded = loaded->encoder->Decode(*ids);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, segments);
  EXPECT_FALSE(loaded->encoder->Decode({1 << 30}).ok());
}

DecodeRequest RequestFor(const LoadedModel& loaded, const ExplainInput& input, size_t key) {
  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
  return {key,
          loaded.encoder->Encode(BuildExplainPrompt(plan)).value(),
          {ValueSlot(0), TitleSlot(0)},
          100 + key,
          nullptr};
}

std::vector<std::vector<int64_t>> RunWave(const LoadedModel& loaded,
                                          std::vector<DecodeRequest> requests,
                                          const DecodeOptions& options) {
  std::vector<std::vector<int64_t>> texts(100);
  auto wave = DecodeWave::Start(loaded, std::move(requests), options);
  EXPECT_TRUE(wave.ok()) << wave.status();

  while (!(*wave)->done()) {
    auto finished = (*wave)->Step();
    EXPECT_TRUE(finished.ok()) << finished.status();
    for (DecodedText& text : *finished) texts[text.key] = std::move(text.ids);
  }
  return texts;
}

TEST_F(LlmEngineTest, DecodesWithTheCacheWhatFullForwardsGive) {
  const auto loaded = LoadedModel::Load(folder_);
  ASSERT_TRUE(loaded.ok());
  const DecodeRequest request = RequestFor(*loaded, ExplainInputs(1)[0], 0);
  const DecodeOptions greedy{.max_new_tokens = 24, .temperature = 0};
  const std::vector<int64_t> cached = RunWave(*loaded, {request}, greedy)[0];
  ASSERT_FALSE(cached.empty());

  const c10::InferenceMode inference;
  std::vector<int64_t> sequence = request.prompt;
  const int64_t end = loaded->encoder->Id(SpecialToken::kEnd);
  for (const int64_t expected : cached) {
    at::Tensor logits =
        loaded->model
            ->Logits(loaded->model->Forward(models::PackTokens({sequence})).slice(0, -1))[0]
            .clone();
    for (int64_t id = 0; id < logits.numel(); ++id) {
      const bool slot = id == loaded->encoder->Id(ValueSlot(0)) ||
                        id == loaded->encoder->Id(TitleSlot(0)) || id == end;
      if ((loaded->encoder->IsSpecial(id) && !slot) || id >= loaded->encoder->vocab_size())
        logits[id] = -std::numeric_limits<float>::infinity();
    }
    EXPECT_EQ(logits.argmax().item<int64_t>(), expected);
    sequence.push_back(expected);
  }
}

TEST_F(LlmEngineTest, DecodesABatchAsEachTextAlone) {
  const auto loaded = LoadedModel::Load(folder_);
  ASSERT_TRUE(loaded.ok());
  std::vector<DecodeRequest> requests;
  const std::vector<ExplainInput> inputs = ExplainInputs(9);
  for (size_t i = 0; i < inputs.size(); ++i) {
    requests.push_back(RequestFor(*loaded, inputs[i], i));
    if (i % 2 == 0)
      requests.back().prompt.resize(requests.back().prompt.size() - i);  // lengths differ
  }

  const DecodeOptions options{.max_new_tokens = 40, .temperature = 0.7};
  const auto together = RunWave(*loaded, requests, options);
  for (size_t i = 0; i < requests.size(); ++i)
    EXPECT_EQ(RunWave(*loaded, {requests[i]}, options)[i], together[i]) << i;
}

TEST_F(LlmEngineTest, DrawsOnlyWhatIsAdmittedAndGivesUpWhereNothingIs) {
  const auto loaded = LoadedModel::Load(folder_);
  ASSERT_TRUE(loaded.ok());
  const DecodeOptions options{.max_new_tokens = 20, .temperature = 0.7};
  DecodeRequest free = RequestFor(*loaded, ExplainInputs(1)[0], 0);
  const int64_t first = RunWave(*loaded, {free}, options)[0].at(0);
  DecodeRequest guarded = free;
  guarded.admits = [first](const std::vector<int64_t>& ids) { return ids.back() != first; };
  const std::vector<int64_t> ids = RunWave(*loaded, {guarded}, options)[0];
  EXPECT_EQ(std::count(ids.begin(), ids.end(), first), 0);

  // A text that would be longer than what is admitted.
  DecodeRequest stuck = free;
  while (RunWave(*loaded, {stuck}, options)[0].size() <= 3)
    ASSERT_LT(++stuck.seed, free.seed + 100);
  stuck.key = 1;
  stuck.admits = [](const std::vector<int64_t>& ids) { return ids.size() <= 3; };
  auto wave = DecodeWave::Start(*loaded, {free, stuck}, options);
  ASSERT_TRUE(wave.ok());
  while (!(*wave)->done()) {
    const auto finished = (*wave)->Step();
    ASSERT_TRUE(finished.ok()) << finished.status();
    for (const DecodedText& text : *finished) {
      EXPECT_EQ(text.end == DecodedText::End::kStuck, text.key == stuck.key);
      if (text.key == stuck.key) {
        EXPECT_EQ(text.ids.size(), 3u);
      }
    }
  }
}

TEST_F(LlmEngineTest, ReplacesTheRandomModelsTextsByTemplatesAndSaysWhy) {
  const auto engine = Load({.max_new_tokens = 30, .max_attempts = 2});
  std::vector<std::string> streamed(12);
  const auto explanations = engine->Explain(ExplainInputs(12),
                                            [&](size_t index, const std::string& piece) {
                                              streamed[index] += piece;
                                              return true;
                                            },
                                            {});

  ASSERT_TRUE(explanations.ok()) << explanations.status();
  ASSERT_EQ(explanations->size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    const Explanation& explanation = (*explanations)[i];
    EXPECT_FALSE(explanation.text.empty());
    EXPECT_EQ(streamed[i], explanation.text);
    EXPECT_EQ(explanation.source == ExplanationSource::kTemplate,
              !explanation.rejected_reason.empty());
    EXPECT_EQ(explanation.model_fingerprint, engine->fingerprint());
  }

  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.explanations, 12);
  EXPECT_EQ(stats.accepted_texts + stats.template_explanations, 12);
  EXPECT_GE(stats.refused_texts, 2 * stats.template_explanations);
  EXPECT_GT(stats.seconds_per_decode_step, 0);
}

TEST_F(LlmEngineTest, ExplainsInWavesWhatExceedsTheBatch) {
  const auto engine = Load({.max_decode_batch = 3, .max_new_tokens = 8, .max_attempts = 1});
  const auto explanations = engine->Explain(ExplainInputs(10), nullptr, {});
  ASSERT_TRUE(explanations.ok());
  for (const Explanation& explanation : *explanations) EXPECT_FALSE(explanation.text.empty());
}

TEST_F(LlmEngineTest, RefusesAtOnceWhatCannotBeReadyInTime) {
  const auto engine = Load();
  EXPECT_EQ(engine->Rank(Input(7, 20), {.deadline = absl::Now()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(engine->Rank(Input(7, 20), {.deadline = absl::InfinitePast()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(engine->Explain(ExplainInputs(2), nullptr, {.deadline = absl::Now()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(engine->stats().refused_for_deadline, 3);
  EXPECT_TRUE(engine->Rank(Input(7, 20), {.deadline = absl::Now() + absl::Hours(1)}).ok());
}

TEST_F(LlmEngineTest, PutsTemplatesInTheirPlaceWhenTimeRunsOutWhileWriting) {
  // A text that is never accepted and drawn again and again takes until the deadline on any
  // machine.
  const auto engine = Load({.max_new_tokens = 2, .max_attempts = 1 << 30});
  const auto explanations = engine->Explain(ExplainInputs(3), nullptr,
                                            {.deadline = absl::Now() + absl::Milliseconds(300)});

  ASSERT_TRUE(explanations.ok()) << explanations.status();
  for (const Explanation& explanation : *explanations) {
    EXPECT_EQ(explanation.source, ExplanationSource::kTemplate);
    EXPECT_THAT(explanation.rejected_reason, HasSubstr("deadline"));
    EXPECT_FALSE(explanation.text.empty());
  }
}

TEST_F(LlmEngineTest, StopsForACallerWhoCancels) {
  const auto engine = Load({.max_new_tokens = 2, .max_attempts = 1 << 30});
  const auto cancellation = std::make_shared<Cancellation>();
  std::thread canceller([&] {
    // Waits until the endless request has started.
    EXPECT_TRUE(Eventually([&] { return engine->stats().refused_texts > 0; }));
    cancellation->Cancel();
  });

  EXPECT_EQ(
      engine->Explain(ExplainInputs(3), nullptr, {.cancellation = cancellation}).status().code(),
      absl::StatusCode::kCancelled);
  canceller.join();

  EXPECT_EQ(engine->Rank(Input(8, 20), {.cancellation = cancellation}).status().code(),
            absl::StatusCode::kCancelled);
  // If the endless request were still running, this one would wait for it.
  EXPECT_TRUE(engine->Rank(Input(8, 20), {}).ok());
  EXPECT_TRUE(Eventually([&] { return engine->stats().queued_explanations == 0; }));
}

TEST_F(LlmEngineTest, StopsWhenTheStreamIsClosed) {
  const auto engine = Load({.max_new_tokens = 8, .max_attempts = 1});
  int pieces = 0;
  const auto result = engine->Explain(ExplainInputs(4),
                                      [&](size_t, const std::string&) { return ++pieces < 3; }, {});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(pieces, 3);
}

TEST_F(LlmEngineTest, RefusesAtOnceUnderOverload) {
  const auto engine = Load({.max_queued_rankings = 0, .max_queued_explanations = 0});
  EXPECT_EQ(engine->Rank(Input(9, 5), {}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(engine->Explain(ExplainInputs(1), nullptr, {}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(engine->stats().refused_for_overload, 2);
}

TEST_F(LlmEngineTest, TextsWithNothingToSayTakeNoPlaceOfThoseThatWaitForTheModel) {
  const auto engine = Load({.max_queued_explanations = 0});
  std::vector<ExplainInput> inputs = ExplainInputs(3);
  for (ExplainInput& input : inputs) {
    input.item.attributes.clear();
    input.history.clear();
  }
  const auto explanations = engine->Explain(inputs, nullptr, {});
  ASSERT_TRUE(explanations.ok()) << explanations.status();
  for (const Explanation& explanation : *explanations)
    EXPECT_EQ(explanation.cause, TemplateCause::kNothingToSay);
  EXPECT_EQ(engine->stats().refused_for_overload, 0);
}

TEST_F(LlmEngineTest, RefusesAPromptBeyondItsLimit) {
  const auto engine = Load({.max_rank_tokens = 100});
  const absl::Status status = engine->Rank(Input(10, 60), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 100"));
}

TEST_F(LlmEngineTest, RanksWithoutWhatItsPromptHasNoPlaceForAndNamesIt) {
  const auto engine = Load();
  RankInput input = Input(11, 5);
  const auto plain = engine->Rank(input, {});
  input.instruction = "prefer wood";
  input.query = RankContent{"a chair"};
  const auto ranking = engine->Rank(input, {});
  ASSERT_TRUE(plain.ok() && ranking.ok()) << ranking.status();
  EXPECT_TRUE(plain->unused_fields.empty());
  EXPECT_EQ(ranking->unused_fields, (std::vector<std::string>{"instruction", "query"}));
  EXPECT_EQ(ranking->scores, plain->scores);
}

TEST_F(LlmEngineTest, IsHealthyWhenIdleAndHasAStableFingerprint) {
  const auto engine = Load(), again = Load();
  EXPECT_TRUE(engine->Health().ok());
  EXPECT_EQ(engine->fingerprint(), again->fingerprint());
  EXPECT_EQ(engine->max_prompt_tokens(), 4096);
}

TEST_F(LlmEngineTest, NamesWhatIsWrongWithAFolder) {
  EXPECT_EQ(LlmEngine::Load(folder_ + "/absent").status().code(), absl::StatusCode::kNotFound);

  const std::string other = folder_ + "_other";
  std::filesystem::copy(folder_, other);
  std::filesystem::remove(other + "/palate.json");
  absl::Status status = LlmEngine::Load(other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("palate.json"));

  ASSERT_TRUE(
      models::WriteFileAtomically(other + "/palate.json", "{\"prompt_style\": \"sonnet\"}").ok());
  status = LlmEngine::Load(other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sonnet"));

  ASSERT_TRUE(WriteTinyModel(other, {"<|end|>"}).ok());
  status = LlmEngine::Load(other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("<|pad|>"));

  ASSERT_TRUE(WriteTinyModel(other).ok());
  std::filesystem::resize_file(other + "/model.safetensors", 1000);
  EXPECT_EQ(LlmEngine::Load(other).status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove_all(other);
}

TEST_F(LlmEngineTest, RankerServesModelsByName) {
  const auto ranker = Ranker::Create(
      {.models = {{"small", folder_}, {"other", folder_}}, .default_model = "other", .engine = {}});
  ASSERT_TRUE(ranker.ok()) << ranker.status();

  RankInput input = Input(11, 3);
  EXPECT_TRUE((*ranker)->Rank(input, {}).ok());
  input.model = "small";
  EXPECT_TRUE((*ranker)->Rank(input, {}).ok());
  input.model = "absent";
  EXPECT_EQ((*ranker)->Rank(input, {}).status().code(), absl::StatusCode::kNotFound);

  ASSERT_EQ((*ranker)->models().size(), 2u);
  EXPECT_EQ((*ranker)->models()[0].name, "other");
  EXPECT_TRUE((*ranker)->models()[0].is_default);
  EXPECT_EQ((*ranker)->stats("small")->rankings, 1);
  EXPECT_TRUE((*ranker)->Health().ok());

  std::vector<ExplainInput> inputs = ExplainInputs(2);
  inputs[1].model = "small";
  EXPECT_EQ((*ranker)->Explain(inputs, nullptr, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(LlmEngineTest, RankerRefusesNamesThatDoNotIdentify) {
  EXPECT_EQ(Ranker::Create({.models = {{"", folder_}}, .default_model = "", .engine = {}})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ranker::Create(
                {.models = {{"a", folder_}, {"a", folder_}}, .default_model = "", .engine = {}})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ranker::Create({.models = {{"a", folder_}}, .default_model = "b", .engine = {}})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(LlmEngineTest, RankerWithoutModelsExplainsByTemplate) {
  const auto ranker = Ranker::Create({});
  ASSERT_TRUE(ranker.ok());
  EXPECT_EQ((*ranker)->Rank(Input(12, 3), {}).status().code(),
            absl::StatusCode::kFailedPrecondition);

  const auto explanations = (*ranker)->Explain(ExplainInputs(2), nullptr, {});
  ASSERT_TRUE(explanations.ok());
  EXPECT_EQ((*explanations)[0].source, ExplanationSource::kTemplate);
  EXPECT_THAT((*explanations)[0].rejected_reason, HasSubstr("no language model"));
}

}  // namespace
}  // namespace palate::ranking
