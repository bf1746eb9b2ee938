#include "offline/training/lm_task.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <filesystem>

#include "gtest/gtest.h"
#include "models/checkpoint/checkpoint.h"
#include "offline/training/tokenizer_corpus.h"
#include "tests/temp_folder.h"

namespace palate::training {
namespace {

std::string Folder(const std::string& name) {
  static const TempFolder folder;
  return folder.file(name);
}

LmTaskOptions TinyTask() {
  LmTaskOptions options;
  options.tokenizer = Folder("tokenizer");
  options.hidden_size = 32;
  options.intermediate_size = 48;
  options.num_layers = 1;
  options.num_heads = 2;
  options.num_kv_heads = 1;
  options.head_dim = 16;
  options.rank_examples = 2;
  options.explain_examples = 2;
  options.candidates = 6;
  return options;
}

LoopOptions TinyLoop(const std::string& out, int64_t steps) {
  LoopOptions options;
  options.out = out;
  options.steps = steps;
  options.peak_learning_rate = 5e-3;
  options.warmup_steps = 4;
  return options;
}

class LmTaskTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(
        TrainTokenizer({.seed = 1, .vocab_size = 1200, .shops = 2}, Folder("tokenizer")).ok());
    at::set_num_threads(1);
  }
};

TEST_F(LmTaskTest, ResumedTrainingEqualsUninterruptedTrainingBitForBit) {
  const auto whole = LmTask::Create(TinyTask());
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_TRUE(RunTraining(**whole, TinyLoop(Folder("whole"), 8)).ok());

  LoopOptions options = TinyLoop(Folder("halves"), 8);
  {
    const auto first = LmTask::Create(TinyTask());
    ASSERT_TRUE(first.ok());
    options.step_limit = 3;
    const auto stopped = RunTraining(**first, options);
    ASSERT_TRUE(stopped.ok()) << stopped.status();
    ASSERT_EQ(stopped->steps_done, 3);
  }
  const auto second = LmTask::Create(TinyTask());
  ASSERT_TRUE(second.ok());

  options.step_limit = 0;
  options.resume = true;
  ASSERT_TRUE(RunTraining(**second, options).ok());

  const std::vector<TrainedTensor> a = (*whole)->Tensors(), b = (*second)->Tensors();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(at::equal(a[i].tensor, b[i].tensor)) << a[i].name;
}

TEST_F(LmTaskTest, LossGoesDownAndTheFolderLoadsWithEqualScores) {
  const auto task = LmTask::Create(TinyTask());
  ASSERT_TRUE(task.ok()) << task.status();
  const double before = (*task)->ComputeLoss(1000)->loss.item<double>();

  ASSERT_TRUE(RunTraining(**task, TinyLoop(Folder("model"), 30)).ok());
  EXPECT_LT((*task)->ComputeLoss(1000)->loss.item<double>(), 0.9 * before);

  const auto checkpoint = models::Checkpoint::Open(Folder("model"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto loaded = models::DecoderModel::Load(*checkpoint);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const at::NoGradGuard no_grad;

  const models::PackedTokens tokens = models::PackTokens({{1, 2, 3, 4, 5}});
  EXPECT_TRUE(
      at::allclose((*loaded)->Forward(tokens), (*task)->model().Forward(tokens), 1e-4, 1e-5));

  EXPECT_TRUE(std::filesystem::exists(Folder("model") + "/tokenizer.json"));
  EXPECT_TRUE(std::filesystem::exists(Folder("model") + "/palate.json"));
}

TEST_F(LmTaskTest, CandidatesScoreTheSameInAnyOrderAndCompany) {
  const auto task = LmTask::Create(TinyTask());
  ASSERT_TRUE(task.ok());
  const RankExample both{.prefix = {300, 301, 302},
                         .history_targets = {},
                         .candidates = {{310, 311, 5}, {320, 5}},
                         .targets = {1, 0},
                         .utilities = {}};

  const RankExample turned{.prefix = both.prefix,
                           .history_targets = {},
                           .candidates = {{320, 5}, {310, 311, 5}},
                           .targets = {0, 1},
                           .utilities = {}};

  const RankExample alone{.prefix = both.prefix,
                          .history_targets = {},
                          .candidates = {{320, 5}},
                          .targets = {0},
                          .utilities = {}};

  const at::NoGradGuard no_grad;
  const auto scores = [&](const RankExample& example) {
    const RankBatch batch = MakeRankBatch({example}, 0);
    return LabelLogOdds((*task)->model(),
                        (*task)->model().Forward(batch.tokens).index_select(0, batch.label_rows), 6,
                        7);
  };

  const at::Tensor a = scores(both), b = scores(turned), c = scores(alone);
  EXPECT_NEAR(a[0].item<float>(), b[1].item<float>(), 1e-5);
  EXPECT_NEAR(a[1].item<float>(), b[0].item<float>(), 1e-5);
  EXPECT_NEAR(a[1].item<float>(), c[0].item<float>(), 1e-5);
}

TEST_F(LmTaskTest, BatchPadsToTheLongestExampleAndPaddingSeesOnlyItself) {
  const RankExample shorter{.prefix = {300},
                            .history_targets = {},
                            .candidates = {{320, 5}},
                            .targets = {1},
                            .utilities = {}};

  const RankExample longer{.prefix = {300, 301, 302},
                           .history_targets = {{1, 1.0f}},
                           .candidates = {{310, 311, 5}},
                           .targets = {0},
                           .utilities = {}};

  const RankBatch batch = MakeRankBatch({shorter, longer}, 9);

  EXPECT_EQ(batch.tokens.ids.size(1), 6);
  EXPECT_EQ(batch.tokens.ids[0][5].item<int64_t>(), 9);
  EXPECT_EQ(batch.tokens.allowed[0][5].sum().item<int64_t>(), 1);
  EXPECT_TRUE(batch.tokens.allowed[0][5][5].item<bool>());

  EXPECT_EQ(batch.history_labels, 1);
  EXPECT_EQ(batch.label_rows[0].item<int64_t>(), 7);  // the history's label of the second example
  EXPECT_EQ(batch.label_rows[1].item<int64_t>(), 2);  // the first candidate
  EXPECT_EQ(batch.label_rows[2].item<int64_t>(), 11);
}

}  // namespace
}  // namespace palate::training
