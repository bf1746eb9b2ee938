// Time of one exact search on one thread: 100,000 random unit vectors of 384 dimensions by default,
// k = 100, without a filter and with filters that allow fewer and fewer items. Then compares one
// request with 8 vectors, a filter and 2,000 exclusions with 8 requests of one vector each. Prints
// the medians of searches that are timed one by one, in milliseconds of wall time and of processor
// time. On a busy machine only the processor time is meaningful.
//
//   retrieval_bench [items] [dimensions]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "retrieval/faiss_segment.h"
#include "retrieval/index.h"

namespace palate::retrieval {
namespace {

constexpr int kQueries = 50;
constexpr int kVectorsPerRequest = 8;
constexpr int kExcluded = 2000;
const SpaceKey kSpace{.name = "text", .fingerprint = "random"};

std::vector<float> RandomUnitVector(std::mt19937& random, int dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimensions);
  double norm = 0;
  for (float& value : vector) {
    value = normal(random);
    norm += static_cast<double>(value) * value;
  }

  for (float& value : vector) value = static_cast<float>(value / std::sqrt(norm));
  return vector;
}

absl::Status Fill(CatalogIndex& index, int items, int dimensions, std::mt19937& random) {
  constexpr int kBatch = 1000;
  for (int begin = 0; begin < items; begin += kBatch) {
    std::vector<ItemUpdate> batch;
    for (int i = begin; i < std::min(items, begin + kBatch); ++i) {
      ItemUpdate item;
      item.item_id = absl::StrCat("item-", i);
      item.revision = 1;
      item.attributes["rank"] = int64_t{i};
      item.vectors.push_back({.space = kSpace, .values = RandomUnitVector(random, dimensions)});
      batch.push_back(std::move(item));
    }

    const absl::Status applied = index.Apply(batch, {}).status();
    if (!applied.ok()) return applied;
  }

  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) more = index.Maintain();
  return more.status();
}

struct Milliseconds {
  double wall = 0;
  double processor = 0;
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double ProcessorMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return absl::ToDoubleMilliseconds(absl::DurationFromTimespec(now));
}

VectorQuery RandomQuery(std::mt19937& random, int dimensions) {
  return {.vector = {.space = kSpace, .values = RandomUnitVector(random, dimensions)}, .k = 100};
}

// Runs the requests in sequence.
absl::StatusOr<Milliseconds> TimeSearches(const CatalogIndex& index,
                                          const std::vector<SearchRequest>& requests) {
  const absl::Time start = absl::Now();
  const double start_processor = ProcessorMilliseconds();
  for (const SearchRequest& request : requests) {
    const absl::StatusOr<SearchResponse> response = index.Search(request);
    if (!response.ok()) return response.status();
    for (const SearchResult& result : response->results) {
      if (!result.ok()) return result.status();
    }
  }
  return Milliseconds{.wall = absl::ToDoubleMilliseconds(absl::Now() - start),
                      .processor = ProcessorMilliseconds() - start_processor};
}

absl::StatusOr<Milliseconds> MedianMilliseconds(const CatalogIndex& index,
                                                const std::string& filter, int dimensions,
                                                std::mt19937& random) {
  absl::StatusOr<Filter> parsed = index.ParseFilter(filter);

  if (!parsed.ok()) return parsed.status();
  SearchRequest request;

  request.filter = std::make_shared<const Filter>(*std::move(parsed));
  std::vector<double> wall, processor;
  for (int i = 0; i < kQueries; ++i) {
    request.queries = {RandomQuery(random, dimensions)};
    const absl::StatusOr<Milliseconds> took = TimeSearches(index, {request});
    if (!took.ok()) return took.status();
    wall.push_back(took->wall);
    processor.push_back(took->processor);
  }

  return Milliseconds{.wall = Median(std::move(wall)), .processor = Median(std::move(processor))};
}

