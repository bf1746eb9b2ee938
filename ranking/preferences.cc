#include "ranking/preferences.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace palate::ranking {
namespace {

// An event below this share of the strongest one is passing: neither engagement nor aversion, such
// as a page view.
constexpr double kPassingShare = 0.15;

constexpr int kMaxSweeps = 30;

// An item of the history, represented by its strongest event.
struct WeighedItem {
  const HistoryEntry* entry;
  double trust;   // decay, in (0, 1]
  double weight;  // signed, largest magnitude 1
  std::vector<size_t> words;
};

std::vector<WeighedItem> Weigh(const std::vector<HistoryEntry>& history, absl::Duration half_life) {
  absl::Time newest = absl::InfinitePast();
  for (const HistoryEntry& entry : history) newest = std::max(newest, entry.time);
  const double largest = MaxAbsoluteWeight(history);

  std::map<absl::string_view, size_t> position;
  std::vector<WeighedItem> items;
  for (const HistoryEntry& entry : history) {
    const double half_lives = absl::FDivDuration(newest - entry.time, half_life);
    const double trust = std::isfinite(half_lives) ? std::exp2(-std::max(half_lives, 0.0)) : 0.0;
    const WeighedItem item{&entry, trust, largest > 0 ? entry.weight / largest : 0.0, {}};
    const auto [found, added] = position.emplace(entry.item.item_id, items.size());
    if (added) {
      items.push_back(item);
    } else if (std::abs(item.weight) > std::abs(items[found->second].weight)) {
      items[found->second] = item;
    }
  }
  return items;
}

// A value with its fitted weight and the items that have it.
struct Word {
  AttributeWord word;
  double weight = 0;
  double trust = 0;  // summed over its items
  std::vector<size_t> items;
};

// The distinct values of the history in attribute and value order; sets the items' word indices.
std::vector<Word> CollectWords(std::vector<WeighedItem>& items, const SummaryOptions& options) {
  std::map<AttributeWord, std::vector<size_t>> items_of;
  for (size_t i = 0; i < items.size(); ++i) {
    std::vector<AttributeWord> words =
        WordsOf(items[i].entry->item.attributes, options.max_value_bytes);
    if (words.size() > options.max_words_per_item) words.resize(options.max_words_per_item);
    for (AttributeWord& word : words) items_of[std::move(word)].push_back(i);
  }

  std::vector<Word> words;
  for (auto& [word, of] : items_of) {
    double trust = 0;
    for (const size_t i : of) {
      items[i].words.push_back(words.size());
      trust += items[i].trust;
    }
    words.push_back({word, 0, trust, std::move(of)});
  }
  return words;
}

// Ridge regression of the items' weights on their words, by coordinate descent. The objective is
// convex and each step is exact, so the sweeps converge; they stop when no weight changes
// noticeably.
void FitWeights(const std::vector<WeighedItem>& items, double shrinkage, std::vector<Word>& words) {
  std::vector<double> rest;  // residuals
  for (const WeighedItem& item : items) rest.push_back(item.weight);

  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    double largest_move = 0;
    for (Word& word : words) {
      double pull = 0;
      for (const size_t i : word.items) pull += items[i].trust * rest[i];
      const double moved = (pull + word.trust * word.weight) / (word.trust + shrinkage);
      const double move = moved - word.weight;
      for (const size_t i : word.items) rest[i] -= move;
      word.weight = moved;
      largest_move = std::max(largest_move, std::abs(move));
    }
    if (largest_move < 1e-7) return;
  }
}

// The items that support the preference, strongest first. `sign` is 1 for a like, -1 for a dislike.
std::vector<std::string> StrongestEvidence(const Word& word, const std::vector<WeighedItem>& items,
                                           double sign, int limit) {
  std::vector<size_t> order = word.items;
  const auto force = [&](size_t i) { return sign * items[i].trust * items[i].weight; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return force(a) > force(b); });

  std::vector<std::string> ids;
  for (const size_t i : order) {
    if (force(i) <= 0 || static_cast<int>(ids.size()) >= limit) break;
    ids.push_back(items[i].entry->item.item_id);
  }
  return ids;
}

// Sorts strongest first; keeps at most `limit` and none weaker than `floor`.
void KeepStrongest(std::vector<Preference>& preferences, int limit, double floor) {
  std::erase_if(preferences, [floor](const Preference& p) { return std::abs(p.weight) < floor; });
  std::stable_sort(preferences.begin(), preferences.end(),
                   [](const Preference& a, const Preference& b) {
                     return std::abs(a.weight) > std::abs(b.weight);
                   });
  if (preferences.size() > static_cast<size_t>(std::max(limit, 0)))
    preferences.resize(static_cast<size_t>(std::max(limit, 0)));
}

