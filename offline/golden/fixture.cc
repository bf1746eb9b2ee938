#include "offline/golden/fixture.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/text/reference_tokenizer.h"

namespace palate::golden {
namespace {

constexpr char kTensorFile[] = "/expected.safetensors";
constexpr char kPublishedFile[] = "/inputs/checkpoint.json";

}  // namespace

bool IsFixture(const std::string& folder) {
  return models::FileExists(folder + "/inputs/inputs.json") ||
         models::FileExists(folder + "/expected.json");
}

absl::StatusOr<std::unique_ptr<Fixture>> Fixture::Open(const std::string& folder,
                                                       const std::string& published) {
  auto fixture = std::unique_ptr<Fixture>(new Fixture());
  fixture->folder_ = folder;
  PALATE_ASSIGN_OR_RETURN(fixture->inputs_,
                          JsonNode::Load(folder + "/inputs/inputs.json", "inputs.json"));
  PALATE_ASSIGN_OR_RETURN(fixture->expected_,
                          JsonNode::Load(folder + "/expected.json", "expected.json"));
  // A fixture of a tokenizer alone has no tensors.
  if (models::FileExists(folder + kTensorFile)) {
    PALATE_ASSIGN_OR_RETURN(fixture->tensors_, models::LoadTensors(folder + kTensorFile));
  }

  fixture->checkpoint_ = folder + "/checkpoint";
  if (models::FileExists(folder + kPublishedFile)) {
    if (published.empty())
      return absl::NotFoundError(
          absl::StrCat("the weights that ", kPublishedFile, " names are missing; pass --minilm"));
    PALATE_ASSIGN_OR_RETURN(fixture->published_files_,
                            JsonNode::Load(folder + kPublishedFile, "checkpoint.json"));
    fixture->published_ = true;
    fixture->checkpoint_ = published;
  }
  return fixture;
}

absl::StatusOr<at::Tensor> Fixture::Tensor(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    return absl::NotFoundError(absl::StrCat("expected.safetensors has no tensor \"", name, "\""));
  consumed_.insert(name);
  return found->second;
}

absl::StatusOr<std::string> Fixture::InputFile(const std::string& name) const {
  return models::ReadFileToString(absl::StrCat(folder_, "/inputs/", name));
}

absl::StatusOr<models::Image> Fixture::Picture(const std::string& name) const {
  PALATE_ASSIGN_OR_RETURN(const std::string encoded, InputFile(name));
  absl::StatusOr<models::Image> image = models::DecodeImage(encoded);
  if (!image.ok()) return Annotate(image.status(), name);
  return image;
}

absl::Status Fixture::VerifyPublished() {
  published_files_.Ignore("name");
  published_files_.Ignore("note");
  PALATE_ASSIGN_OR_RETURN(const JsonNode digests, published_files_.At("sha256"));
  for (const std::string& file : digests.Keys()) {
    PALATE_ASSIGN_OR_RETURN(const std::string digest, digests.String(file));
    PALATE_ASSIGN_OR_RETURN(const std::string actual,
                            models::FileDigest(absl::StrCat(checkpoint_, "/", file)));
    if (actual != digest)
      return absl::DataLossError(
          absl::StrCat(checkpoint_, "/", file, " has SHA-256 ", actual, " instead of ", digest));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Fixture::BaseFolder() const {
  if (!inputs_.Has("base")) return checkpoint_;
  PALATE_ASSIGN_OR_RETURN(const std::string base, inputs_.String("base"));
  return absl::StrCat(folder_, "/", base);
}

absl::StatusOr<std::shared_ptr<const models::Tokenizer>> Fixture::Tokenizer() {
  if (tokenizer_ == nullptr) {
    PALATE_ASSIGN_OR_RETURN(const std::string folder, BaseFolder());
    PALATE_ASSIGN_OR_RETURN(tokenizer_, models::LoadReferenceTokenizer(folder));
  }
  return tokenizer_;
}

absl::StatusOr<std::shared_ptr<const models::CausalLm>> Fixture::LanguageModel() {
  if (language_model_ == nullptr) {
    PALATE_ASSIGN_OR_RETURN(const std::string folder, BaseFolder());
    models::LmLoadOptions options;
    if (inputs_.Has("base")) options.adapter = checkpoint_;
    PALATE_ASSIGN_OR_RETURN(language_model_, models::CausalLm::Load(folder, options));
  }
  return language_model_;
}

absl::StatusOr<std::shared_ptr<const models::ChatTemplate>> Fixture::ChatTemplate() {
  if (chat_template_ == nullptr) {
    PALATE_ASSIGN_OR_RETURN(const std::string folder, BaseFolder());
    PALATE_ASSIGN_OR_RETURN(chat_template_, models::ChatTemplate::Load(folder));
  }
  return chat_template_;
}

std::vector<std::string> Fixture::Unconsumed() const {
  std::vector<std::string> places;
  for (const JsonNode* document : {&inputs_, &expected_, &published_files_}) {
    for (std::string& place : document->Unread()) places.push_back(std::move(place));
  }
  for (const auto& [name, tensor] : tensors_) {
    if (consumed_.count(name) == 0) places.push_back(absl::StrCat("expected.safetensors: ", name));
  }
  return places;
}

}  // namespace palate::golden
