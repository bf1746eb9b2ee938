#include "offline/training/loop.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/checkpoint/parameters.h"
#include "models/torch_status.h"

namespace palate::training {
namespace {

absl::Status Check(const LoopOptions& options) {
  if (options.out.empty()) return InvalidField("out", "is empty", "a folder");
  if (options.steps < 1)
    return InvalidField("steps", absl::StrCat("is ", options.steps), "at least 1");
  if (options.accumulation < 1) {
    return InvalidField("accumulation", absl::StrCat("is ", options.accumulation), "at least 1");
  }

  if (!(options.peak_learning_rate > 0)) {
    return InvalidField("learning_rate", absl::StrCat("is ", options.peak_learning_rate),
                        "above 0");
  }
  return absl::OkStatus();
}

std::string Describe(const Metrics& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) absl::StrAppendFormat(&text, "  %s %.4f", name, value);
  return text;
}

// Sums over the steps since the last log line.
class Window {
 public:
  void Add(double loss, double grad_norm, int64_t tokens, const Metrics& metrics) {
    ++steps_;
    loss_ += loss;
    grad_norm_ += grad_norm;
    tokens_ += tokens;

    for (const auto& [name, value] : metrics) {
      const auto found = std::find_if(sums_.begin(), sums_.end(),
                                      [&](const auto& sum) { return sum.first == name; });
      if (found == sums_.end()) {
        sums_.emplace_back(name, value);
      } else {
        found->second += value;
      }
    }
  }

  double MeanLoss() const { return steps_ > 0 ? loss_ / static_cast<double>(steps_) : 0; }

  void Log(const LoopOptions& options, int64_t step) {
    Metrics means = sums_;
    for (auto& [name, value] : means) value /= static_cast<double>(steps_ * options.accumulation);

    const double seconds = std::max(1e-9, absl::ToDoubleSeconds(absl::Now() - begin_));
    spdlog::info("step {}/{}  loss {:.4f}{}  grad {:.2f}  lr {:.2e}  {:.0f} tokens/s", step,
                 options.steps, MeanLoss(), Describe(means),
                 grad_norm_ / static_cast<double>(steps_), LearningRateAt(options, step - 1),
                 static_cast<double>(tokens_) / seconds);
    *this = Window();
  }

 private:
  absl::Time begin_ = absl::Now();
  int64_t steps_ = 0;
  double loss_ = 0;
  double grad_norm_ = 0;
  int64_t tokens_ = 0;
  Metrics sums_;
};

class Loop {
 public:
  Loop(TrainingTask& task, const LoopOptions& options)
      : task_(task), options_(options), optimizer_(task.Tensors(), options.adamw) {}

  absl::StatusOr<LoopResult> Run() {
    PALATE_RETURN_IF_ERROR(ResumeIfAsked());
    absl::Time last_save = absl::Now();
    const absl::Time stop = absl::Now() + options_.time_limit;

    const int64_t last_step =
        options_.step_limit > 0 ? std::min(options_.steps, optimizer_.steps() + options_.step_limit)
                                : options_.steps;

    LoopResult result;
    while (optimizer_.steps() < last_step && absl::Now() < stop) {
      PALATE_RETURN_IF_ERROR(models::CatchTorch([&] { return Step(); }));

      result.last_loss = window_.MeanLoss();
      const int64_t step = optimizer_.steps();
      if (step % options_.log_every == 0 || step == options_.steps) window_.Log(options_, step);

      if (options_.validate_every > 0 && step % options_.validate_every == 0 &&
          step < options_.steps) {
        PALATE_ASSIGN_OR_RETURN(result.validation, Validate());
      }

      if (absl::Now() - last_save >= options_.save_every) {
        PALATE_RETURN_IF_ERROR(Save());
        last_save = absl::Now();
      }
    }

    PALATE_RETURN_IF_ERROR(Save());
    PALATE_ASSIGN_OR_RETURN(result.validation, Validate());

    result.steps_done = optimizer_.steps();
    result.finished = result.steps_done >= options_.steps;
    return result;
  }

 private:
  std::string StatePath() const { return absl::StrCat(options_.out, "/", kStateFile); }

  absl::Status ResumeIfAsked() {
    if (!options_.resume || !models::FileExists(StatePath())) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(const auto state, models::LoadTensors(StatePath()));
    PALATE_RETURN_IF_ERROR(Annotate(optimizer_.Restore(state), StatePath()));
    spdlog::info("resumed at step {} from {}", optimizer_.steps(), StatePath());
    return absl::OkStatus();
  }

  absl::Status Step() {
    const int64_t step = optimizer_.steps();

    optimizer_.ZeroGrad();
    double loss = 0;
    int64_t tokens = 0;
    Metrics metrics;

    for (int micro = 0; micro < options_.accumulation; ++micro) {
      PALATE_ASSIGN_OR_RETURN(MicroBatch batch,
                              task_.ComputeLoss(step * options_.accumulation + micro));

      const at::Tensor scaled = batch.loss / options_.accumulation;
      scaled.backward();
      loss += scaled.item<double>();
      tokens += batch.tokens;
      metrics.insert(metrics.end(), batch.metrics.begin(), batch.metrics.end());
    }

    const double norm = optimizer_.ClipGradNorm(options_.max_grad_norm);
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      return absl::InternalError(
          absl::StrCat("not finite at step ", step, ": loss ", loss, ", gradient norm ", norm));
    }

    optimizer_.Step(LearningRateAt(options_, step));
    window_.Add(loss, norm, tokens, metrics);
    return absl::OkStatus();
  }

  absl::StatusOr<Metrics> Validate() {
    PALATE_ASSIGN_OR_RETURN(Metrics metrics, models::CatchTorch([&] { return task_.Validate(); }));
    spdlog::info("step {}/{}  validation{}", optimizer_.steps(), options_.steps, Describe(metrics));
    return metrics;
  }

  absl::Status Save() {
    std::error_code error;
    std::filesystem::create_directories(options_.out, error);
    if (error)
      return absl::UnavailableError(
          absl::StrCat("cannot create ", options_.out, ": ", error.message()));

    PALATE_RETURN_IF_ERROR(task_.Save(options_.out));
    return models::SaveTensors(optimizer_.State(), StatePath());
  }

  TrainingTask& task_;
  const LoopOptions& options_;
  AdamW optimizer_;
  Window window_;
};

}  // namespace

double LearningRateAt(const LoopOptions& options, int64_t step) {
  if (step < options.warmup_steps) {
    return options.peak_learning_rate * static_cast<double>(step + 1) /
           static_cast<double>(options.warmup_steps);
  }
  const double span =
      static_cast<double>(std::max<int64_t>(1, options.steps - options.warmup_steps));
  const double progress = std::min(1.0, static_cast<double>(step - options.warmup_steps) / span);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return options.peak_learning_rate * (options.final_share + (1 - options.final_share) * cosine);
}

absl::StatusOr<LoopResult> RunTraining(TrainingTask& task, const LoopOptions& options) {
  PALATE_RETURN_IF_ERROR(Check(options));
  return Loop(task, options).Run();
}

}  // namespace palate::training
