#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "embedding/encoder.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"

namespace palate::golden {
namespace {

// One element of inputs.json: embed.
struct EmbedCase {
  embedding::EmbedRole role = embedding::EmbedRole::kItem;
  std::string instruction;
  std::string text;
  std::vector<std::string> pictures;
  int64_t dimensions = 0;  // 0: the model's dimensions
  int64_t max_tokens = 0;  // 0: the protocol's limit
};

absl::StatusOr<EmbedCase> ReadCase(const JsonNode& node) {
  EmbedCase result;
  PALATE_ASSIGN_OR_RETURN(const std::string role, node.String("role"));
  if (role != "query" && role != "item")
    return absl::InvalidArgumentError(
        absl::StrCat("role \"", role, "\" is neither query nor item"));
  if (role == "query") result.role = embedding::EmbedRole::kQuery;

  if (node.Has("instruction")) {
    PALATE_ASSIGN_OR_RETURN(result.instruction, node.String("instruction"));
  }
  if (node.Has("text")) {
    PALATE_ASSIGN_OR_RETURN(result.text, node.String("text"));
  }
  if (node.Has("images")) {
    PALATE_ASSIGN_OR_RETURN(result.pictures, node.Strings("images"));
  }
  if (node.Has("dimensions")) {
    PALATE_ASSIGN_OR_RETURN(result.dimensions, node.Int("dimensions"));
  }
  if (node.Has("max_tokens")) {
    PALATE_ASSIGN_OR_RETURN(result.max_tokens, node.Int("max_tokens"));
  }
  return result;
}

// The space whose vector is computed from all content of a case in one pass.
std::string SpaceOf(const EmbedCase& test) {
  if (test.pictures.empty()) return kTextSpace;
  return test.text.empty() ? kImageSpace : kFusedSpace;
}

absl::StatusOr<embedding::PreparedPass> Prepare(const Fixture& fixture,
                                                const embedding::Encoder& encoder,
                                                const EmbedCase& test) {
  embedding::PassContent content = {
      .text = test.text, .images = {}, .role = test.role, .instruction = test.instruction};
  for (const std::string& name : test.pictures) {
    PALATE_ASSIGN_OR_RETURN(const models::Image image, fixture.Picture(name));
    PALATE_ASSIGN_OR_RETURN(content.images.emplace_back(), encoder.PrepareImage(image));
  }
  return encoder.Prepare(content);
}

// The vector that Embedder returns: float32 [dimensions].
absl::StatusOr<at::Tensor> ServedVector(const Fixture& fixture, embedding::Embedder& embedder,
                                        const EmbedCase& test) {
  embedding::EmbedInput input = {.fields = {test.text}, .images = {}, .role = test.role};
  for (const std::string& name : test.pictures) {
    PALATE_ASSIGN_OR_RETURN(input.images.emplace_back(), fixture.InputFile(name));
  }

  embedding::EmbedOptions options;
  options.spaces = {SpaceOf(test)};
  options.instruction = test.instruction;
  options.dimensions = static_cast<int>(test.dimensions);
  PALATE_ASSIGN_OR_RETURN(const auto results, embedder.Embed({input}, options));

  PALATE_RETURN_IF_ERROR(results[0].status);
  if (results[0].vectors.size() != 1)
    return absl::InternalError("the embedder did not return exactly one vector");
  return at::tensor(results[0].vectors[0].values);
}

// Loads a model that truncates texts to `max_tokens` tokens, and an Embedder for it.
absl::StatusOr<std::unique_ptr<embedding::Embedder>> OpenEmbedder(
    const std::string& folder, int64_t max_tokens,
    std::shared_ptr<const embedding::EmbeddingModel>& model) {
  embedding::EmbeddingModelOptions options;
  options.max_text_tokens = max_tokens;
  PALATE_ASSIGN_OR_RETURN(model, embedding::EmbeddingModel::Load(folder, options));
  embedding::EmbedderOptions embedder_options;
  embedder_options.intra_op_threads = 1;
  return embedding::Embedder::Create(model, embedder_options);
}

}  // namespace

absl::Status CheckEmbed(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto nodes, fixture.inputs().List("embed"));
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("embed"));
  if (nodes.size() != answers.size())
    return absl::InvalidArgumentError("expected.json: embed answers another number of cases");

  std::vector<embedding::PreparedPass> passes;  // of the cases without max_tokens
  std::vector<at::Tensor> singles;
  std::shared_ptr<const embedding::EmbeddingModel> whole;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const std::string name = absl::StrCat("embed.", i);
    PALATE_ASSIGN_OR_RETURN(const EmbedCase test, ReadCase(nodes[i]));
    PALATE_ASSIGN_OR_RETURN(const auto ids, answers[i].Ids("input_ids"));
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(name));

    std::shared_ptr<const embedding::EmbeddingModel> model;
    PALATE_ASSIGN_OR_RETURN(const auto embedder,
                            OpenEmbedder(fixture.checkpoint(), test.max_tokens, model));
    PALATE_ASSIGN_OR_RETURN(const embedding::PreparedPass pass,
                            Prepare(fixture, model->encoder(), test));
    CompareIds(report, name + " input_ids", pass.ids, ids);
    PALATE_ASSIGN_OR_RETURN(const at::Tensor row, model->encoder().Encode({&pass}));

    at::Tensor vector = row[0];
    if (test.dimensions > 0)
      vector = vector.narrow(0, 0, test.dimensions) / vector.narrow(0, 0, test.dimensions).norm();
    CompareVectors(report, name, vector, expected);
    // Embedder refuses an input without content.
    if (!test.text.empty() || !test.pictures.empty()) {
      PALATE_ASSIGN_OR_RETURN(const at::Tensor served, ServedVector(fixture, *embedder, test));
      CompareVectors(report, name + " served", served, expected);
    }

    if (test.max_tokens > 0) continue;
    whole = model;
    passes.push_back(pass);
    singles.push_back(row);
  }

  if (passes.empty()) return absl::OkStatus();
  std::vector<const embedding::PreparedPass*> pointers;
  for (const embedding::PreparedPass& pass : passes) pointers.push_back(&pass);
  PALATE_ASSIGN_OR_RETURN(const at::Tensor batch, whole->encoder().Encode(pointers));
  CompareTensor(report, absl::StrCat("embed batch of ", passes.size(), " equals singles"), batch,
                at::cat(singles), kVectorTolerance);
  return absl::OkStatus();
}

}  // namespace palate::golden
