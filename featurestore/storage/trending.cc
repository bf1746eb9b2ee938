#include "featurestore/storage/trending.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status.h"

namespace palate::featurestore {
namespace {

constexpr size_t kMaxBoards = 4;
constexpr size_t kHeadEntries = 4096;
// After so many half-lives an event is worth less than a billionth: neither scanned nor counted.
constexpr int64_t kHorizonHalfLives = 30;
// Scores are rebased before 2^(time / half-life) leaves the range of a double.
constexpr double kMaxExponent = 900;
constexpr double kNothing = 1e-9;
// Entries in one step under the lock that writers take.
constexpr size_t kStep = 4096;
constexpr size_t kLearnBatch = 256;

int64_t Hours(absl::Duration half_life) {
  return std::max<int64_t>(1, absl::ToInt64Hours(half_life));
}

double Exponent(int64_t time_us, int64_t reference_us, int64_t hours) {
  return static_cast<double>(time_us - reference_us) /
         (static_cast<double>(hours) * kPopularityBucketUs);
}

}  // namespace

TrendingBoards::Board* TrendingBoards::FindLocked(int64_t hours) {
  for (const std::unique_ptr<Board>& board : boards_) {
    if (board->hours == hours) return board.get();
  }
  return nullptr;
}

void TrendingBoards::TakeOut(Board& board, Entry& entry) {
  if (!entry.in_head) return;
  board.head.erase({entry.score, &entry});
  entry.in_head = false;
}

// Puts the entry, which is not in the head, where it belongs.
void TrendingBoards::Place(Board& board, Entry& entry) {
  if (board.filling) board.touched.push_back(&entry);
  const Ranked ranked{entry.score, &entry};
  if (entry.score <= 0 || entry.shown == Shown::kNo) return;
  if (!board.complete && !(ranked < board.floor)) return;
  board.head.insert(ranked);
  entry.in_head = true;
  if (board.head.size() <= kHeadEntries) return;

  const auto last = std::prev(board.head.end());
  board.floor = *last;
  board.complete = false;
  last->entry->in_head = false;
  board.head.erase(last);
}

// Moves the reference by whole half-lives, so that scaling is exact and keeps the order.
void TrendingBoards::Rebase(Board& board, int64_t reference_us) {
  const auto halvings =
      static_cast<int>(std::floor(Exponent(reference_us, board.reference_us, board.hours)));
  board.reference_us += halvings * board.hours * kPopularityBucketUs;
  board.halvings += halvings;
  board.floor.score = std::ldexp(board.floor.score, -halvings);

  for (Entry& entry : board.entries) entry.score = std::ldexp(entry.score, -halvings);
  std::set<Ranked> head;
  for (const Ranked& ranked : board.head) head.insert({ranked.entry->score, ranked.entry});
  board.head = std::move(head);
}

void TrendingBoards::Add(Board& board, const PopularityDelta& delta) {
  const double exponent = Exponent(delta.bucket_us, board.reference_us, board.hours);
  if (exponent < -kHorizonHalfLives - kMaxExponent) return;
  if (exponent > kMaxExponent) Rebase(board, delta.bucket_us);

  Entry* entry = nullptr;
  const auto found = board.entry_of.find(delta.item_id);
  if (found != board.entry_of.end()) {
    entry = found->second;
  } else {
    entry = &board.entries.emplace_back();
    entry->item_id = delta.item_id;
    board.entry_of.emplace(entry->item_id, entry);
  }

  TakeOut(board, *entry);
  entry->score +=
      delta.micros * 1e-6 * std::exp2(Exponent(delta.bucket_us, board.reference_us, board.hours));
  Place(board, *entry);
}

void TrendingBoards::SetAvailability(Board& board, Entry& entry, const Availability& availability) {
  TakeOut(board, entry);
  entry.shown = availability.visible ? Shown::kYes : Shown::kNo;
  entry.expire_us = availability.expire_time.has_value()
                        ? absl::ToUnixMicros(*availability.expire_time)
                        : kNeverUs;
  Place(board, entry);
}

absl::Status TrendingBoards::Build(int64_t hours, int64_t newest_us, PopularitySource& source) {
  MutexLock one_at_a_time(build_mutex_);
  {
    MutexLock lock(mutex_);
    if (FindLocked(hours) != nullptr) return absl::OkStatus();
  }
  {
    // What is committed before this moment is scanned, and what comes later is applied after the
    // scan.
    const ExclusiveHold moment(commits_);
    source.Pin();
    MutexLock lock(mutex_);
    building_ = true;
    missed_.clear();
  }

  auto board = std::make_unique<Board>();
  board->hours = hours;
  board->reference_us = PopularityBucket(newest_us);
  const int64_t horizon_us = std::min(newest_us, hours * kPopularityBucketUs * kHorizonHalfLives);
  const absl::Status scanned = source.Scan(
      newest_us - horizon_us, [&board](const PopularityDelta& counter) { Add(*board, counter); });

  MutexLock lock(mutex_);
  building_ = false;
  const std::vector<PopularityDelta> missed = std::exchange(missed_, {});
  PALATE_RETURN_IF_ERROR(scanned);
  for (const PopularityDelta& delta : missed) Add(*board, delta);
  if (boards_.size() >= kMaxBoards) {
    boards_.erase(std::min_element(boards_.begin(), boards_.end(),
                                   [](const auto& a, const auto& b) { return a->used < b->used; }));
  }
  board->used = ++uses_;
  boards_.push_back(std::move(board));
  return absl::OkStatus();
}

bool TrendingBoards::LookAt(int64_t hours, size_t num, int64_t at_us, int64_t now_us,
                            int64_t newest_us, Look& look) {
  MutexLock lock(mutex_);
  Board* board = FindLocked(hours);
  if (board == nullptr) return false;
  board->used = ++uses_;

  const double to_newest =
      std::exp2(-Exponent(PopularityBucket(newest_us), board->reference_us, board->hours));
  const size_t batch = std::max(num, kLearnBatch);
  bool ended = false;  // the rest is worth nothing
  for (auto at = board->head.begin(); at != board->head.end() && look.top.size() < num;) {
    Entry& entry = *at->entry;
    const double score = at->score * to_newest;
    ended = score <= kNothing;
    if (ended || look.unknown.size() >= batch) break;

    ++at;
    if (entry.shown == Shown::kUnknown) {
      look.unknown.push_back(entry.item_id);
    } else if (entry.expire_us <= now_us) {
      TakeOut(*board, entry);
    } else if (entry.expire_us > at_us && look.unknown.empty()) {
      look.top.push_back({entry.item_id, score});
    }
  }

  look.dry = look.unknown.empty() && !ended && !board->complete && board->head.size() < num;
  return true;
}

absl::Status TrendingBoards::Learn(int64_t hours, const std::vector<std::string>& item_ids,
                                   const PopularitySource& source) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<Availability> available, source.Available(item_ids));

  MutexLock lock(mutex_);
  Board* board = FindLocked(hours);
  if (board == nullptr) return absl::OkStatus();
  for (size_t i = 0; i < item_ids.size(); ++i) {
    Entry& entry = *board->entry_of.at(item_ids[i]);
    // ItemChanged() knows better: it came after the read.
    if (entry.shown == Shown::kUnknown) SetAvailability(*board, entry, available[i]);
  }
  return absl::OkStatus();
}