// The smallest value at which `share` of the total weight is reached. `points` is sorted by value
// and not empty.
double WeightedQuantile(const std::vector<std::pair<double, double>>& points, double share) {
  double total = 0;
  for (const auto& [value, weight] : points) total += weight;

  double passed = 0;
  for (const auto& [value, weight] : points) {
    passed += weight;
    if (passed >= share * total) return value;
  }
  return points.back().first;
}

std::vector<PreferenceSummary::Range> Ranges(const std::vector<WeighedItem>& items,
                                             const SummaryOptions& options) {
  // By attribute: (value, weight).
  std::map<std::string, std::vector<std::pair<double, double>>> points;
  for (const WeighedItem& item : items) {
    if (EngagementOf(item.weight, 1.0) != Engagement::kEngaged || item.trust <= 0) continue;
    for (const auto& [name, value] : item.entry->item.attributes) {
      const std::optional<double> number = NumberOf(item.entry->item.attributes, name);
      if (number.has_value()) points[name].emplace_back(*number, item.trust * item.weight);
    }
  }

  std::vector<PreferenceSummary::Range> ranges;
  for (auto& [name, values] : points) {
    if (static_cast<int>(values.size()) < options.min_range_events) continue;
    std::sort(values.begin(), values.end());
    ranges.push_back({name, WeightedQuantile(values, options.range_low),
                      WeightedQuantile(values, options.range_high)});
    if (static_cast<int>(ranges.size()) >= options.max_ranges) break;
  }
  return ranges;
}

// Lower case, trimmed, with single spaces for runs of whitespace; control characters are
// whitespace.
std::string NormalizedValue(absl::string_view text) {
  std::string value;
  for (const char c : text) {
    const bool space = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    if (!space) value += absl::ascii_tolower(static_cast<unsigned char>(c));
    if (space && !value.empty() && value.back() != ' ') value += ' ';
  }
  if (!value.empty() && value.back() == ' ') value.pop_back();
  return value;
}

}  // namespace

std::vector<AttributeWord> WordsOf(const Attributes& attributes, size_t max_value_bytes) {
  std::vector<AttributeWord> words;
  const auto add = [&](const std::string& attribute, absl::string_view text) {
    if (text.size() > max_value_bytes) return;
    AttributeWord word{attribute, NormalizedValue(text)};
    if (word.value.empty() || std::find(words.begin(), words.end(), word) != words.end()) return;
    words.push_back(std::move(word));
  };

  for (const auto& [name, value] : attributes) {
    if (const auto* text = std::get_if<std::string>(&value)) add(name, *text);
    if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& text : *list) add(name, text);
    }
    if (const auto* flag = std::get_if<bool>(&value)) add(name, *flag ? "yes" : "no");
  }
  return words;
}

std::optional<double> NumberOf(const Attributes& attributes, const std::string& attribute) {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return std::nullopt;
  if (const auto* whole = std::get_if<int64_t>(&found->second)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&found->second)) return *real;
  return std::nullopt;
}

double MaxAbsoluteWeight(const std::vector<HistoryEntry>& history) {
  double largest = 0;
  for (const HistoryEntry& entry : history) largest = std::max(largest, std::abs(entry.weight));
  return largest;
}

Engagement EngagementOf(double weight, double max_absolute_weight) {
  const double threshold = kPassingShare * max_absolute_weight;
  if (weight > 0 && weight >= threshold) return Engagement::kEngaged;
  if (weight < 0 && -weight >= threshold) return Engagement::kAverse;
  return Engagement::kPassing;
}

PreferenceSummary Summarize(const std::vector<HistoryEntry>& history,
                            const SummaryOptions& options) {
  std::vector<WeighedItem> items = Weigh(history, options.half_life);
  std::vector<Word> words = CollectWords(items, options);
  FitWeights(items, options.shrinkage, words);

  PreferenceSummary summary;
  double strongest = 0;
  for (const Word& word : words) {
    if (word.weight == 0 || !std::isfinite(word.weight)) continue;
    Preference preference{
        word.word.attribute, word.word.value, word.weight,
        StrongestEvidence(word, items, word.weight > 0 ? 1.0 : -1.0, options.max_evidence)};
    // The fit can move a value across zero. Without an event of that sign the preference has no
    // evidence.
    if (preference.evidence_item_ids.empty()) continue;
    strongest = std::max(strongest, std::abs(word.weight));
    (word.weight > 0 ? summary.likes : summary.dislikes).push_back(std::move(preference));
  }

  KeepStrongest(summary.likes, options.max_likes, options.min_share * strongest);
  KeepStrongest(summary.dislikes, options.max_dislikes, options.min_share * strongest);
  summary.ranges = Ranges(items, options);
  return summary;
}

}  // namespace palate::ranking
