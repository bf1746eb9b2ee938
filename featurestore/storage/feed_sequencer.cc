#include "featurestore/storage/feed_sequencer.h"

#include <utility>

#include "absl/time/clock.h"

namespace palate::featurestore {

FeedSequencer::Reservation::~Reservation() { sequencer_->Complete(first_); }

void FeedSequencer::Start(int64_t next) {
  MutexLock lock(mutex_);
  next_ = next;
}

std::unique_ptr<FeedSequencer::Reservation> FeedSequencer::Reserve(int64_t count) {
  MutexLock lock(mutex_);
  const int64_t first = next_;
  next_ += count;
  in_flight_.insert(first);
  return std::make_unique<Reservation>(this, first);
}

int64_t FeedSequencer::WatermarkLocked() const {
  return (in_flight_.empty() ? next_ : *in_flight_.begin()) - 1;
}

int64_t FeedSequencer::watermark() const {
  MutexLock lock(mutex_);
  return WatermarkLocked();
}

bool FeedSequencer::WaitBeyond(int64_t position, absl::Time deadline) const {
  MutexLock lock(mutex_);
  while (!closed_ && WatermarkLocked() <= position) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    grown_.WaitFor(mutex_, left);
  }
  return !closed_;
}

void FeedSequencer::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  grown_.SignalAll();
}

void FeedSequencer::Complete(int64_t first) {
  bool grew = false;
  {
    MutexLock lock(mutex_);
    const int64_t before = WatermarkLocked();
    in_flight_.erase(first);
    grew = WatermarkLocked() > before;
    if (grew) grown_.SignalAll();
  }
  if (!grew) return;
  MutexLock lock(listeners_mutex_);
  for (const auto& [id, listener] : listeners_) listener();
}

int64_t FeedSequencer::AddListener(std::function<void()> listener) {
  MutexLock lock(listeners_mutex_);
  const int64_t id = next_listener_++;
  listeners_.emplace(id, std::move(listener));
  return id;
}

void FeedSequencer::RemoveListener(int64_t id) {
  MutexLock lock(listeners_mutex_);
  listeners_.erase(id);
}

}  // namespace palate::featurestore