std::vector<TrendingBoards::Ranked> TrendingBoards::Collect(int64_t hours, int64_t now_us) {
  std::vector<Ranked> ranked;
  for (size_t begin = 0;; begin += kStep) {
    MutexLock lock(mutex_);
    Board* board = FindLocked(hours);
    if (board == nullptr || begin >= board->entries.size()) return ranked;
    const size_t end = std::min(begin + kStep, board->entries.size());
    for (size_t i = begin; i < end; ++i) {
      Entry& entry = board->entries[i];
      if (entry.score > 0 && entry.shown != Shown::kNo && entry.expire_us > now_us)
        ranked.push_back({entry.score, &entry});
    }
  }
}

absl::Status TrendingBoards::Fill(int64_t hours, size_t num, int64_t now_us,
                                  const PopularitySource& source) {
  MutexLock one_at_a_time(build_mutex_);  // also keeps the board
  int64_t halvings = 0;
  {
    MutexLock lock(mutex_);
    Board* board = FindLocked(hours);
    // Another call may have filled it meanwhile.
    if (board == nullptr || board->complete || board->head.size() >= num) return absl::OkStatus();
    board->filling = true;
    board->touched.clear();
    halvings = board->halvings;
  }

  // Takes the best, run by run, until enough of them may be shown.
  std::vector<Ranked> heap = Collect(hours, now_us);
  const auto after = [](const Ranked& a, const Ranked& b) { return b < a; };
  std::make_heap(heap.begin(), heap.end(), after);
  std::vector<std::pair<Entry*, Availability>> found;
  absl::Status status;
  while (status.ok() && !heap.empty() && found.size() < kHeadEntries) {
    std::vector<Entry*> run;
    std::vector<std::string> ids;
    while (!heap.empty() && run.size() < kHeadEntries / 4) {
      std::pop_heap(heap.begin(), heap.end(), after);
      run.push_back(heap.back().entry);
      ids.push_back(run.back()->item_id);
      heap.pop_back();
    }
    absl::StatusOr<std::vector<Availability>> available = source.Available(ids);
    status = available.status();
    for (size_t i = 0; status.ok() && i < run.size(); ++i)
      found.emplace_back(run[i], (*available)[i]);
    std::erase_if(found, [](const auto& entry) { return !entry.second.visible; });
  }

  MutexLock lock(mutex_);
  Board& board = *FindLocked(hours);
  board.filling = false;
  const std::vector<Entry*> touched = std::exchange(board.touched, {});
  PALATE_RETURN_IF_ERROR(status);

  while (!board.head.empty()) TakeOut(board, *board.head.begin()->entry);
  board.complete = heap.empty();
  board.floor = heap.empty() ? Ranked{-1, nullptr} : heap.front();
  board.floor.score = std::ldexp(board.floor.score, static_cast<int>(halvings - board.halvings));
  for (const auto& [entry, availability] : found) {
    if (entry->shown == Shown::kUnknown) {
      SetAvailability(board, *entry, availability);
    } else if (!entry->in_head) {
      Place(board, *entry);
    }
  }
  for (Entry* entry : touched) {
    if (!entry->in_head) Place(board, *entry);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ScoredItem>> TrendingBoards::Top(absl::Duration half_life, int num,
                                                            absl::Time at, absl::Time now,
                                                            int64_t newest_us,
                                                            PopularitySource& source) {
  const int64_t hours = Hours(half_life);
  const auto wanted = static_cast<size_t>(num);
  const int64_t now_us = absl::ToUnixMicros(now);
  // A board can be dropped for others between its making and its reading; then it is made again.
  for (int builds = 0;;) {
    Look look;
    if (!LookAt(hours, wanted, absl::ToUnixMicros(at), now_us, newest_us, look)) {
      if (++builds > 3) break;
      PALATE_RETURN_IF_ERROR(Build(hours, newest_us, source));
    } else if (!look.unknown.empty()) {
      PALATE_RETURN_IF_ERROR(Learn(hours, look.unknown, source));
    } else if (look.dry) {
      PALATE_RETURN_IF_ERROR(Fill(hours, wanted, now_us, source));
    } else {
      return std::move(look.top);
    }
  }
  return absl::UnavailableError("too many different trending half-lives are asked for at once");
}

absl::Status TrendingBoards::CommitEvents(const std::vector<PopularityDelta>& deltas,
                                          absl::FunctionRef<absl::Status()> write) {
  const SharedHold going_on(commits_);
  PALATE_RETURN_IF_ERROR(write());
  if (deltas.empty()) return absl::OkStatus();

  MutexLock lock(mutex_);
  if (building_) missed_.insert(missed_.end(), deltas.begin(), deltas.end());
  for (const std::unique_ptr<Board>& board : boards_) {
    for (const PopularityDelta& delta : deltas) Add(*board, delta);
  }
  return absl::OkStatus();
}

void TrendingBoards::ItemChanged(absl::string_view item_id, const Availability& availability) {
  MutexLock lock(mutex_);
  for (const std::unique_ptr<Board>& board : boards_) {
    const auto found = board->entry_of.find(item_id);
    if (found != board->entry_of.end()) SetAvailability(*board, *found->second, availability);
  }
}

}  // namespace palate::featurestore
