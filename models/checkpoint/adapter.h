// PEFT LoRA adapters (https://arxiv.org/abs/2106.09685), merged into the weights when a model is
// loaded: W + scaling * B A.
//
// The reference is what peft's merge_and_unload() leaves behind.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"

namespace palate::models {

// Whether `folder` holds adapter_config.json.
bool IsAdapterFolder(const std::string& folder);

// The folder of the model that an adapter was trained on: its "base_model_name_or_path" as it
// stands, or seen from the adapter's folder or from that one's parent. NotFound naming the path
// when none of them is a model folder: a name on a hub is not fetched.
absl::StatusOr<std::string> AdapterBaseFolder(const std::string& folder);

// The low-rank update of one linear layer or embedding.
struct LoraUpdate {
  TensorEntry a = {};      // [r, in]
  TensorEntry b = {};      // [out, r]
  double scaling = 1.0;    // alpha / r, or alpha / sqrt(r) with rsLoRA
  bool embedding = false;  // the weight is [in, out] then, so the update is (B A)^T
};

// One adapter folder. Immutable and thread-safe after Open; cheap to copy (shares the mapping, into
// which the tensors point).
class Adapter {
 public:
  // NotFound without adapter_config.json or adapter_model.safetensors. Unimplemented naming what is
  // not merged: another PEFT method, DoRA, trained biases, replicated layers, an initialization
  // that changes the base's weights, … InvalidArgument listing tensors that do not fit together or
  // the config.
  static absl::StatusOr<Adapter> Open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  // By module: "model.layers.0.self_attn.q_proj".
  const std::map<std::string, LoraUpdate>& updates() const { return updates_; }
  // Whole tensors in place of the base's ("modules_to_save"), by module; of "weight" each.
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
