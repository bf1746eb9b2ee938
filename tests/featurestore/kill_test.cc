// Fifty times: a process writes to the store and is killed at a random moment, and the store is
// checked against the writes that were acknowledged.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "featurestore/feature_store.h"
#include "tests/featurestore/kill_protocol.h"
#include "tests/featurestore/store_fixture.h"
#include "tests/temp_folder.h"

extern char** environ;

namespace palate::featurestore {
namespace {

constexpr int kRounds = 50;
constexpr int64_t kDeleted = -1;

// A group of items: what was acknowledged last, and what was begun after it and may or may not
// have happened.
struct GroupPromise {
  int64_t acknowledged = kDeleted;
  std::optional<int64_t> begun;
};

class KillNineTest : public ::testing::Test {
 protected:
  // Runs the writer for a random time after it is ready. Returns its output.
  std::string RunAndKill(int round) {
    int pipe_ends[2];
    EXPECT_EQ(pipe(pipe_ends), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, pipe_ends[0]);
    posix_spawn_file_actions_addclose(&actions, pipe_ends[1]);
    const std::string number = std::to_string(round);
    const std::string durability = round % 2 == 0 ? "sync" : "relaxed";
    std::vector<std::string> arguments = {PALATE_KILL_WRITER, dir_.path(), durability, number};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t child = 0;
    EXPECT_EQ(posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);

    // Most kills fall into the writing, some into the opening.
    const absl::Duration run = absl::Microseconds(static_cast<int64_t>(random_() % 150'000));
    const bool while_opening = round < 3 || round % 10 == 9;

    std::string output;
    absl::Time end = while_opening ? absl::Now() + run / 4 : absl::InfiniteFuture();
    bool killed = false;
    while (true) {
      char buffer[1 << 16];
      if (!killed && absl::Now() >= end) {
        kill(child, SIGKILL);
        killed = true;
      }

      fd_set readable;
      FD_ZERO(&readable);
      FD_SET(pipe_ends[0], &readable);
      timeval patience = {0, 1000};
      if (select(pipe_ends[0] + 1, &readable, nullptr, nullptr, &patience) <= 0) continue;
      const ssize_t size = read(pipe_ends[0], buffer, sizeof(buffer));
      if (size <= 0) break;
      if (output.empty() && !while_opening) end = absl::Now() + run;
      output.append(buffer, static_cast<size_t>(size));
    }

    close(pipe_ends[0]);
    int state = 0;
    waitpid(child, &state, 0);
    EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL)
        << "the writer ended by itself with " << state;
    return output;
  }

  // Updates the promises from the writer's output.
  void Note(const std::string& output) {
    for (const absl::string_view line : absl::StrSplit(output, '\n', absl::SkipEmpty())) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      if (words.size() != 4) continue;
      int64_t number = 0;
      ASSERT_TRUE(absl::SimpleAtoi(words[3], &number)) << line;
      const bool acknowledged = words[0] == "A";

      acknowledged_ += acknowledged ? 1 : 0;
      if (words[1] == "evt") {
        (acknowledged ? acknowledged_batches_ : begun_batches_)[words[2]] =
            static_cast<int>(number) + 1;
      } else if (words[1] == "prg") {
        if (acknowledged) purged_.insert(words[2]);
      } else {
        GroupPromise& group = groups_[words[2]];
        const int64_t version = words[1] == "del" ? kDeleted : number;
        if (acknowledged) {
          group = {version, std::nullopt};
        } else {
          group.begun = version;
        }
      }
    }
  }

  void Check() {
    StoreOptions options;
    options.dir = dir_.path();
    auto opened = FeatureStore::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    FeatureStore& store = **opened;
    if (!store.GetCatalog(kKillCatalog).ok()) {
      ASSERT_TRUE(groups_.empty());
      return;
    }

    for (auto& [name, group] : groups_) CheckGroup(store, name, group);
    for (const auto& [user, begun] : begun_batches_)
      CheckUser(store, user, acknowledged_batches_[user], begun);
    begun_batches_.clear();
    for (const std::string& user : purged_) {
      EXPECT_TRUE(store.GetUserContext({.catalog = kKillCatalog, .user_id = user})->events.empty())
          << user << " was purged";
    }
    purged_.clear();

    CheckCounts(store);
  }

