// The training loop that all trainers share: warm-up and cosine schedule, gradient accumulation,
// clipping, checkpoints, exact resumption.
//
// The data of a step depends only on its number, so a run that was stopped and resumed equals one
// that never stopped, bit for bit on one thread. Not thread-safe: one loop drives one task.
//
// Usage:
//   LoopOptions options;
//   options.out = folder;
//   options.steps = 40;
//   options.resume = true;
//   PALATE_ASSIGN_OR_RETURN(const LoopResult result, RunTraining(task, options));
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "offline/training/adamw.h"

namespace palate::training {

// Named figures in the order in which they are logged.
using Metrics = std::vector<std::pair<std::string, double>>;

// The loss of one micro batch, with its autograd graph.
struct MicroBatch {
  at::Tensor loss;     // scalar
  int64_t tokens = 0;  // text tokens or image patches, for the speed in the log
  Metrics metrics;
};

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;

  // Every trainable tensor. Each call returns the same handles in the same order.
  virtual std::vector<TrainedTensor> Tensors() = 0;
  // `index` counts micro batches from the start of training: step * accumulation + micro. The batch
  // must depend only on it and on the task's seed.
  virtual absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) = 0;
  // Figures on data that is not trained on; each call uses the same data.
  virtual absl::StatusOr<Metrics> Validate() = 0;
  // Writes the model folder that the services load.
  virtual absl::Status Save(const std::string& folder) = 0;
};

struct LoopOptions {
  std::string out;       // the model folder; also holds the training state, in kStateFile
  int64_t steps = 1000;  // optimizer steps of the whole run, at whose end the schedule ends
  // Limits of this call. A run that reaches one stops with a checkpoint to resume from.
  absl::Duration time_limit = absl::InfiniteDuration();
  int64_t step_limit = 0;  // 0: none
  bool resume = false;     // continue from the state in `out`, if there is one
  int accumulation = 1;    // micro batches per step
  double peak_learning_rate = 1e-3;
  double final_share = 0.05;  // learning rate at the end as a share of the peak
  int64_t warmup_steps = 100;
  double max_grad_norm = 1.0;
  AdamWOptions adamw;
  int64_t log_every = 50;
  int64_t validate_every = 500;  // 0: only at the end
  absl::Duration save_every = absl::Minutes(3);
};

struct LoopResult {
  int64_t steps_done = 0;  // of the whole run, including those before a resumption
  bool finished = false;   // all steps are done
  double last_loss = 0;    // mean since the last log line
  Metrics validation;      // of the last validation
};

// The file in LoopOptions::out that holds the optimizer's state. Not part of a served model; delete
// it before publishing a folder.
inline constexpr char kStateFile[] = "training_state.safetensors";

// InvalidArgument for options out of range or a state that does not fit the task; Unavailable when
// the folder cannot be created; Internal when the loss or the gradient is not finite. Errors of the
// task are returned as they are.
absl::StatusOr<LoopResult> RunTraining(TrainingTask& task, const LoopOptions& options);

// Linear warm-up to the peak, then half a cosine down to final_share of it at the last step. `step`
// counts from 0.
double LearningRateAt(const LoopOptions& options, int64_t step);

}  // namespace palate::training
