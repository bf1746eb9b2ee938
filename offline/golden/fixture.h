// One fixture: a checkpoint folder, inputs, and what the reference made of them. The format is that
// of tests/goldens/README.md.
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

// Whether `folder` is one: it holds inputs/inputs.json or expected.json.
bool IsFixture(const std::string& folder);

// Used by one thread. Tensors and JSON keys that were handed out count as consumed; the rest is
// reported by Unconsumed().
class Fixture {
 public:
  // `published` is the folder that stands for checkpoint/ where inputs/checkpoint.json takes its
  // place; may be empty. NotFound naming what is missing, InvalidArgument or DataLoss for files
  // that cannot be read.
  static absl::StatusOr<std::unique_ptr<Fixture>> Open(const std::string& folder,
                                                       const std::string& published);

  const std::string& folder() const { return folder_; }
  const std::string& checkpoint() const { return checkpoint_; }
  const JsonNode& inputs() const { return inputs_; }
  const JsonNode& expected() const { return expected_; }

  bool HasTensor(const std::string& name) const { return tensors_.count(name) > 0; }
  // Reads a reference tensor. NotFound when there is none of this name.
  absl::StatusOr<at::Tensor> Tensor(const std::string& name);
  // Decodes a picture of inputs/.
  absl::StatusOr<models::Image> Picture(const std::string& name) const;
  absl::StatusOr<std::string> InputFile(const std::string& name) const;

  // SHA-256 of the published files against inputs/checkpoint.json; OK where the fixture has its own
  // checkpoint.
  absl::Status VerifyPublished();
  bool is_published() const { return published_; }

  // The checkpoint's parts, loaded at the first call.
  absl::StatusOr<std::shared_ptr<const models::Tokenizer>> Tokenizer();
  // With the adapter applied where inputs name a base.
  absl::StatusOr<std::shared_ptr<const models::CausalLm>> LanguageModel();
  absl::StatusOr<std::shared_ptr<const models::ChatTemplate>> ChatTemplate();

  // The folder that inputs name as `base`, or the checkpoint itself: where tokenizer and config
  // are.
  absl::StatusOr<std::string> BaseFolder() const;

  // Every JSON key and tensor that no check asked for.
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
