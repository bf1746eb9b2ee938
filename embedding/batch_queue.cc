#include "embedding/batch_queue.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace palate::embedding {
namespace {

// The size of the window, in batches, from which work is chosen to join the oldest. A wider window
// finds more work of equal length and passes over other work more often.
constexpr int64_t kWindowBatches = 4;
// Work that so many batches passed over precedes work of more similar length.
constexpr int kMostPassedOver = 3;

const char* NameOf(Lane lane) { return lane == Lane::kBulk ? "bulk" : "interactive"; }

}  // namespace

absl::Status BatchQueue::Admit(Lane lane, int64_t tokens) {
  const MutexLock lock(mutex_);
  if (stopped_) return absl::UnavailableError("the embedder is shutting down");

  LaneState& state = StateOf(lane);
  const int64_t limit = lane == Lane::kBulk ? options_.max_queued_tokens_bulk
                                            : options_.max_queued_tokens_interactive;
  if (state.admitted_tokens >= limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("embedding is overloaded: ", state.admitted_tokens, " tokens wait in the ",
                     NameOf(lane), " lane, at most ", limit));
  }

  state.admitted_tokens += tokens;
  return absl::OkStatus();
}

void BatchQueue::Release(Lane lane, int64_t tokens) {
  const MutexLock lock(mutex_);
  StateOf(lane).admitted_tokens -= tokens;
}

absl::Status BatchQueue::Push(std::shared_ptr<QueuedWork> work) {
  const MutexLock lock(mutex_);
  if (stopped_) return absl::UnavailableError("the embedder is shutting down");
  work->arrival_ = absl::Now();
  StateOf(work->lane()).waiting.push_back(std::move(work));
  work_arrived_.Signal();
  return absl::OkStatus();
}

std::vector<std::pair<std::shared_ptr<QueuedWork>, absl::Status>> BatchQueue::TakeUnwanted() {
  std::vector<std::pair<std::shared_ptr<QueuedWork>, absl::Status>> unwanted;
  const absl::Time now = absl::Now();
  for (LaneState* lane : {&interactive_, &bulk_}) {
    std::erase_if(lane->waiting, [&](std::shared_ptr<QueuedWork>& work) {
      absl::Status why = work->CheckStillWanted(now);
      if (why.ok()) return false;
      unwanted.emplace_back(std::move(work), std::move(why));
      return true;
    });
  }
  return unwanted;
}

void BatchQueue::DropUnwanted() {
  std::vector<std::pair<std::shared_ptr<QueuedWork>, absl::Status>> unwanted;
  {
    const MutexLock lock(mutex_);
    unwanted = TakeUnwanted();
  }
  for (const auto& [work, why] : unwanted) work->Dropped(why);
}

WorkBatch BatchQueue::NextBatch() {
  while (true) {
    std::vector<std::pair<std::shared_ptr<QueuedWork>, absl::Status>> unwanted;
    {
      const MutexLock lock(mutex_);
      unwanted = TakeUnwanted();
      if (unwanted.empty()) {
        if (stopped_) return {};
        if (!interactive_.waiting.empty() || !bulk_.waiting.empty()) return Cut();
        work_arrived_.Wait(mutex_);
      }
    }

    for (const auto& [work, why] : unwanted) work->Dropped(why);
  }
}

