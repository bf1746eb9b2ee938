#include "embedding/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "absl/time/clock.h"
#include "base/status.h"
#include "embedding/embedding_model.h"
#include "models/image/image.h"
#include "tests/embedding/dual_encoder_folder.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::embedding {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Picture(uint8_t seed, int64_t width = 40, int64_t height = 30) {
  models::Image image{.width = width, .height = height};
  image.rgb.resize(static_cast<size_t>(3 * width * height));
  for (size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<uint8_t>(i * seed + i / 7);
  return *models::EncodePng(image);
}

// A header that declares 50,000 x 50,000 pixels.
std::string Bomb() {
  std::string png = Picture(1, 2, 2);
  for (size_t at : {16, 20}) png.replace(at, 4, std::string("\x00\x00\xc3\x50", 4));
  return png;
}

double Norm(const std::vector<float>& values) {
  double square = 0;
  for (float value : values) square += static_cast<double>(value) * value;
  return std::sqrt(square);
}

double MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

const std::vector<float>& VectorIn(const EmbedResult& result, const std::string& space) {
  for (const SpaceVector& vector : result.vectors) {
    if (vector.space.name == space) return vector.values;
  }
  static const std::vector<float> kNone;
  return kNone;
}

class EmbedderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!folder_.exists()) GTEST_SKIP() << "the goldens are absent";
    folder_.WriteVision();
    Start({});
  }
  void Start(const EmbedderOptions& options) {
    auto model = EmbeddingModel::Load(folder_.path());
    ASSERT_TRUE(model.ok()) << model.status();
    auto embedder = Embedder::Create(*model, options);
    ASSERT_TRUE(embedder.ok()) << embedder.status();
    embedder_ = *std::move(embedder);
  }
  EmbedResult One(const EmbedInput& input, const EmbedOptions& options = {}) {
    const auto results = embedder_->Embed({input}, options);
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? (*results)[0] : EmbedResult{.status = results.status(), .vectors = {}};
  }
  std::vector<float> Text(const std::string& text) {
    return VectorIn(One({.fields = {text}, .images = {}}), "text");
  }
  absl::Status CallError(const std::vector<EmbedInput>& inputs, const EmbedOptions& options,
                         const CallContext& context = {}) {
    return embedder_->Embed(inputs, options, context).status();
  }

  DualEncoderFolder folder_;
  std::unique_ptr<Embedder> embedder_;
};

const EmbedInput kLamp = {.fields = {"A walnut lamp", "It is warm and bright."}, .images = {}};

TEST_F(EmbedderTest, GivesUnitVectorsInEverySpaceThatHasContent) {
  EmbedInput input = kLamp;
  input.images = {Picture(3)};
  const EmbedResult result = One(input);

  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_EQ(result.vectors.size(), 3u);
  for (const SpaceVector& vector : result.vectors) {
    EXPECT_EQ(vector.values.size(), 64u);
    EXPECT_NEAR(Norm(vector.values), 1, 1e-5);
    EXPECT_EQ(vector.space.fingerprint,
              embedder_->info().FindSpace(vector.space.name)->fingerprint);
  }

  EXPECT_GT(result.tokens, 8);
  EXPECT_EQ(result.truncated_tokens, 0);
}