// Alternates between one request of several vectors and a request for each of them, so that changes
// of the machine load affect both.
absl::Status CompareRequests(const CatalogIndex& index, int items, int dimensions, double share,
                             std::mt19937& random) {
  absl::StatusOr<Filter> parsed =
      index.ParseFilter(absl::StrCat("rank < ", static_cast<int64_t>(items * share)));
  if (!parsed.ok()) return parsed.status();
  SearchRequest common;
  common.filter = std::make_shared<const Filter>(*std::move(parsed));
  for (int i = 0; i < kExcluded; ++i)
    common.exclude_item_ids.push_back(absl::StrCat("item-", random() % items));

  std::vector<double> together_wall, together_processor, apart_wall, apart_processor;
  for (int i = 0; i < kQueries; ++i) {
    SearchRequest together = common;
    std::vector<SearchRequest> apart(kVectorsPerRequest, common);
    for (SearchRequest& single : apart) {
      single.queries = {RandomQuery(random, dimensions)};
      together.queries.push_back(single.queries.front());
    }
    const absl::StatusOr<Milliseconds> one = TimeSearches(index, {together});
    if (!one.ok()) return one.status();
    const absl::StatusOr<Milliseconds> many = TimeSearches(index, apart);
    if (!many.ok()) return many.status();
    together_wall.push_back(one->wall);
    together_processor.push_back(one->processor);
    apart_wall.push_back(many->wall);
    apart_processor.push_back(many->processor);
  }

  const Milliseconds together{.wall = Median(std::move(together_wall)),
                              .processor = Median(std::move(together_processor))};
  const Milliseconds apart{.wall = Median(std::move(apart_wall)),
                           .processor = Median(std::move(apart_processor))};
  std::printf("%d vectors, %.2f%% of the items allowed, %d exclusions:\n", kVectorsPerRequest,
              share * 100, kExcluded);
  std::printf("  one request  %7.3f ms, %7.3f ms of processor time\n", together.wall,
              together.processor);
  std::printf(
      "  %d requests   %7.3f ms, %7.3f ms of processor time; ratio %.2f, %.2f of processor time\n",
      kVectorsPerRequest, apart.wall, apart.processor, apart.wall / together.wall,
      apart.processor / together.processor);
  return absl::OkStatus();
}

absl::Status Run(int items, int dimensions) {
  CatalogConfig config;
  config.id = "bench";
  config.attributes = {{"rank", AttributeType::kInt64, true}};
  config.spaces = {kSpace.name};
  const SystemClock clock;

  CatalogIndex index(config, {}, FaissSegments(), clock);
  std::mt19937 random(1);
  std::printf("%s\n", FaissSegments().Describe().c_str());

  const absl::Time start = absl::Now();
  const absl::Status filled = Fill(index, items, dimensions, random);
  if (!filled.ok()) return filled;

  const CatalogStats stats = index.GetStats();
  std::printf("%d x %d: filled and merged in %.1f s, %.0f MiB, %ld segments, %ld merges\n", items,
              dimensions, absl::ToDoubleSeconds(absl::Now() - start),
              static_cast<double>(stats.memory_bytes) / (1 << 20),
              static_cast<long>(stats.segments), static_cast<long>(stats.merges));

  for (const double share : {1.0, 0.5, 0.1, 0.01, 0.0001}) {
    const std::string filter =
        share == 1.0 ? "" : absl::StrCat("rank < ", static_cast<int64_t>(items * share));
    const absl::StatusOr<Milliseconds> median =
        MedianMilliseconds(index, filter, dimensions, random);
    if (!median.ok()) return median.status();
    std::printf("%8.2f%% of the items allowed: %7.3f ms per query, %7.3f ms of processor time\n",
                share * 100, median->wall, median->processor);
  }

  for (const double share : {0.5, 0.01}) {
    const absl::Status compared = CompareRequests(index, items, dimensions, share, random);
    if (!compared.ok()) return compared;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace palate::retrieval

int main(int argc, char** argv) {
  int items = 100'000, dimensions = 384;
  const bool understood = (argc < 2 || absl::SimpleAtoi(argv[1], &items)) &&
                          (argc < 3 || absl::SimpleAtoi(argv[2], &dimensions));

  if (!understood || items < 1 || dimensions < 1 || argc > 3) {
    std::fprintf(stderr, "usage: %s [items] [dimensions]\n", argv[0]);
    return 2;
  }
  const absl::Status status = palate::retrieval::Run(items, dimensions);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