WorkBatch BatchQueue::Cut() {
  const int64_t size = options_.batch_tokens;
  const auto has_small = [&](const Waiting& waiting) {
    return std::any_of(waiting.begin(), waiting.end(),
                       [&](const auto& work) { return !IsLarge(*work); });
  };

  WorkBatch batch;
  if (interactive_.waiting.empty() || bulk_.waiting.empty()) {
    bulk_credit_ = 0;
    Take(interactive_.waiting.empty() ? bulk_.waiting : interactive_.waiting, size, batch);
  } else if (last_was_large_ && !has_small(interactive_.waiting) && has_small(bulk_.waiting)) {
    Take(bulk_.waiting, size, batch);
  } else {
    const int64_t wanted = bulk_.waiting[Head(bulk_.waiting)]->tokens();
    const auto share = static_cast<int64_t>(options_.bulk_share * static_cast<double>(size));
    bulk_credit_ = std::min(bulk_credit_ + share, std::max(size, wanted));
    const int64_t reserved = bulk_credit_ >= wanted ? bulk_credit_ : 0;
    int64_t held = 0;
    if (reserved < size) held = Take(interactive_.waiting, size - reserved, batch);
    const int64_t taken = Take(bulk_.waiting, size - held, batch);
    // Bulk work does not pay for the room that interactive work leaves. Otherwise a large piece
    // would wait behind small ones forever.
    if (reserved > 0) bulk_credit_ = std::max<int64_t>(0, bulk_credit_ - taken);
  }

  last_was_large_ = IsLarge(*batch.front());
  std::stable_sort(batch.begin(), batch.end(),
                   [](const auto& a, const auto& b) { return a->tokens() > b->tokens(); });
  return batch;
}

size_t BatchQueue::Head(const Waiting& waiting) const {
  if (!last_was_large_) return 0;
  const auto small = std::find_if(waiting.begin(), waiting.end(),
                                  [&](const auto& work) { return !IsLarge(*work); });
  return small == waiting.end() ? 0 : static_cast<size_t>(small - waiting.begin());
}

int64_t BatchQueue::Take(Waiting& waiting, int64_t limit, WorkBatch& batch) {
  const size_t head = Head(waiting);
  const int64_t head_tokens = waiting[head]->tokens();
  int64_t held = 0;
  const auto take = [&](size_t place) {
    held += waiting[place]->tokens();
    batch.push_back(std::move(waiting[place]));
  };
  const bool alone = batch.empty() && IsLarge(*waiting[head]);
  if (batch.empty()) take(head);

  // Candidates: the oldest few batches of work, sorted by similarity in length.
  std::vector<size_t> window;
  int64_t window_tokens = 0;
  for (size_t i = 0;
       i < waiting.size() && !alone && window_tokens < kWindowBatches * options_.batch_tokens;
       ++i) {
    if (waiting[i] == nullptr || IsLarge(*waiting[i])) continue;
    window.push_back(i);
    window_tokens += waiting[i]->tokens();
  }

  const auto rank = [&](size_t i) {
    const QueuedWork& work = *waiting[i];
    return std::make_pair(work.passed_over_ < kMostPassedOver,
                          std::abs(work.tokens() - head_tokens));
  };
  std::stable_sort(window.begin(), window.end(),
                   [&](size_t a, size_t b) { return rank(a) < rank(b); });

  for (size_t i : window) {
    if (held + waiting[i]->tokens() <= limit) {
      take(i);
    } else {
      ++waiting[i]->passed_over_;
    }
  }

  std::erase(waiting, nullptr);
  return held;
}

void BatchQueue::Shutdown() {
  Waiting abandoned;
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    for (LaneState* lane : {&interactive_, &bulk_}) {
      std::move(lane->waiting.begin(), lane->waiting.end(), std::back_inserter(abandoned));
      lane->waiting.clear();
    }
    work_arrived_.SignalAll();
  }

  for (const auto& work : abandoned)
    work->Dropped(absl::UnavailableError("the embedder is shutting down"));
}

int64_t BatchQueue::queued_tokens(Lane lane) const {
  const MutexLock lock(mutex_);
  return StateOf(lane).admitted_tokens;
}

absl::Time BatchQueue::waiting_since() const {
  const MutexLock lock(mutex_);
  absl::Time since = absl::InfiniteFuture();
  for (const LaneState* lane : {&interactive_, &bulk_}) {
    if (!lane->waiting.empty()) since = std::min(since, lane->waiting.front()->arrival_);
  }
  return since;
}

}  // namespace palate::embedding
