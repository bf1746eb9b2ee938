// One fixture: a checkpoint folder, inputs, and the reference implementation's outputs.
// tests/goldens/README.md describes the format.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/causal_lm/causal_lm.h"
#include "models/image/image.h"
#include "models/text/chat_template.h"
#include "models/text/tokenizer.h"
#include "offline/golden/json_node.h"

namespace palate::golden {

// Whether `folder` is a fixture: it holds inputs/inputs.json or expected.json.
bool IsFixture(const std::string& folder);

// Not thread-safe. Tensors and JSON keys count as consumed once they are read; Unconsumed() lists
// the others.
class Fixture {
 public:
  // A fixture of published weights has inputs/checkpoint.json instead of checkpoint/; `published`
  // is the folder of those weights, and may be empty for other fixtures. NotFound naming the
  // missing file, InvalidArgument or DataLoss for malformed files.
  static absl::StatusOr<std::unique_ptr<Fixture>> Open(const std::string& folder,
                                                       const std::string& published);

  const std::string& folder() const { return folder_; }
  const std::string& checkpoint() const { return checkpoint_; }
  const JsonNode& inputs() const { return inputs_; }
  const JsonNode& expected() const { return expected_; }

  bool HasTensor(const std::string& name) const { return tensors_.count(name) > 0; }
  // Returns a reference tensor. NotFound when there is none of this name.
  absl::StatusOr<at::Tensor> Tensor(const std::string& name);
  // Decodes a picture of inputs/.
  absl::StatusOr<models::Image> Picture(const std::string& name) const;
  absl::StatusOr<std::string> InputFile(const std::string& name) const;

  // Compares the SHA-256 digests of the published files with inputs/checkpoint.json; DataLoss when
  // one differs. REQUIRES: is_published().
  absl::Status VerifyPublished();
  bool is_published() const { return published_; }

  // The parts of the checkpoint, loaded by the first call.
  absl::StatusOr<std::shared_ptr<const models::Tokenizer>> Tokenizer();
  // Has the adapter applied if inputs.json names a base.
  absl::StatusOr<std::shared_ptr<const models::CausalLm>> LanguageModel();
  absl::StatusOr<std::shared_ptr<const models::ChatTemplate>> ChatTemplate();

  // The folder with tokenizer and config: the one that inputs.json names as `base`, else the
  // checkpoint.
  absl::StatusOr<std::string> BaseFolder() const;

  // Every JSON key and tensor that no check read.
  std::vector<std::string> Unconsumed() const;

 private:
  Fixture() = default;

  std::string folder_, checkpoint_;
  bool published_ = false;
  JsonNode inputs_, expected_, published_files_;
  std::map<std::string, at::Tensor> tensors_;
  std::set<std::string> consumed_;
  std::shared_ptr<const models::Tokenizer> tokenizer_;
  std::shared_ptr<const models::CausalLm> language_model_;
  std::shared_ptr<const models::ChatTemplate> chat_template_;
};

}  // namespace palate::golden