  void CheckGroup(FeatureStore& store, const std::string& name, GroupPromise& group) {
    std::vector<std::string> ids;
    for (int i = 0; i < kGroupSize; ++i) ids.push_back(KillItemId(name, i));
    const auto read = store.GetItems(kKillCatalog, ids, {.image_bytes = true});
    ASSERT_TRUE(read.ok()) << read.status();

    int64_t version = kDeleted;
    for (int i = 0; i < kGroupSize; ++i) {
      const std::optional<StoredItem>& item = read->items[i];
      int64_t found = kDeleted;
      if (item.has_value()) {
        ASSERT_TRUE(absl::SimpleAtoi(item->item.title.substr(8), &found)) << item->item.title;
        const ItemWrite whole = KillItem(name, i, found);
        EXPECT_EQ(item->item.description, whole.item.description) << "torn";
        EXPECT_EQ(item->image_bytes, std::vector<std::string>{whole.images[0].bytes}) << "torn";
      }
      if (i == 0) version = found;
      EXPECT_EQ(found, version) << "half of a batch in group " << name;
    }

    EXPECT_TRUE(version == group.acknowledged ||
                (group.begun.has_value() && version == *group.begun))
        << "group " << name << " is at " << version << ", acknowledged was " << group.acknowledged;
    group = {version, std::nullopt};
  }

  void CheckUser(FeatureStore& store, const std::string& user, int acknowledged, int begun) {
    const auto context =
        store.GetUserContext({.catalog = kKillCatalog, .user_id = user, .max_events = 5000});
    ASSERT_TRUE(context.ok()) << context.status();
    const int events = static_cast<int>(context->events.size());
    ASSERT_LT(events, 5000);
    EXPECT_TRUE(events == acknowledged * kEventsPerBatch || events == begun * kEventsPerBatch)
        << user << " has " << events << " events, acknowledged were " << acknowledged << " batches";
  }

  // Counters, backlog and feed agree with the rows.
  void CheckCounts(FeatureStore& store) {
    const auto stats = store.GetStats();
    ASSERT_TRUE(stats.ok());
    const auto page = store.ListItems(kKillCatalog, 1000, "");
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(stats->catalogs[0].items, static_cast<int64_t>(page->items.size()));
    EXPECT_EQ(stats->catalogs[0].embedding_backlog, static_cast<int64_t>(page->items.size()));

    const auto pending = store.ListPending(kKillCatalog, 1000);
    ASSERT_TRUE(pending.ok());
    EXPECT_EQ(pending->size(), page->items.size());

    std::set<int64_t> in_feed;
    std::string token;
    while (true) {
      const auto changes = store.ReadChanges(kKillCatalog, token, 10000, absl::InfinitePast());
      ASSERT_TRUE(changes.ok()) << changes.status();
      if (changes->changes.empty()) break;
      for (const Change& change : changes->changes) in_feed.insert(change.revision);
      token = changes->next_token;
    }

    for (const StoredItem& item : page->items)
      EXPECT_TRUE(in_feed.contains(item.item.revision)) << item.item.id;
  }

  TempFolder dir_;
  std::mt19937 random_{20260101};
  std::map<std::string, GroupPromise> groups_;
  std::map<std::string, int> acknowledged_batches_;
  std::map<std::string, int> begun_batches_;
  std::set<std::string> purged_;
  int64_t acknowledged_ = 0;
};

TEST_F(KillNineTest, KeepsEveryAcknowledgedWriteAndServesNoTornOne) {
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    Note(RunAndKill(round));
    if (!HasFailure()) Check();
  }
  EXPECT_GT(acknowledged_, kRounds);
  RecordProperty("acknowledged_writes", std::to_string(acknowledged_));
  std::printf("%lld acknowledged writes over %d kills, all found\n",
              static_cast<long long>(acknowledged_), kRounds);
}

}  // namespace
}  // namespace palate::featurestore
