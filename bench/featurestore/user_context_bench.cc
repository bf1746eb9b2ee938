// Time of GetUserContext for a user with 100 events and for one with 100,000 (or as many as the
// argument says), with the same number of events in the answer. Prints the medians of reads that
// are timed one by one and in turn, in microseconds of wall time, and their ratio: the seen set is
// one row, so it should be near 1.
//
//   user_context_bench [events]
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status.h"
#include "featurestore/feature_store.h"

namespace palate::featurestore {
namespace {

constexpr int kItems = 1000;       // in the catalog
constexpr int kItemIds = 200'000;  // that events are about
constexpr int kFewEvents = 100;    // of the small user; the answer holds as many
constexpr int kDimensions = 384;
constexpr int kReads = 2000;
constexpr int kBatch = 1000;

std::string ItemId(int i) { return absl::StrCat("item-", i); }

absl::Status FillCatalog(FeatureStore& store, std::mt19937& random) {
  Catalog catalog;
  catalog.id = "bench";
  catalog.event_types = {{"view", 1.0, true, false}};
  PALATE_RETURN_IF_ERROR(store.CreateCatalog(catalog).status());

  std::vector<ItemWrite> items(kItems);
  for (int i = 0; i < kItems; ++i) {
    items[i].item.id = ItemId(i);
    items[i].item.title = absl::StrCat("Item number ", i);
  }
  PALATE_ASSIGN_OR_RETURN(const UpsertItemsResult written, store.UpsertItems("bench", items));

  std::normal_distribution<float> normal;
  for (int i = 0; i < kItems; ++i) {
    std::vector<float> values(kDimensions);
    for (float& value : values) value = normal(random);
    PALATE_RETURN_IF_ERROR(store.PutVectors("bench", ItemId(i), written.revisions[i],
                                            {{{"text", "random"}, std::move(values)}}, true));
  }
  return absl::OkStatus();
}

// The user's newest events are about items of the catalog, the older ones about any id.
absl::Status WriteHistory(FeatureStore& store, const std::string& user, int events, absl::Time now,
                          std::mt19937& random) {
  std::vector<Event> batch;
  for (int i = 0; i < events; ++i) {
    Event event;
    event.user_id = user;
    event.event_id = absl::StrCat(i);
    event.type = "view";
    event.item_id = ItemId(static_cast<int>(random() % (i < kFewEvents ? kItems : kItemIds)));
    event.time = now - absl::Seconds(i);
    batch.push_back(std::move(event));
    if (batch.size() < kBatch && i + 1 < events) continue;
    PALATE_RETURN_IF_ERROR(store.WriteEvents("bench", batch).status());
    batch.clear();
  }
  return absl::OkStatus();
}

absl::StatusOr<double> ReadMicroseconds(const FeatureStore& store, const std::string& user) {
  const absl::Time start = absl::Now();
  PALATE_ASSIGN_OR_RETURN(
      const UserContext context,
      store.GetUserContext(
          {.catalog = "bench", .user_id = user, .max_events = kFewEvents, .spaces = {"text"}}));
  if (context.events.size() != kFewEvents || context.seen.empty())
    return absl::InternalError("the context is not complete");
  return absl::ToDoubleMicroseconds(absl::Now() - start);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

absl::Status Compare(const FeatureStore& store, int events) {
  std::vector<double> few;
  std::vector<double> many;
  for (int i = 0; i < kReads; ++i) {
    PALATE_ASSIGN_OR_RETURN(few.emplace_back(), ReadMicroseconds(store, "few"));
    PALATE_ASSIGN_OR_RETURN(many.emplace_back(), ReadMicroseconds(store, "many"));
  }
  std::printf("GetUserContext: %d events %.0f us, %d events %.0f us, ratio %.2f\n", kFewEvents,
              Median(few), events, Median(many), Median(many) / Median(few));
  return absl::OkStatus();
}

absl::Status Run(const std::string& dir, int events) {
  StoreOptions options;
  options.dir = dir;
  options.durability = Durability::kRelaxed;
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<FeatureStore> store, FeatureStore::Open(options));
  std::mt19937 random(1);
  const absl::Time now = absl::Now();
  PALATE_RETURN_IF_ERROR(FillCatalog(*store, random));
  PALATE_RETURN_IF_ERROR(WriteHistory(*store, "few", kFewEvents, now, random));
  const absl::Time start = absl::Now();
  PALATE_RETURN_IF_ERROR(WriteHistory(*store, "many", events, now, random));
  std::printf("%d events of one user: written in %.1f s\n", events,
              absl::ToDoubleSeconds(absl::Now() - start));

  std::printf("rows in memory: ");
  PALATE_RETURN_IF_ERROR(Compare(*store, events));
  PALATE_RETURN_IF_ERROR(store->PurgeUser("bench", "nobody").status());  // writes tables
  std::printf("rows in tables: ");
  PALATE_RETURN_IF_ERROR(Compare(*store, events));
  return store->Close();
}

}  // namespace
}  // namespace palate::featurestore

int main(int argc, char** argv) {
  int events = 100'000;
  if (argc > 2 || (argc == 2 && (!absl::SimpleAtoi(argv[1], &events) || events < 1000))) {
    std::fprintf(stderr, "usage: %s [events, at least 1000]\n", argv[0]);
    return 2;
  }

  const std::string dir = std::filesystem::temp_directory_path() /
                          absl::StrCat("user_context_bench-", absl::ToUnixNanos(absl::Now()));
  const absl::Status status = palate::featurestore::Run(dir, events);
  std::filesystem::remove_all(dir);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
