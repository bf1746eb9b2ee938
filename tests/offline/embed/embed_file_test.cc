#include "offline/embed/embed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "models/checkpoint/safetensors.h"
#include "models/image/image.h"
#include "nlohmann/json.hpp"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::offline {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::SizeIs;

std::string Picture() {
  models::Image image{.width = 24, .height = 24};
  image.rgb.assign(3 * 24 * 24, 90);
  return *models::EncodePng(image);
}

class EmbedFileTest : public ::testing::Test {
 protected:
  void Serve(const std::string& golden_name) {
    const models::Golden golden(golden_name);
    if (!golden.exists()) GTEST_SKIP() << golden.folder << " is absent";
    const auto model = embedding::EmbeddingModel::Load(golden.checkpoint());
    ASSERT_TRUE(model.ok()) << model.status();
    auto embedder = embedding::Embedder::Create(*model);
    ASSERT_TRUE(embedder.ok()) << embedder.status();

    embedder_ = *std::move(embedder);
    options_.input = folder_.file("items.jsonl");
    options_.images_folder = folder_.path();
    options_.output = folder_.file("vectors.safetensors");
  }
  absl::StatusOr<EmbedFileReport> Run(const std::string& lines) {
    models::WriteAll(options_.input, lines);
    return EmbedFile(*embedder_, options_, [this](int64_t done, int64_t total) {
      progress_.push_back({done, total});
    });
  }
  models::SafetensorsFile Output() const {
    auto file = models::SafetensorsFile::Open(options_.output);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  static std::vector<float> Row(const models::SafetensorsFile& file, const std::string& name,
                                size_t row) {
    const models::TensorEntry& tensor = file.tensors().at(name);
    std::vector<float> values(static_cast<size_t>(tensor.shape[1]));
    std::memcpy(values.data(), tensor.data.data() + row * values.size() * sizeof(float),
                values.size() * sizeof(float));
    return values;
  }
  std::vector<std::string> FilesBeside() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  TempFolder folder_;
  std::unique_ptr<embedding::Embedder> embedder_;
  EmbedFileOptions options_;
  std::vector<std::pair<int64_t, int64_t>> progress_;
};

TEST_F(EmbedFileTest, WritesAVectorForEveryUsableLineAndNamesTheOthers) {
  Serve("bert-mean");
  if (embedder_ == nullptr) return;
  const auto report =
      Run("{\"id\": \"a\", \"title\": \"Walnut lamp\", \"description\": \"Warm.\", \"attributes\": "
          "{\"price\": 3}}\n"
          "{\"id\": \"b\", \"text\": \"a plain text\"}\n"
          "not json\n"
          "\n"
          "{\"id\": \"b\", \"text\": \"again\"}\n"
          "{\"id\": \"c\", \"text\": [\"Walnut lamp. price: 3\", \"Warm.\"], \"images\": "
          "[\"missing.png\"]}\n"
          "{\"id\": \"d\", \"text\": \"\"}\n"
          "{\"id\": \"e\", \"text\": \"x\", \"colour\": 1}\r\n"
          "{\"id\": \"f\", \"text\": \"the last line has no end\"}");
  ASSERT_TRUE(report.ok()) << report.status();

  EXPECT_EQ(report->embedded, 4);
  EXPECT_EQ(report->failed, 1);

  const models::SafetensorsFile file = Output();
  EXPECT_THAT(file.tensors().at("vectors").shape, ElementsAre(4, 64));
  EXPECT_EQ(file.metadata().at("ids"), R"(["a","b","c","f"])");
  const auto spaces = nlohmann::json::parse(file.metadata().at("spaces"));
  EXPECT_EQ(spaces[0]["name"], "text");
  EXPECT_EQ(spaces[0]["fingerprint"], embedder_->info().spaces[0].fingerprint);
  EXPECT_EQ(Row(file, "vectors", 0), Row(file, "vectors", 2))
      << "the texts of an item are the ones that the services embed";

  std::map<int64_t, std::string> problems;
  for (const Malformed& malformed : report->source.malformed)
    problems[malformed.line] = malformed.reason;
  ASSERT_THAT(problems, SizeIs(5));
  EXPECT_THAT(problems[3], HasSubstr("no JSON value"));
  EXPECT_THAT(problems[5], HasSubstr("earlier line"));
  EXPECT_THAT(problems[6], HasSubstr("missing.png"));
  EXPECT_THAT(problems[7], HasSubstr("neither text nor images"));
  EXPECT_THAT(problems[8], HasSubstr("colour"));
  EXPECT_EQ(progress_.back(), (std::pair<int64_t, int64_t>(9, 9)));

  EXPECT_THAT(FilesBeside(), ElementsAre("items.jsonl", "vectors.safetensors"))
      << "no temporary file is left";
}

TEST_F(EmbedFileTest, SeveralSpacesHaveTensorsOfTheirOwn) {
  Serve("clip-base");
  if (embedder_ == nullptr) return;
  models::WriteAll(folder_.file("p.png"), Picture());
  options_.spaces = {"fused", "text", "image"};
  options_.dimensions = 16;

  const auto report =
      Run("{\"id\": \"words\", \"text\": \"a lamp\"}\n"
          "{\"id\": \"both\", \"text\": \"a lamp\", \"images\": [\"p.png\"]}\n"
          "{\"id\": \"picture\", \"images\": [\"p.png\"], \"text\": null}\n");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->embedded, 3);

