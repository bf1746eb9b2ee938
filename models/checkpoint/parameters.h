// One listing of a model's parameters serves loading, random initialization, training and saving.
//
// A family writes a function that lists its tensors under their checkpoint names:
//   ParameterList list;
//   list.push_back({"norm.weight", {hidden}, Init::Ones(), &norm_weight_});
// and then calls LoadParameters(), InitializeParameters() or SaveParameters() on it.
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

// How a parameter starts when there is no checkpoint.
struct Init {
  enum class Kind { kNormal, kOnes, kZeros, kConstant };
  static Init Normal(double std) { return {Kind::kNormal, std}; }
  static Init Ones() { return {Kind::kOnes, 1.0}; }
  static Init Zeros() { return {Kind::kZeros, 0.0}; }
  static Init Constant(double value) { return {Kind::kConstant, value}; }
  Kind kind = Kind::kZeros;
  double value = 0.0;  // standard deviation for kNormal
};

struct Parameter {
  std::string name;            // as in the checkpoint
  std::vector<int64_t> shape;  // exact
  Init init;
  at::Tensor* tensor = nullptr;  // not owned; filled by Load or Initialize
};
using ParameterList = std::vector<Parameter>;

// Append `prefix` + "weight" and `prefix` + "bias": of a layer normalization, and of a linear layer
// whose weight starts as `init` says.
void AddNorm(ParameterList& list, const std::string& prefix, int64_t width, at::Tensor& weight,
             at::Tensor& bias);
void AddLinear(ParameterList& list, const std::string& prefix, int64_t out, int64_t in,
               at::Tensor& weight, at::Tensor& bias, const Init& init = {});

struct LoadOptions {
  // Prefixes that the folder may carry before every listed name, tried in order: BertForMaskedLM
  // stores "bert.embeddings…".
  std::vector<std::string> prefixes = {""};
  // When not empty, the prefixes above stand in place of this one where a listed name begins with
  // it, and other names are taken as they are: "model." lets "model.norm.weight" be stored as
  // "norm.weight", beside "lm_head.weight".
  std::string replaced_prefix = {};
  // Tensors whose name (with prefix) starts with one of these belong to parts that the family does
  // not use; any other left-over tensor is an error.
  std::vector<std::string> ignored_prefixes = {};
  // The same by the end of the name, for tables that old checkpoints store in every layer.
  std::vector<std::string> ignored_suffixes = {};
  // Floating type to compute in, and where. Tensors stored in this type stay read-only views of the
  // mapping on the CPU.
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  // Own, writable memory with requires_grad set.
  bool trainable = false;
  // Merged into the weights that it names; borrowed for the call. Its modules carry any of the
  // prefixes above. One that is neither listed nor ignored (as above, by its own name) is an error.
  const Adapter* adapter = nullptr;
};

// Fills every listed tensor; other floating types are converted. InvalidArgument naming the
// folder and listing what is missing, of another shape, not floating, or left over.
//
// Memory grows by the size of the weights in their compute type (nothing for views) and a few MB:
// tensors are converted in pieces, and the pages of the mapping behind them are let go.
absl::Status LoadParameters(const Checkpoint& checkpoint, const ParameterList& parameters,
                            const LoadOptions& options = {});

// Fills every listed tensor with fresh float32 memory; the same seed gives the same values. With
// `trainable`, requires_grad is set.
absl::Status InitializeParameters(const ParameterList& parameters, uint64_t seed, bool trainable);

// Writes the listed tensors in their own types to `path` (model.safetensors).
absl::Status SaveParameters(const ParameterList& parameters, const std::string& path);

// Any named tensors, for optimizer state and test fixtures. Types: float32, float16, bfloat16,
// float64, int64, int32, uint8, bool.
absl::Status SaveTensors(const std::map<std::string, at::Tensor>& tensors, const std::string& path);
// Tensors that own their memory, in the file's types.
absl::StatusOr<std::map<std::string, at::Tensor>> LoadTensors(const std::string& path);

}  // namespace palate::models
