// The usage examples in the headers of offline/embed, compiled and run.
#include "tests/usage_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/status.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "models/checkpoint/safetensors.h"
#include "offline/embed/embed_file.h"
#include "offline/embed/vector_file.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::offline {
namespace {

void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/offline/embed/usage_examples_test.cc");
}

absl::Status UseEmbedFile(embedding::Embedder& embedder, const std::string& folder) {
  const auto on_progress = [](int64_t, int64_t) {};
  EmbedFileOptions options;
  options.input = folder + "/items.jsonl";
  options.output = folder + "/vectors.safetensors";
  PALATE_ASSIGN_OR_RETURN(const EmbedFileReport report, EmbedFile(embedder, options, on_progress));

  EXPECT_EQ(report.embedded, 1);
  return absl::OkStatus();
}

TEST(UsageExampleTest, EmbedFile) {
  ExpectExampleOf("offline/embed/embed_file.h");
  const models::Golden golden("bert-mean");
  if (!golden.exists()) GTEST_SKIP() << golden.folder << " is absent";
  const auto model = embedding::EmbeddingModel::Load(golden.checkpoint());
  ASSERT_TRUE(model.ok()) << model.status();
  const auto embedder = embedding::Embedder::Create(*model);
  ASSERT_TRUE(embedder.ok()) << embedder.status();

  const TempFolder folder;
  models::WriteAll(folder.file("items.jsonl"), R"({"id": "lamp", "title": "Walnut lamp"})");
  const absl::Status status = UseEmbedFile(**embedder, folder.path());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseVectorFile(const std::string& path, const SpaceKey& space) {
  PALATE_ASSIGN_OR_RETURN(const auto file, VectorFile::Create(path, {space}, 2));
  PALATE_RETURN_IF_ERROR(file->Add("item-1", {{space, {0.6f, 0.8f}}}));
  PALATE_RETURN_IF_ERROR(file->Finish({{"model", "example"}}));

  return absl::OkStatus();
}

TEST(UsageExampleTest, VectorFile) {
  ExpectExampleOf("offline/embed/vector_file.h");
  const TempFolder folder;
  const std::string path = folder.file("vectors.safetensors");

  const absl::Status status = UseVectorFile(path, {.name = "text", .fingerprint = "example"});
  ASSERT_TRUE(status.ok()) << status;

  const auto file = models::SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("ids"), R"(["item-1"])");
}

}  // namespace
}  // namespace palate::offline
