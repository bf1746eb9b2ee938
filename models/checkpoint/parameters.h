// A family lists its parameters once, under their checkpoint names. That list serves loading,
// random initialization, training and saving.
//
// Usage:
//   at::Tensor weight, bias;
//   ParameterList list;
//   AddNorm(list, "norm.", hidden_size, weight, bias);
//   PALATE_RETURN_IF_ERROR(InitializeParameters(list, /*seed=*/1, /*trainable=*/true));
//   PALATE_RETURN_IF_ERROR(SaveParameters(list, folder + "/model.safetensors"));
//
//   PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
//   PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list));
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/checkpoint.h"

namespace palate::models {

// The initial value of a parameter that is not loaded.
struct Init {
  enum class Kind { kNormal, kOnes, kZeros, kConstant };
  static Init Normal(double std) { return {Kind::kNormal, std}; }
  static Init Ones() { return {Kind::kOnes, 1.0}; }
  static Init Zeros() { return {Kind::kZeros, 0.0}; }
  static Init Constant(double value) { return {Kind::kConstant, value}; }
  Kind kind = Kind::kZeros;
  double value = 0.0;  // the value of kConstant, the standard deviation of kNormal
};

struct Parameter {
  std::string name;            // as in the checkpoint
  std::vector<int64_t> shape;  // must match exactly
  Init init;
  at::Tensor* tensor = nullptr;  // not owned; filled by LoadParameters and InitializeParameters
};
using ParameterList = std::vector<Parameter>;

// Append the "weight" and "bias" of a layer normalization, and of a linear layer whose weight is
// initialized by `init`, to `list`; their names start with `prefix`.
void AddNorm(ParameterList& list, const std::string& prefix, int64_t width, at::Tensor& weight,
             at::Tensor& bias);
void AddLinear(ParameterList& list, const std::string& prefix, int64_t out, int64_t in,
               at::Tensor& weight, at::Tensor& bias, const Init& init = {});

struct LoadOptions {
  // Prefixes that the folder may put before every listed name; the one that matches most names is
  // used. BertForMaskedLM stores "bert.embeddings…".
  std::vector<std::string> prefixes = {""};
  // If not empty, the prefixes above replace this one in listed names that start with it, and other
  // names stay as they are: "model." lets "model.norm.weight" be stored as "norm.weight" next to
  // "lm_head.weight".
  std::string replaced_prefix = {};
  // Tensors whose name (with prefix) starts with one of these belong to parts that the family does
  // not use. Any other unlisted tensor is an error.
  std::vector<std::string> ignored_prefixes = {};
  // The same for the end of the name, for tables that old checkpoints store in every layer.
  std::vector<std::string> ignored_suffixes = {};
  // Compute type and device. On the CPU, tensors stored in this type remain read-only views of the
  // mapping.
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  // Allocates writable memory and sets requires_grad.
  bool trainable = false;
  // Merged into the weights that it names; borrowed for the call. Its modules may have any of the
  // prefixes above. A module that is neither listed nor ignored is an error.
  const Adapter* adapter = nullptr;
};

// Fills every listed tensor and converts other floating types. A norm "LayerNorm.weight" and
// "LayerNorm.bias" may be stored as "LayerNorm.gamma" and "LayerNorm.beta". InvalidArgument naming
// the folder and listing the tensors that are missing, have another shape, are not floating, or are
// not listed.
//
// Memory grows by the size of the weights in the compute type (nothing for views) and a few MB:
// tensors are converted in pieces, and the pages of the mapping behind them are released.
absl::Status LoadParameters(const Checkpoint& checkpoint, const ParameterList& parameters,
                            const LoadOptions& options = {});

// Fills every listed tensor with new float32 memory; the same seed gives the same values.
// `trainable` sets requires_grad.
absl::Status InitializeParameters(const ParameterList& parameters, uint64_t seed, bool trainable);

// Writes the listed tensors in their current types to `path` (model.safetensors).
absl::Status SaveParameters(const ParameterList& parameters, const std::string& path);

// Saves any named tensors, such as optimizer state and test fixtures. Types: float32, float16,
// bfloat16, float64, int64, int32, int16, int8, uint8, bool.
absl::Status SaveTensors(const std::map<std::string, at::Tensor>& tensors, const std::string& path);
// Loads tensors that own their memory, in the file's types.
absl::StatusOr<std::map<std::string, at::Tensor>> LoadTensors(const std::string& path);

}  // namespace palate::models
