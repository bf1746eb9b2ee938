// Writes to a feature store until it is killed, and prints what it begins and what
// was acknowledged, one line each:
//   B put GROUP VERSION | A put GROUP VERSION      five items at once, all of that version
//   B del GROUP VERSION | A del GROUP VERSION      the five items deleted
//   B evt USER N        | A evt USER N             the N-th batch of three events of the user
//   B prg USER 0        | A prg USER 0             the user purged
// Started by kill_test.cc: kill_writer DIR sync|relaxed ROUND. With "open" instead of a durability
// it opens the store and ends, for migration_kill_test.cc.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "featurestore/feature_store.h"
#include "tests/featurestore/kill_protocol.h"

namespace palate::featurestore {
namespace {

// One write() of less than PIPE_BUF bytes arrives whole.
void Say(const std::string& line) {
  const std::string out = line + "\n";
  if (write(STDOUT_FILENO, out.data(), out.size()) != static_cast<ssize_t>(out.size()))
    std::_Exit(3);
}

void MustBeOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::_Exit(4);
}

void Announced(const std::string& what, const std::function<absl::Status()>& action) {
  Say("B " + what);
  MustBeOk(action());
  Say("A " + what);
}

class Writer {
 public:
  Writer(FeatureStore* store, int round, int thread)
      : store_(*store), round_(round), thread_(thread), random_(round * 31 + thread) {}

  void Run() {
    const std::string user = KillUser(round_, thread_);
    for (int64_t version = int64_t{round_} * 1'000'000;; ++version) {
      const std::string group = absl::StrCat(thread_, "-", random_() % 4);
      if (random_() % 6 == 0) {
        Announced(absl::StrCat("del ", group, " ", version), [&] { return Delete(group); });
      } else {
        Announced(absl::StrCat("put ", group, " ", version), [&] { return Put(group, version); });
      }
      Announced(absl::StrCat("evt ", user, " ", batches_),
                [&] { return WriteEvents(user, batches_); });
      ++batches_;
      if (thread_ == 0 && random_() % 16 == 0) Purge(absl::StrCat("purged-", version));
    }
  }

 private:
  absl::Status Put(const std::string& group, int64_t version) {
    std::vector<ItemWrite> writes;
    for (int i = 0; i < kGroupSize; ++i) writes.push_back(KillItem(group, i, version));
    const auto result = store_.UpsertItems(kKillCatalog, writes);
    return result.ok() && !result->failures.empty() ? result->failures[0].status : result.status();
  }
  absl::Status Delete(const std::string& group) {
    std::vector<std::string> ids;
    for (int i = 0; i < kGroupSize; ++i) ids.push_back(KillItemId(group, i));
    return store_.DeleteItems(kKillCatalog, ids).status();
  }
  absl::Status WriteEvents(const std::string& user, int batch) {
    std::vector<Event> events;
    for (int i = 0; i < kEventsPerBatch; ++i) {
      Event event;
      event.user_id = user;
      event.item_id = KillItemId(absl::StrCat(thread_, "-0"), i);
      event.event_id = absl::StrCat("event-", batch, "-", i);
      event.type = "view";
      event.time = absl::Now();
      events.push_back(event);
    }
    return store_.WriteEvents(kKillCatalog, events).status();
  }
  void Purge(const std::string& user) {
    MustBeOk(WriteEvents(user, 0));
    Announced(absl::StrCat("prg ", user, " 0"),
              [&] { return store_.PurgeUser(kKillCatalog, user).status(); });
  }

  FeatureStore& store_;
  const int round_;
  const int thread_;
  std::mt19937 random_;
  int batches_ = 0;
};

int Main(char** arguments) {
  StoreOptions options;
  options.dir = arguments[1];
  options.durability =
      std::string(arguments[2]) == "sync" ? Durability::kSync : Durability::kRelaxed;
  // Small, so that kills also fall into flushes and compactions.
  options.write_buffer_bytes = 64 << 10;

  const int round = std::atoi(arguments[3]);

  auto store = FeatureStore::Open(options);
  MustBeOk(store.status());
  if (std::string(arguments[2]) == "open") return 0;
  if (absl::IsNotFound((*store)->GetCatalog(kKillCatalog).status())) {
    Catalog catalog;
    catalog.id = kKillCatalog;
    catalog.event_types = {{"view", 1.0, true, false}};
    MustBeOk((*store)->CreateCatalog(catalog).status());
  }

  Say("ready");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kKillThreads; ++thread) {
    threads.emplace_back([&, thread] { Writer(store->get(), round, thread).Run(); });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace palate::featurestore

int main(int count, char** arguments) {
  if (count != 4) return 2;
  return palate::featurestore::Main(arguments);
}
