// AdamW with decoupled weight decay (https://arxiv.org/abs/1711.05101) over named tensors.
//
// Weight decay applies to matrices. It does not apply to vectors (norms, biases), nor to embedding
// tables and position embeddings (by their names), because their rare rows would decay to zero. A
// state that is saved and restored continues the training bit for bit. Not thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace palate::training {

// A trainable tensor under its checkpoint name. The handle shares memory with the model's tensor.
struct TrainedTensor {
  std::string name;
  at::Tensor tensor;  // float32, requires_grad
};

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-8;
  double weight_decay = 0.05;  // per unit of learning rate
};

class AdamW {
 public:
  AdamW(std::vector<TrainedTensor> tensors, const AdamWOptions& options);

  // Drops the gradients. Call before the first backward pass of a step.
  void ZeroGrad();
  // Scales the gradients down so that their joint L2 norm is at most `max_norm`. Returns the norm
  // before scaling, which is not finite when a gradient is not.
  double ClipGradNorm(double max_norm);
  // One update. Skips tensors without a gradient.
  void Step(double learning_rate);

  int64_t steps() const { return steps_; }

  // Parameters, both moments and the step count, for models::SaveTensors. Shares memory with this
  // object.
  std::map<std::string, at::Tensor> State() const;
  // Copies a State() back, including the parameters. InvalidArgument naming a tensor that is
  // missing or has another shape; nothing has changed then.
  absl::Status Restore(const std::map<std::string, at::Tensor>& state);

 private:
  struct Entry {
    TrainedTensor trained;
    at::Tensor first;   // decayed mean of the gradient
    at::Tensor second;  // decayed mean of its square
    bool decays = false;
  };

  const AdamWOptions options_;
  std::vector<Entry> entries_;
  int64_t steps_ = 0;
};

}  // namespace palate::training
