#include "models/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/status/status.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

std::string LittleEndian64(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

std::string FileWith(const std::string& header, const std::string& data) {
  return LittleEndian64(header.size()) + header + data;
}

class SafetensorsFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<SafetensorsFile> OpenContent(const std::string& content) {
    WriteAll(folder_.file("x.safetensors"), content);
    return SafetensorsFile::Open(folder_.file("x.safetensors"));
  }

  void ExpectDataLoss(const std::string& content, const std::string& problem) {
    const auto file = OpenContent(content);
    ASSERT_FALSE(file.ok()) << problem;
    EXPECT_EQ(file.status().code(), absl::StatusCode::kDataLoss) << file.status();
    EXPECT_THAT(std::string(file.status().message()), HasSubstr("x.safetensors"));
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(problem));
  }

  TempFolder folder_;
};

TEST_F(SafetensorsFileTest, ReturnsWhatWasWrittenWithTypesShapesAndMetadata) {
  const std::string floats(24, '\x3f');
  const std::string bytes = "\x01\x02\x03";

  const std::map<std::string, TensorEntry> tensors = {
      {"b.odd", {TensorType::kU8, {3}, bytes}},
      {"a.matrix", {TensorType::kF32, {2, 3}, floats}},
      {"empty", {TensorType::kF32, {0, 5}, ""}},
      {"scalar", {TensorType::kI64, {}, absl::string_view(floats).substr(0, 8)}}};
  ASSERT_TRUE(
      WriteSafetensors(folder_.file("w.safetensors"), tensors, {{"format", "pt"}, {"note", "x"}})
          .ok());

  const auto file = SafetensorsFile::Open(folder_.file("w.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status();

  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const auto& [name, entry] : tensors) {
    const TensorEntry& read = file->tensors().at(name);
    EXPECT_EQ(read.type, entry.type);
    EXPECT_EQ(read.shape, entry.shape);
    EXPECT_EQ(read.data, entry.data);
  }

  EXPECT_EQ(file->metadata().at("note"), "x");
  const auto address = reinterpret_cast<uintptr_t>(file->tensors().at("a.matrix").data.data());
  EXPECT_EQ(address % 8, 0u);
}

TEST_F(SafetensorsFileTest, WritesTheSameBytesForTheSameTensors) {
  const std::map<std::string, TensorEntry> tensors = {{"a", {TensorType::kF32, {1}, "abcd"}}};

  ASSERT_TRUE(WriteSafetensors(folder_.file("1"), tensors).ok());
  ASSERT_TRUE(WriteSafetensors(folder_.file("2"), tensors).ok());
  EXPECT_EQ(ReadAll(folder_.file("1")), ReadAll(folder_.file("2")));
}

TEST_F(SafetensorsFileTest, RefusesToWriteDataThatDoesNotFitItsShape) {
  const auto status = WriteSafetensors(folder_.file("w"), {{"a", {TensorType::kF32, {2}, "abcd"}}});

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(FileExists(folder_.file("w")));
}

TEST_F(SafetensorsFileTest, NamesTheProblemOfACorruptFile) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";

  ASSERT_TRUE(OpenContent(FileWith(good, "abcd")).ok());

  ExpectDataLoss("", "only 0 bytes");
  ExpectDataLoss("abc", "only 3 bytes");
  ExpectDataLoss(LittleEndian64(~uint64_t{0}), "declares a header of 18446744073709551615 bytes");
  ExpectDataLoss(LittleEndian64(1000) + "{}", "declares a header of 1000 bytes");
  ExpectDataLoss(FileWith("{", ""), "not valid JSON");
  ExpectDataLoss(FileWith("[]", ""), "not a JSON object");
  ExpectDataLoss(FileWith("{\"\xff\":1}", ""), "not UTF-8");
  ExpectDataLoss(FileWith(R"({"a":3})", ""), "lacks dtype");

  ExpectDataLoss(FileWith(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "a"),
                 "unsupported dtype");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "abcd"),
                 "not a list of sizes");
  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
               "abcd"),
      "overflows");

  ExpectDataLoss(FileWith(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", "abcd"),
                 "lies at [0, 8)");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "abcd"),
                 "lies at [4, 0)");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "abcd"),
                 "its shape needs 8");

  ExpectDataLoss(FileWith(good, "abcdef"), "last 2 bytes belong to no tensor");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                          R"("b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})",
                          "abcd"),
                 "overlaps");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "ab"), "gap");
}

