// PEFT LoRA adapters (https://arxiv.org/abs/2106.09685), merged into the weights when a model is
// loaded: W + scaling * B A. The reference is peft's merge_and_unload().
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const Adapter adapter, Adapter::Open(folder));
//   PALATE_ASSIGN_OR_RETURN(const std::string base, AdapterBaseFolder(folder));
//   PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(base));
//   PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list, {.adapter = &adapter}));
#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"

namespace palate::models {

// Whether `folder` holds adapter_config.json.
bool IsAdapterFolder(const std::string& folder);

// The folder of the base model: the adapter's "base_model_name_or_path", which may be relative to
// the working directory, to the adapter's folder or to that folder's parent. NotFound naming the
// path when none of these is a model folder; names on a hub are not downloaded.
absl::StatusOr<std::string> AdapterBaseFolder(const std::string& folder);

// The low-rank update of one linear layer or embedding.
struct LoraUpdate {
  TensorEntry a = {};      // [r, in]
  TensorEntry b = {};      // [out, r]
  double scaling = 1.0;    // alpha / r, or alpha / sqrt(r) with rsLoRA
  bool embedding = false;  // the weight is [in, out], so the update is (B A)^T
};

// The content of one adapter folder. Immutable and thread-safe after Open; cheap to copy (copies
// share the mapping that the tensors point into).
class Adapter {
 public:
  // NotFound without adapter_config.json or adapter_model.safetensors. Unimplemented naming what
  // cannot be merged: another PEFT method, DoRA, trained biases, replicated layers, an
  // initialization that changes the base's weights, … InvalidArgument listing tensors that do not
  // match each other or the config.
  static absl::StatusOr<Adapter> Open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  // By module, such as "model.layers.0.self_attn.q_proj".
  const std::map<std::string, LoraUpdate>& updates() const { return updates_; }
  // Weights that replace the base's as a whole ("modules_to_save"), by module.
  const std::map<std::string, TensorEntry>& replacements() const { return replacements_; }
  const SafetensorsFile& file() const { return file_; }
  // Hex SHA-256 over config and weights.
  absl::StatusOr<std::string> Digest() const;

 private:
  Adapter(std::string folder, SafetensorsFile file)
      : folder_(std::move(folder)), file_(std::move(file)) {}

  std::string folder_;
  SafetensorsFile file_;
  std::map<std::string, LoraUpdate> updates_;
  std::map<std::string, TensorEntry> replacements_;
};

}  // namespace palate::models