TEST_F(EmbedderTest, ConseHeadGivesUnitVectorsForPicturesOfAnyShape) {
  folder_.WriteConse();
  Start({});

  std::vector<EmbedInput> inputs;
  for (const auto& [width, height] : std::vector<std::pair<int64_t, int64_t>>{
           {40, 30}, {1, 1}, {20'000, 10}, {10, 2000}, {260, 260}})
    inputs.push_back({.fields = {}, .images = {Picture(3, width, height)}});
  EmbedOptions options;
  options.spaces = {"image"};
  const auto results = embedder_->Embed(inputs, options);
  ASSERT_TRUE(results.ok()) << results.status();

  for (size_t i = 0; i < inputs.size(); ++i) {
    const EmbedResult& result = (*results)[i];
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_NEAR(Norm(VectorIn(result, "image")), 1, 1e-5);
    EXPECT_LE(MaxDifference(VectorIn(One(inputs[i], options), "image"), VectorIn(result, "image")),
              1e-5)
        << "alone and in a batch";
  }
}

TEST_F(EmbedderTest, ItemWithoutAnImageHasNoImageVectorAndFusesToItsText) {
  const EmbedResult result = One(kLamp);
  ASSERT_EQ(result.vectors.size(), 2u);
  EXPECT_TRUE(VectorIn(result, "image").empty());
  EXPECT_LE(MaxDifference(VectorIn(result, "fused"), VectorIn(result, "text")), 1e-6);
}

TEST_F(EmbedderTest, QueryInWordsHasItsTextVectorInTheSpaceOfImages) {
  EmbedInput query = kLamp;
  query.role = EmbedRole::kQuery;
  const EmbedResult all = One(query);
  ASSERT_EQ(all.vectors.size(), 3u);
  EXPECT_EQ(VectorIn(all, "image"), VectorIn(all, "text"));

  EmbedOptions only_image;
  only_image.spaces = {"image"};
  const EmbedResult alone = One(query, only_image);
  ASSERT_TRUE(alone.status.ok()) << alone.status;
  EXPECT_LE(MaxDifference(VectorIn(alone, "image"), VectorIn(all, "image")), 1e-6);

  query.images = {Picture(3)};
  EXPECT_NE(VectorIn(One(query), "image"), VectorIn(One(query), "text")) << "a picture is itself";
}

TEST_F(EmbedderTest, FieldsAreEmbeddedAloneAndPooled) {
  const std::vector<float> first = Text(kLamp.fields[0]);
  const std::vector<float> second = Text(kLamp.fields[1]);
  std::vector<float> mean(first.size());
  for (size_t i = 0; i < mean.size(); ++i) mean[i] = first[i] + second[i];
  const double length = Norm(mean);
  for (float& value : mean) value = static_cast<float>(value / length);
  EXPECT_LE(MaxDifference(VectorIn(One(kLamp), "text"), mean), 1e-5);
}

TEST_F(EmbedderTest, FusedVectorIsTheWeightedMeanOfTextAndImage) {
  EmbedInput input = kLamp;
  input.images = {Picture(3), Picture(5)};
  const EmbedResult result = One(input);

  const auto& text = VectorIn(result, "text");
  const auto& image = VectorIn(result, "image");
  std::vector<float> expected(text.size());
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = 0.75f * text[i] + 0.25f * image[i];
  const double length = Norm(expected);
  for (float& value : expected) value = static_cast<float>(value / length);

  EXPECT_LE(MaxDifference(VectorIn(result, "fused"), expected), 1e-5);
}

TEST_F(EmbedderTest, EmptyFieldsAreSkipped) {
  EmbedInput input = kLamp;
  input.fields.insert(input.fields.begin() + 1, "");
  EXPECT_EQ(VectorIn(One(input), "text"), VectorIn(One(kLamp), "text"));
}

TEST_F(EmbedderTest, BatchEqualsSingle) {
  std::vector<EmbedInput> inputs;
  for (int i = 0; i < 40; ++i) {
    EmbedInput input;
    input.fields.push_back("Item number " + std::to_string(i));
    std::string description;
    for (int word = 0; word < i; ++word) description += " word" + std::to_string(word * i);
    if (i % 3 != 0) input.fields.push_back(description);
    if (i % 4 == 1) input.images.push_back(Picture(static_cast<uint8_t>(i + 1), 10 + i, 50 - i));
    inputs.push_back(input);
  }

  const auto together = embedder_->Embed(inputs);
  ASSERT_TRUE(together.ok()) << together.status();

  for (size_t i = 0; i < inputs.size(); ++i) {
    const EmbedResult alone = One(inputs[i]);
    ASSERT_EQ(alone.vectors.size(), (*together)[i].vectors.size());
    for (size_t v = 0; v < alone.vectors.size(); ++v) {
      EXPECT_LE(MaxDifference(alone.vectors[v].values, (*together)[i].vectors[v].values), 1e-5)
          << i;
    }
  }
}

TEST_F(EmbedderTest, BadInputFailsAloneAndIsNamed) {
  EmbedderOptions options;
  options.max_field_bytes = 1000;
  options.max_images_per_input = 2;
  Start(options);

  const std::string whole = Picture(3);
  const std::vector<std::pair<EmbedInput, std::string>> bad = {
      {{.fields = {}, .images = {Bomb(), ""}},
       "images[0] declares 50000 x 50000 pixels, at most 40000000"},
      {{.fields = {}, .images = {whole.substr(0, whole.size() / 2)}},
       "images[0] is a corrupt or truncated PNG"},
      {{.fields = {}, .images = {"GIF89a"}}, "images[0] is a GIF image"},
      {{.fields = {}, .images = {""}}, "images[0] is empty"},
      {{.fields = {"ok", std::string(1001, 'x')}, .images = {}, .role = EmbedRole::kQuery},
       "fields[1] has 1001 bytes; must be at most 1000"},
      {{.fields = {"ok"}, .images = {whole, Bomb()}, .role = EmbedRole::kQuery},
       "images[1] declares 50000 x 50000 pixels, at most 40000000"},
      {{.fields = {"\xff\xfe"}, .images = {}}, "fields[0] has bytes that are not UTF-8"},
      {{.fields = {"", ""}, .images = {}}, "has neither text nor images"},
      {{.fields = {}, .images = {whole, whole, whole}}, "images has 3 images; must be at most 2"},
      {{.fields = std::vector<std::string>(17, "x"), .images = {}},
       "fields has 17 fields; must be at most 16"}};

  for (const auto& [input, problem] : bad) {
    const auto results =
        embedder_->Embed(std::vector<EmbedInput>{kLamp, kLamp, kLamp, input, kLamp});
    ASSERT_TRUE(results.ok()) << results.status();
    for (size_t i : {0, 1, 2, 4}) EXPECT_TRUE((*results)[i].status.ok());

    const absl::Status& status = (*results)[3].status;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << problem;
    EXPECT_THAT(std::string(status.message()), StartsWith(problem));
    EXPECT_EQ(FieldViolations(status).size(), 1u);
    EXPECT_TRUE((*results)[3].vectors.empty());
  }
}

TEST_F(EmbedderTest, ABadPartOfAnItemCostsThatPartAndIsNamed) {
  EmbedderOptions options;
  options.max_field_bytes = 1000;
  Start(options);

  const std::string whole = Picture(3);
  const EmbedResult good = One({.fields = {"a lamp"}, .images = {whole}});
  for (const auto& [bad, reason] : std::vector<std::pair<std::string, std::string>>{
           {Bomb(), "images[0] declares 50000 x 50000"},
           {whole.substr(0, whole.size() / 2), "images[0] is a corrupt or truncated PNG"},
           {"GIF89a", "images[0] is a GIF image"},
           {"", "images[0] is empty"}}) {
    const EmbedResult result = One({.fields = {"a lamp"}, .images = {bad, whole}});
    ASSERT_TRUE(result.status.ok()) << result.status;
    for (const char* space : {"text", "image", "fused"})
      EXPECT_EQ(VectorIn(result, space), VectorIn(good, space)) << "of what is left";
    ASSERT_EQ(result.failed_parts.size(), 1u);
    EXPECT_EQ(result.failed_parts[0].part, "images[0]");
    EXPECT_EQ(result.failed_parts[0].status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(Describe(result.failed_parts[0]), StartsWith(reason));
  }

  const EmbedResult texts = One({.fields = {"\xff\xfe", "a lamp"}, .images = {}});
  ASSERT_TRUE(texts.status.ok()) << texts.status;
  EXPECT_EQ(VectorIn(texts, "text"), VectorIn(good, "text"));
  ASSERT_EQ(texts.failed_parts.size(), 1u);
  EXPECT_EQ(texts.failed_parts[0].part, "fields[0]");
}

TEST_F(EmbedderTest, ATextOfAnItemBeyondTheLimitIsCutAtACharacterAndNamed) {
  EmbedderOptions options;
  options.max_field_bytes = 8;
  Start(options);
  const EmbedResult result = One({.fields = {"a lamp ä, and more"}, .images = {}});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(VectorIn(result, "text"), Text("a lamp "));
  ASSERT_EQ(result.failed_parts.size(), 1u);
  EXPECT_EQ(Describe(result.failed_parts[0]),
            "fields[0] has 19 bytes; must be at most 8; the rest is not read");
}

TEST_F(EmbedderTest, OnePixelPictureIsAPicture) {
  const EmbedResult result = One({.fields = {}, .images = {Picture(9, 1, 1)}});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_NEAR(Norm(VectorIn(result, "image")), 1, 1e-5);
}

TEST_F(EmbedderTest, LongTextIsCutAndCounted) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "word ";

  const EmbedResult result = One({.fields = {text}, .images = {}});
  EXPECT_EQ(result.tokens, 64);
  EXPECT_GT(result.truncated_tokens, 400);
}

TEST_F(EmbedderTest, FewerDimensionsAreAPrefixOfTheVectorNormalizedAgain) {
  const std::vector<float> whole = VectorIn(One(kLamp), "text");
  const EmbedResult cut = One(kLamp, {.spaces = {"text"}, .instruction = "", .dimensions = 16});
  std::vector<float> expected(whole.begin(), whole.begin() + 16);
  const double length = Norm(expected);
  for (float& value : expected) value = static_cast<float>(value / length);

  ASSERT_EQ(cut.vectors.size(), 1u);
  EXPECT_LE(MaxDifference(cut.vectors[0].values, expected), 1e-6);
  EXPECT_THAT(cut.vectors[0].space.fingerprint, HasSubstr("@16"));
}

TEST_F(EmbedderTest, OnlyAskedSpacesAreComputedInTheirOrder) {
  EmbedOptions options;
  options.spaces = {"fused", "text"};
  EmbedInput input = kLamp;
  input.images = {Picture(3)};
  const EmbedResult both = One(input, options);
  ASSERT_EQ(both.vectors.size(), 2u);
  EXPECT_EQ(both.vectors[0].space.name, "fused");

  options.spaces = {"text"};
  input.images = {"not a picture"};
  EXPECT_TRUE(One(input, options).status.ok()) << "images are not read for text vectors";
  EXPECT_EQ(embedder_->stats().images, 1);
}

TEST_F(EmbedderTest, InstructionIsPutBeforeQueriesOnly) {
  EmbedOptions options;
  options.spaces = {"text"};
  options.instruction = "Find products: ";
  EmbedInput query = {.fields = {"walnut lamp"}, .images = {}, .role = EmbedRole::kQuery};
  EXPECT_LE(
      MaxDifference(One(query, options).vectors[0].values, Text("Find products: walnut lamp")),
      1e-6);

  query.role = EmbedRole::kItem;
  EXPECT_LE(MaxDifference(One(query, options).vectors[0].values, Text("walnut lamp")), 1e-6);
}

TEST_F(EmbedderTest, WrongCallsFailAsAWhole) {
  EmbedOptions options;
  options.spaces = {"text", "audio"};
  EXPECT_THAT(std::string(CallError({kLamp}, options).message()),
              HasSubstr("spaces[1] is \"audio\""));

  options = {};
  options.dimensions = 65;
  EXPECT_THAT(std::string(CallError({kLamp}, options).message()), HasSubstr("dimensions is 65"));

  options = {};
  options.instruction = "\xff";
  EXPECT_THAT(std::string(CallError({kLamp}, options).message()), HasSubstr("instruction"));
  EXPECT_THAT(std::string(CallError(std::vector<EmbedInput>(513, kLamp), {}).message()),
              HasSubstr("513 elements"));
}

TEST_F(EmbedderTest, SpaceWithoutATowerIsAFailedPrecondition) {
  std::filesystem::remove_all(folder_.file("vision"));
  Start({});

  EmbedOptions options;
  options.spaces = {"image"};
  EXPECT_EQ(CallError({kLamp}, options).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(One(kLamp).status.ok());
  EXPECT_EQ(One({.fields = {}, .images = {Picture(2)}}).status.code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(EmbedderTest, NoInputsGiveNoResults) {
  const auto results = embedder_->Embed({});
  ASSERT_TRUE(results.ok());
  EXPECT_TRUE(results->empty());
}

TEST_F(EmbedderTest, ExpiredAndCancelledCallsCostNothing) {
  EXPECT_EQ(CallError({kLamp}, {}, {.deadline = absl::Now() - absl::Seconds(1)}).code(),
            absl::StatusCode::kDeadlineExceeded);

  const auto cancellation = std::make_shared<Cancellation>();
  cancellation->Cancel();
  EXPECT_EQ(CallError({kLamp}, {}, {.cancellation = cancellation}).code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(embedder_->stats().tokens, 0);
}

TEST_F(EmbedderTest, CallLargerThanABatchIsComputedInGroups) {
  EmbedderOptions options;
  options.batch_tokens = 64;
  Start(options);

  std::vector<EmbedInput> inputs(100, kLamp);
  const auto results = embedder_->Embed(inputs);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const EmbedResult& result : *results) {
    EXPECT_LE(MaxDifference(VectorIn(result, "text"), VectorIn((*results)[0], "text")), 1e-5);
  }
  EXPECT_GT(embedder_->stats().batches, 10);
}

TEST_F(EmbedderTest, OverloadIsRefusedAtOnceAndOthersAreServed) {
  EmbedderOptions options;
  options.batch_tokens = 64;
  options.max_queued_tokens_interactive = 64;
  Start(options);

  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;
  std::atomic<int> other = 0;
  std::vector<std::thread> callers;
  const std::vector<EmbedInput> inputs(64, kLamp);
  for (int t = 0; t < 12; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 4; ++i) {
        const absl::Status status = embedder_->Embed(inputs).status();
        ++(status.ok() ? served : absl::IsResourceExhausted(status) ? refused : other);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();

  EXPECT_GT(served, 0);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(embedder_->stats().rejected, refused);
  EXPECT_TRUE(One(kLamp).status.ok()) << "it recovers";
}

TEST_F(EmbedderTest, ConcurrentCallersGetTheirOwnVectors) {
  const std::vector<float> expected = Text("Text 3");
  std::atomic<int> wrong = 0;

  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      EmbedOptions options;
      options.lane = t % 2 == 0 ? Lane::kBulk : Lane::kInteractive;
      for (int i = 0; i < 10; ++i) {
        const EmbedInput input = {.fields = {"Text " + std::to_string(i)}, .images = {}};
        const auto results = embedder_->Embed({input}, options);
        if (!results.ok()) {
          ++wrong;
        } else if (i == 3 && MaxDifference(VectorIn((*results)[0], "text"), expected) > 1e-5) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();

  EXPECT_EQ(wrong, 0);
}

TEST_F(EmbedderTest, ImpossibleOptionsAreRefused) {
  auto model = EmbeddingModel::Load(folder_.path());
  EmbedderOptions options;
  options.batch_tokens = 0;
  EXPECT_EQ(Embedder::Create(*model, options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReferenceEmbedderTest, ReferenceVectorsHoldThroughTheDualEncoder) {
  const models::Golden golden("bert-all_minilm_l6_v2");
  PALATE_SKIP_WITHOUT(golden);
  if (!models::FileExists(models::MiniLmFolder() + "/config.json"))
    GTEST_SKIP() << models::MiniLmFolder() << " is absent";

  const TempFolder folder;
  std::filesystem::create_directory_symlink(models::MiniLmFolder(), folder.file("text"));
  const std::string dual_encoder_json =
      std::string(PALATE_SOURCE_DIR) + "/assets/dual_encoder/dual_encoder.json";
  std::filesystem::copy_file(dual_encoder_json, folder.file("dual_encoder.json"));

  auto model = EmbeddingModel::Load(folder.path());
  ASSERT_TRUE(model.ok()) << model.status();
  auto embedder = Embedder::Create(*model);
  const at::Tensor expected = models::ReferenceTensors(golden).at("embeddings");
  const auto inputs = golden.inputs();
  std::vector<EmbedInput> texts;
  std::vector<int64_t> rows;
  for (size_t i = 0; i < inputs["sentences"].size(); ++i) {
    const std::string sentence = inputs["sentences"][i];
    if (sentence.empty()) continue;  // an input without content is refused
    texts.push_back({.fields = {sentence}, .images = {}});
    rows.push_back(static_cast<int64_t>(i));
  }

  const auto results = (*embedder)->Embed(texts);
  ASSERT_TRUE(results.ok()) << results.status();
  std::vector<at::Tensor> vectors;
  for (const EmbedResult& result : *results) {
    ASSERT_TRUE(result.status.ok()) << result.status;
    vectors.push_back(at::tensor(VectorIn(result, "text"), at::kFloat));
  }
  models::ExpectSameEmbeddings(at::stack(vectors),
                               expected.index_select(0, at::tensor(rows, at::kLong)), "embeddings");
}

}  // namespace
}  // namespace palate::embedding