TEST_F(SafetensorsFileTest, RefusesWhatOnlyAHostileHeaderHas) {
  const std::string entry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";

  ExpectDataLoss(FileWith("{\"a\":" + entry + ",\"a\":" + entry + "}", "x"), "the key \"a\" twice");
  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"),
      "the key \"dtype\" twice");
  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", "x"),
      "the key \"shape\" twice");

  ExpectDataLoss(FileWith(R"({"__metadata__":{"k":"v","k":"w"}})", ""), "the key \"k\" twice");
  ExpectDataLoss(FileWith(R"({"__metadata__":{},"__metadata__":{}})", ""),
                 "the key \"__metadata__\" twice");
  ExpectDataLoss(FileWith(R"({"__metadata__":{"k":1}})", ""), "entry \"k\" is not a string");
  ExpectDataLoss(FileWith(R"({"__metadata__":3})", ""), "not an object");

  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"code":"x"}})", "x"),
      "unknown field \"code\"");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "x"),
                 "not a list of sizes");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", "x"),
                 "not a list of sizes");
  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}})", "x"),
      "lies at");

  ExpectDataLoss(FileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})", "x"),
                 "not a pair of positions");
  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", "x"),
      "not a list of sizes");

  ExpectDataLoss(FileWith("{\"a\":" + entry + "} trailing", "x"), "not valid JSON");
}

TEST_F(SafetensorsFileTest, RefusesDeepAndEndlessHeadersWithoutReadingThemWhole) {
  const std::string deep(1 << 20, '[');

  ExpectDataLoss(FileWith(R"({"a":)" + deep, ""), "lacks dtype");
  ExpectDataLoss(FileWith(R"({"a":{"dtype":"U8","shape":)" + deep, ""), "not a list of sizes");

  std::string ones = "1";
  for (int i = 0; i < 100'000; ++i) ones += ",1";
  ExpectDataLoss(
      FileWith(R"({"a":{"dtype":"U8","data_offsets":[0,1],"shape":[)" + ones + "]}}", "x"),
      "more than 32 numbers");
}

TEST_F(SafetensorsFileTest, SurvivesRandomDamageToItsHeader) {
  const std::string good =
      FileWith(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}})",
               "abcdefgh");

  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    std::string damaged = good;
    for (int change = 0; change < 3; ++change)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    damaged.resize(damaged.size() - random() % 4);

    const auto file = OpenContent(damaged);
    EXPECT_TRUE(file.ok() || file.status().code() == absl::StatusCode::kDataLoss) << file.status();
  }
}

TEST(SafetensorsOpenTest, SaysNotFoundWhenThereIsNoFile) {
  EXPECT_TRUE(absl::IsNotFound(SafetensorsFile::Open("/nonexistent/model.safetensors").status()));
}

TEST_F(SafetensorsFileTest, NamesAGitLfsPointerAndWhatToDo) {
  for (const char* host : {"git-lfs", "hawser"}) {
    const auto file = OpenContent(std::string("version https://") + host +
                                  ".github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n");
    EXPECT_EQ(file.status().code(), absl::StatusCode::kFailedPrecondition) << host;
    EXPECT_THAT(std::string(file.status().message()), HasSubstr("is a Git LFS pointer"));
  }
}

TEST_F(SafetensorsFileTest, NamesAWebPageThatWasSavedInsteadOfTheFile) {
  const auto file =
      OpenContent("\n<!DOCTYPE HTML><html><head><title>weights</title></head></html>");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("is a web page"));
}

TEST(SafetensorsOpenTest, RefusesAFolder) {
  EXPECT_EQ(SafetensorsFile::Open("/tmp").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace palate::models
