// The training loop that every trainer shares: warm-up and cosine schedule, gradient accumulation,
// clipping, checkpoints, exact resumption.
//
// What a step trains on depends on its number alone, so a run that was stopped and resumed equals
// one that never stopped, bit for bit on one thread. Not thread-safe: one loop drives one task.
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

// The loss of one micro batch, with the graph behind it.
struct MicroBatch {
  at::Tensor loss;     // scalar
  int64_t tokens = 0;  // text tokens or image patches behind it, for the speed shown in the log
  Metrics metrics;
};

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;

  // Every trainable tensor. Always the same handles in the same order.
  virtual std::vector<TrainedTensor> Tensors() = 0;
  // `index` counts micro batches from the start of training: step * accumulation + micro. The batch
  // follows from it and the task's seed.
  virtual absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) = 0;
  // Figures over data that is never trained on, and the same data at every call.
  virtual absl::StatusOr<Metrics> Validate() = 0;
  // Writes the folder that the services read.
  virtual absl::Status Save(const std::string& folder) = 0;
};

struct LoopOptions {
  std::string out;  // the model folder; the training state lies beside the weights in kStateFile
  int64_t steps = 1000;  // optimizer steps of the whole run; the schedule ends there
  absl::Duration time_limit = absl::InfiniteDuration();  // of this call; the run stops early, with
                                                         // a checkpoint to resume from
  int64_t step_limit = 0;                                // of this call, likewise; 0: none
  bool resume = false;   // go on from the state in `out` when there is one
  int accumulation = 1;  // micro batches per step
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
  int64_t steps_done = 0;  // of the whole run, those before a resumption included
  bool finished = false;   // all steps are done
  double last_loss = 0;    // mean since the last log line
  Metrics validation;      // of the last validation
};

// The file in LoopOptions::out that holds the optimizer's state. Not part of a served model; delete
// it before publishing a folder.
inline constexpr char kStateFile[] = "training_state.safetensors";

// InvalidArgument for options out of range or a state that does not fit the task; Internal when the
// loss stops being finite.
absl::StatusOr<LoopResult> RunTraining(TrainingTask& task, const LoopOptions& options);

// Linear warm-up to the peak, then half a cosine down to final_share of it at the last step. `step`
// counts from 0.
double LearningRateAt(const LoopOptions& options, int64_t step);

}  // namespace palate::training
