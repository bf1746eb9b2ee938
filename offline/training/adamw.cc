#include "offline/training/adamw.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace palate::training {
namespace {

constexpr char kStepsKey[] = "steps";

bool Decays(const TrainedTensor& trained) {
  return trained.tensor.dim() >= 2 && !absl::StrContains(trained.name, "embed") &&
         !absl::StrContains(trained.name, "position");
}

std::string ParameterKey(const TrainedTensor& trained) {
  return absl::StrCat("parameter/", trained.name);
}
std::string FirstKey(const TrainedTensor& trained) {
  return absl::StrCat("first_moment/", trained.name);
}
std::string SecondKey(const TrainedTensor& trained) {
  return absl::StrCat("second_moment/", trained.name);
}

}  // namespace

AdamW::AdamW(std::vector<TrainedTensor> tensors, const AdamWOptions& options) : options_(options) {
  for (TrainedTensor& trained : tensors) {
    Entry entry;
    entry.first = at::zeros_like(trained.tensor);
    entry.second = at::zeros_like(trained.tensor);
    entry.decays = Decays(trained);
    entry.trained = std::move(trained);
    entries_.push_back(std::move(entry));
  }
}

void AdamW::ZeroGrad() {
  for (Entry& entry : entries_) entry.trained.tensor.mutable_grad().reset();
}

double AdamW::ClipGradNorm(double max_norm) {
  const at::NoGradGuard no_grad;
  double squares = 0;

  for (const Entry& entry : entries_) {
    const at::Tensor& grad = entry.trained.tensor.grad();
    if (grad.defined()) squares += grad.square().sum().item<double>();
  }
  const double norm = std::sqrt(squares);

  if (norm > max_norm) {
    for (Entry& entry : entries_) {
      at::Tensor& grad = entry.trained.tensor.mutable_grad();
      if (grad.defined()) grad.mul_(max_norm / norm);
    }
  }
  return norm;
}

void AdamW::Step(double learning_rate) {
  const at::NoGradGuard no_grad;
  ++steps_;
  const double bias1 = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
  const double bias2 = 1 - std::pow(options_.beta2, static_cast<double>(steps_));

  for (Entry& entry : entries_) {
    const at::Tensor& grad = entry.trained.tensor.grad();
    if (!grad.defined()) continue;
    at::Tensor& parameter = entry.trained.tensor;
    if (entry.decays) parameter.mul_(1 - learning_rate * options_.weight_decay);
    entry.first.lerp_(grad, 1 - options_.beta1);
    entry.second.mul_(options_.beta2).addcmul_(grad, grad, 1 - options_.beta2);
    const at::Tensor denominator =
        entry.second.sqrt().div_(std::sqrt(bias2)).add_(options_.epsilon);
    parameter.addcdiv_(entry.first, denominator, -learning_rate / bias1);
  }
}

std::map<std::string, at::Tensor> AdamW::State() const {
  std::map<std::string, at::Tensor> state;
  for (const Entry& entry : entries_) {
    state[ParameterKey(entry.trained)] = entry.trained.tensor.detach();
    state[FirstKey(entry.trained)] = entry.first;
    state[SecondKey(entry.trained)] = entry.second;
  }

  state[kStepsKey] = at::full({1}, steps_, at::kLong);
  return state;
}

absl::Status AdamW::Restore(const std::map<std::string, at::Tensor>& state) {
  const at::NoGradGuard no_grad;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;  // to, from

  for (const Entry& entry : entries_) {
    for (const auto& [key, to] : {std::pair(ParameterKey(entry.trained), entry.trained.tensor),
                                  std::pair(FirstKey(entry.trained), entry.first),
                                  std::pair(SecondKey(entry.trained), entry.second)}) {
      const auto found = state.find(key);
      if (found == state.end())
        return absl::InvalidArgumentError(absl::StrCat("training state has no '", key, "'"));
      if (found->second.sizes() != to.sizes()) {
        return absl::InvalidArgumentError(
            absl::StrCat("training state '", key, "' has another shape than the model"));
      }
      copies.emplace_back(to, found->second);
    }
  }

  const auto steps = state.find(kStepsKey);
  if (steps == state.end() || steps->second.numel() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("training state has no '", kStepsKey, "'"));
  }

  for (auto& [to, from] : copies) to.copy_(from);
  steps_ = steps->second.item<int64_t>();
  return absl::OkStatus();
}

}  // namespace palate::training
