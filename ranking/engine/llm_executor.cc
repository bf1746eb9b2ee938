#include "ranking/engine/llm_executor.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace palate::ranking {

ModelExecutor::ModelExecutor(const std::string& name, const ExecutorLimits& limits)
    : limits_(limits), thread_([this] { Work(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ModelExecutor::~ModelExecutor() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  work_available_.SignalAll();
  thread_.join();
}

absl::Status ModelExecutor::Submit(Lane lane, Step step) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the model is shutting down");
    std::deque<Step>& queue = lane == Lane::kScoring ? scoring_ : decoding_;
    const size_t limit =
        lane == Lane::kScoring ? limits_.max_scoring_tasks : limits_.max_decoding_tasks;
    if (queue.size() >= limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the model's ", lane == Lane::kScoring ? "scoring" : "decoding",
                       " queue holds ", limit, " requests, its limit"));
    }
    queue.push_back(std::move(step));
  }
  work_available_.Signal();
  return absl::OkStatus();
}

void ModelExecutor::NoteProgress() {
  MutexLock lock(mutex_);
  step_began_ = absl::Now();
}

absl::Duration ModelExecutor::RunningFor() const {
  MutexLock lock(mutex_);
  return std::max(absl::Now() - step_began_, absl::ZeroDuration());
}

size_t ModelExecutor::waiting(Lane lane) const {
  MutexLock lock(mutex_);
  return lane == Lane::kScoring ? scoring_.size() : decoding_.size();
}

void ModelExecutor::Work() {
  while (true) {
    Step step;
    bool scoring = false;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && scoring_.empty() && decoding_.empty()) work_available_.Wait(mutex_);
      if (stopping_) return;

      scoring = !scoring_.empty();
      std::deque<Step>& queue = scoring ? scoring_ : decoding_;
      step = std::move(queue.front());
      queue.pop_front();
      step_began_ = absl::Now();
    }

    const bool more = step();
    MutexLock lock(mutex_);
    step_began_ = absl::InfiniteFuture();
    if (more) (scoring ? scoring_ : decoding_).push_back(std::move(step));
  }
}

}  // namespace palate::ranking
