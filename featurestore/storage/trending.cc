#include "featurestore/storage/trending.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status.h"

namespace palate::featurestore {
namespace {

constexpr size_t kMaxBoards = 4;
// After so many half-lives an event is worth less than a billionth: neither scanned nor counted.
constexpr int64_t kHorizonHalfLives = 30;
// Scores are rebased before 2^(time / half-life) leaves the range of a double by far.
constexpr double kMaxExponent = 200;
constexpr double kNothing = 1e-9;
constexpr size_t kListStep = 64;

int64_t Hours(absl::Duration half_life) {
  return std::max<int64_t>(1, absl::ToInt64Hours(half_life));
}

double Exponent(int64_t time_us, int64_t reference_us, int64_t hours) {
  return static_cast<double>(time_us - reference_us) /
         (static_cast<double>(hours) * kPopularityBucketUs);
}

}  // namespace

TrendingBoards::Board* TrendingBoards::FindLocked(int64_t hours) {
  for (Board& board : boards_) {
    if (board.hours == hours) return &board;
  }
  return nullptr;
}

bool TrendingBoards::Has(absl::Duration half_life) const {
  MutexLock lock(published_mutex_);
  const int64_t hours = Hours(half_life);
  return std::any_of(published_.begin(), published_.end(),
                     [&](const Published& published) { return published.hours == hours; });
}

absl::Status TrendingBoards::Build(absl::Duration half_life, int64_t newest_us,
                                   const PopularitySource& source) {
  MutexLock lock(mutex_);
  Board board;
  board.hours = Hours(half_life);
  if (FindLocked(board.hours) != nullptr) return absl::OkStatus();

  board.reference_us = PopularityBucket(newest_us);
  const int64_t horizon_us =
      std::min(newest_us, board.hours * kPopularityBucketUs * kHorizonHalfLives);
  PALATE_RETURN_IF_ERROR(
      source.Scan(newest_us - horizon_us, [&board](const PopularityDelta& counter) {
        board.scores[counter.item_id] +=
            counter.micros * 1e-6 *
            std::exp2(Exponent(counter.bucket_us, board.reference_us, board.hours));
      }));

  if (boards_.size() >= kMaxBoards) {
    boards_.erase(std::min_element(boards_.begin(), boards_.end(),
                                   [](const Board& a, const Board& b) { return a.used < b.used; }));
  }
  boards_.push_back(std::move(board));
  PublishLocked(boards_.back());
  return absl::OkStatus();
}

void TrendingBoards::PublishLocked(const Board& board) {
  MutexLock lock(published_mutex_);
  std::erase_if(published_, [this](const Published& published) ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                                mutex_) { return FindLocked(published.hours) == nullptr; });
  auto at = std::find_if(published_.begin(), published_.end(), [&](const Published& published) {
    return published.hours == board.hours;
  });
  if (at == published_.end()) at = published_.insert(at, Published{});
  *at = Published{board.hours, board.list, board.wanted, board.stale, board.ranked};
}

absl::StatusOr<std::vector<ScoredItem>> TrendingBoards::Top(absl::Duration half_life, int num,
                                                            absl::Time at, absl::Time now,
                                                            absl::Duration refresh,
                                                            int64_t newest_us,
                                                            const PopularitySource& source) {
  const int64_t hours = Hours(half_life);
  std::shared_ptr<const List> list;
  bool rank = false;
  {
    MutexLock lock(published_mutex_);
    auto found = std::find_if(published_.begin(), published_.end(),
                              [&](const Published& published) { return published.hours == hours; });
    if (found == published_.end()) return absl::NotFoundError("no such trending board");
    list = found->list;
    const bool too_short = list == nullptr || found->wanted < static_cast<size_t>(num);
    const bool outdated = found->stale && now - found->ranked >= refresh;
    // One caller takes ranks anew; meanwhile the others are content with the ranks before.
    rank = too_short || (outdated && !ranking_);
    if (rank) ranking_ = true;
  }

  if (rank) {
    MutexLock lock(mutex_);
    Board* board = FindLocked(hours);
    absl::Status status = absl::NotFoundError("no such trending board");
    if (board != nullptr) {
      board->wanted =
          std::max(board->wanted, (static_cast<size_t>(num) / kListStep + 1) * kListStep);
      board->used = now;
      status = RankLocked(*board, newest_us, source);
      if (status.ok()) {
        board->ranked = now;
        PublishLocked(*board);
        list = board->list;
      }
    }
    MutexLock published_lock(published_mutex_);
    ranking_ = false;
    PALATE_RETURN_IF_ERROR(status);
  }

  std::vector<ScoredItem> top;
  for (const Entry& entry : *list) {
    if (top.size() >= static_cast<size_t>(num)) break;
    if (entry.expire_time.has_value() && *entry.expire_time <= at) continue;
    top.push_back({entry.item_id, entry.score});
  }
  return top;
}