  const models::SafetensorsFile file = Output();
  EXPECT_THAT(file.tensors().at("vectors").shape, ElementsAre(3, 16));
  EXPECT_THAT(file.tensors().at("vectors.text").shape, ElementsAre(2, 16));
  EXPECT_THAT(file.tensors().at("vectors.image").shape, ElementsAre(2, 16));

  int64_t rows[2];
  std::memcpy(rows, file.tensors().at("rows.image").data.data(), sizeof(rows));
  EXPECT_THAT(rows, ElementsAre(1, 2));
  // The batches have different sizes, which may change the last digits.
  EXPECT_THAT(Row(file, "vectors", 0), Pointwise(FloatNear(1e-6f), Row(file, "vectors.text", 0)));
  EXPECT_THAT(Row(file, "vectors", 2), Pointwise(FloatNear(1e-6f), Row(file, "vectors.image", 1)));
  EXPECT_THAT(file.metadata().at("spaces"), HasSubstr("@16"));
}

TEST_F(EmbedFileTest, LinesWithoutContentForTheFirstSpaceFail) {
  Serve("siglip-base");
  if (embedder_ == nullptr) return;
  options_.spaces = {"image"};
  const auto report = Run("{\"id\": \"words\", \"text\": \"a lamp\"}\n");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->embedded, 0);
  ASSERT_THAT(report->source.malformed, SizeIs(1));
  EXPECT_THAT(report->source.malformed[0].reason, HasSubstr("no content for the space image"));
  EXPECT_THAT(Output().tensors().at("vectors").shape, ElementsAre(0, 64));
}

TEST_F(EmbedFileTest, QueriesCarryTheInstruction) {
  Serve("bert-cls");
  if (embedder_ == nullptr) return;
  options_.queries = true;
  const std::string line = "{\"id\": \"q\", \"text\": \"a lamp\"}\n";

  ASSERT_TRUE(Run(line).ok());
  const std::vector<float> by_default = Row(Output(), "vectors", 0);

  options_.instruction = "Find: ";
  ASSERT_TRUE(Run(line).ok());
  const std::vector<float> instructed = Row(Output(), "vectors", 0);
  EXPECT_EQ(Output().metadata().at("instruction"), "Find: ");

  options_.queries = false;
  options_.instruction = "";
  ASSERT_TRUE(Run("{\"id\": \"q\", \"text\": \"Find: a lamp\"}\n").ok());
  EXPECT_EQ(Row(Output(), "vectors", 0), instructed);
  EXPECT_NE(by_default, instructed);
}

TEST_F(EmbedFileTest, AFailedRunLeavesAnEarlierFileAlone) {
  Serve("bert-mean");
  if (embedder_ == nullptr) return;
  models::WriteAll(options_.output, "earlier");
  options_.spaces = {"image"};
  EXPECT_EQ(Run("").status().code(), absl::StatusCode::kInvalidArgument);
  options_.spaces = {};
  options_.dimensions = 65;
  EXPECT_EQ(Run("").status().code(), absl::StatusCode::kInvalidArgument);

  options_.dimensions = 0;
  options_.input = folder_.file("absent.jsonl");
  EXPECT_EQ(EmbedFile(*embedder_, options_, [](int64_t, int64_t) {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(models::ReadAll(options_.output), "earlier");
  EXPECT_THAT(FilesBeside(), ElementsAre("items.jsonl", "vectors.safetensors"));
}

}  // namespace
}  // namespace palate::offline