absl::Status TrendingBoards::RankLocked(Board& board, int64_t newest_us,
                                        const PopularitySource& source) {
  std::vector<std::pair<double, absl::string_view>> order;
  order.reserve(board.scores.size());
  for (const auto& [item_id, score] : board.scores) {
    if (score > kNothing) order.emplace_back(-score, item_id);
  }

  const double to_newest =
      std::exp2(-Exponent(PopularityBucket(newest_us), board.reference_us, board.hours));
  auto list = std::make_shared<List>();
  // The best are sorted run by run, until enough of them may be shown.
  for (size_t begin = 0; begin < order.size() && list->size() < board.wanted;) {
    const size_t end = std::min(order.size(), begin + board.wanted);
    std::partial_sort(order.begin() + begin, order.begin() + end, order.end());
    std::vector<std::string> ids;
    for (size_t i = begin; i < end; ++i) ids.emplace_back(order[i].second);
    PALATE_ASSIGN_OR_RETURN(const std::vector<Availability> available, source.Available(ids));
    for (size_t i = begin; i < end && list->size() < board.wanted; ++i) {
      const Availability& availability = available[i - begin];
      if (availability.visible)
        list->push_back(
            {std::move(ids[i - begin]), -order[i].first * to_newest, availability.expire_time});
    }
    begin = end;
  }

  board.list = std::move(list);
  board.stale = false;
  return absl::OkStatus();
}

void TrendingBoards::ApplyEvents(const std::vector<PopularityDelta>& deltas) {
  if (deltas.empty()) return;
  MutexLock lock(mutex_);
  for (Board& board : boards_) {
    for (const PopularityDelta& delta : deltas) {
      const double exponent = Exponent(delta.bucket_us, board.reference_us, board.hours);
      if (exponent < -kHorizonHalfLives - kMaxExponent) continue;
      if (exponent > kMaxExponent) {
        for (auto& [item_id, score] : board.scores) score *= std::exp2(-exponent);
        board.reference_us = delta.bucket_us;
      }
      board.scores[delta.item_id] +=
          delta.micros * 1e-6 *
          std::exp2(Exponent(delta.bucket_us, board.reference_us, board.hours));
    }
    board.stale = true;
    PublishLocked(board);
  }
}

void TrendingBoards::ItemChanged(absl::string_view item_id, const Availability& availability) {
  MutexLock lock(mutex_);
  for (Board& board : boards_) {
    if (!board.scores.contains(item_id)) continue;

    board.stale = true;
    if (board.list != nullptr) {
      const auto listed =
          std::find_if(board.list->begin(), board.list->end(),
                       [&](const Entry& entry) { return entry.item_id == item_id; });
      if (listed != board.list->end()) {
        auto changed = std::make_shared<List>(*board.list);
        const auto at = changed->begin() + (listed - board.list->begin());
        if (availability.visible) {
          at->expire_time = availability.expire_time;
        } else {
          changed->erase(at);
        }
        board.list = std::move(changed);
      }
    }

    PublishLocked(board);
  }
}

}  // namespace palate::featurestore
