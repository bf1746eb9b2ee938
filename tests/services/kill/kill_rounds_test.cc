// Rounds of `kill -9` on a running Palate: while an import, two clients and changes of the
// embedding model are at work, processes are killed at random moments and started again. Then
// everything that was acknowledged must be there, once.
//
//   PALATE_KILL_ROUNDS=200 PALATE_KILL_SEED=7 services_kill_test
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/eventually.h"
#include "tests/services/kill/event_writer.h"
#include "tests/services/kill/import_driver.h"
#include "tests/services/kill/item_writer.h"
#include "tests/services/kill/servers.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

constexpr const char* kModels[] = {"first", "second"};
// Items with nothing but a title, so that a query of the same words has the same vector.
constexpr const char* kTitles[] = {"a walnut table for six", "the blue lamp", "green mountain tent",
                                   "seven iron nails", "old winter coat"};
constexpr size_t kOtherUsers = 20;
constexpr int kRoundsBetweenFullChecks = 20;
// The other rounds interrupt the change.
constexpr int kRoundsBetweenSwitches = 4;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  int64_t number = otherwise;
  EXPECT_TRUE(text == nullptr || absl::SimpleAtoi(text, &number)) << name << " is " << text;
  return number;
}

// The folder of a small text model, or "" where the shared data is absent.
std::string GoldenModel(const std::string& name) {
  const char* shared = std::getenv("PALATE_SHARED_DIR");
  if (shared == nullptr) return "";
  const std::string folder = std::string(shared) + "/goldens/" + name + "/checkpoint";
  return std::filesystem::exists(folder) ? folder : "";
}

// Points the catalog's space at the other model, once in a round.
class ModelChanger {
 public:
  void Run(Calls& calls, absl::Duration after, const std::atomic<bool>& stop) {
    const absl::Time start = absl::Now() + after;
    while (absl::Now() < start && !stop) absl::SleepFor(absl::Milliseconds(2));
    if (stop) return;
    begun_ = 1 - model_;
    const absl::Status status = Update(calls, *begun_);
    EXPECT_TRUE(status.ok() || IsInterrupted(status)) << status;
    if (!status.ok()) return;
    model_ = *begun_;
    begun_.reset();
    ++acknowledged_;
  }
  void Check(Calls& calls) {
    declare_pb::GetCatalogRequest request;
    request.set_catalog(kKilledCatalog);
    declare_pb::GetCatalogResponse response;
    const absl::Status status = calls(&Calls::Catalogs::GetCatalog, request, response);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(response.catalog().spaces_size(), 1);
    const std::string& found = response.catalog().spaces(0).model();
    if (begun_.has_value() && found == kModels[*begun_]) model_ = *begun_;
    EXPECT_EQ(found, kModels[model_]) << "LOST: a change of the model";
    begun_.reset();
  }
  std::string model() const { return kModels[model_]; }
  int64_t acknowledged() const { return acknowledged_; }

 private:
  static absl::Status Update(Calls& calls, int model) {
    declare_pb::UpdateCatalogRequest request;
    request.mutable_catalog()->set_id(kKilledCatalog);
    types::v1::SpaceDeclaration* space = request.mutable_catalog()->add_spaces();
    space->set_name("text");
    space->set_model(kModels[model]);
    request.mutable_update_mask()->add_paths("spaces");
    declare_pb::UpdateCatalogResponse response;
    return calls(&Calls::Catalogs::UpdateCatalog, request, response);
  }

  int model_ = 0;
  std::optional<int> begun_;
  int64_t acknowledged_ = 0;
};

class KillRoundsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (GoldenModel("bert-mean").empty() || GoldenModel("bert-cls").empty())
      GTEST_SKIP() << "no shared models (PALATE_SHARED_DIR)";
    rounds_ = static_cast<int>(FromEnvironment("PALATE_KILL_ROUNDS", 6));
    seed_ = static_cast<uint32_t>(FromEnvironment("PALATE_KILL_SEED", 20261129));
    std::cout << rounds_ << " rounds, PALATE_KILL_SEED=" << seed_ << std::endl;
    random_.seed(seed_);
    servers_ = std::make_unique<Servers>(
        folder_.path(), std::map<std::string, std::string>{{kModels[0], GoldenModel("bert-mean")},
                                                           {kModels[1], GoldenModel("bert-cls")}});
    imports_ = std::make_unique<ImportDriver>(seed_ + 1, folder_.path());
    items_ = std::make_unique<ItemWriter>(seed_ + 2);
    events_ = std::make_unique<EventWriter>(seed_ + 3);
    for (size_t i = 0; i < 700; ++i) events_->item_ids.push_back(ImportDriver::IdOf(i));
    for (int i = 0; i < 30; ++i) events_->item_ids.push_back(absl::StrCat("live-", i));
    servers_->Launch(Servers::Layout::kFourProcesses);
    ASSERT_TRUE(servers_->AwaitReady());
    calls_ = std::make_unique<Calls>(*servers_);
    ASSERT_TRUE(Eventually([&] { return CreateCatalog().ok(); }));
    ASSERT_TRUE(Eventually([&] { return WriteTitles().ok(); }));
  }

  absl::Status CreateCatalog() {
    declare_pb::CreateCatalogRequest request;
    types::v1::Catalog* catalog = request.mutable_catalog();
    catalog->set_id(kKilledCatalog);
    types::v1::AttributeDeclaration* version = catalog->add_attributes();
    version->set_name("version");
    version->set_type(types::v1::ATTRIBUTE_TYPE_INT64);
    // What `palate import` expects, and a few of it.
    for (const char* type : {"view", "click", "like", "cart", "purchase", "rating", "dislike"}) {
      types::v1::EventTypeDeclaration* event = catalog->add_event_types();
      event->set_name(type);
      event->set_marks_seen(std::string(type) != "view");
    }
    types::v1::SpaceDeclaration* space = catalog->add_spaces();
    space->set_name("text");
    space->set_model(kModels[0]);
    catalog->set_rerank_weight(0);
    declare_pb::CreateCatalogResponse response;
    return (*calls_)(&Calls::Catalogs::CreateCatalog, request, response);
  }

  absl::Status WriteTitles() {
    gateway_pb::UpsertItemsRequest request;
    request.set_catalog(kKilledCatalog);
    for (const char* title : kTitles) {
      types::v1::Item* item = request.add_writes()->mutable_item();
      item->set_id(absl::StrCat("titled-", request.writes_size()));
      item->set_title(title);
    }
    gateway_pb::UpsertItemsResponse response;
    return (*calls_)(&Calls::Gateway::UpsertItems, request, response);
  }

  // Whether the servers of `victims` are those that an import calls.
  static bool StopsImports(const std::vector<std::string>& victims) {
    for (const std::string& victim : victims) {
      if (victim == "palate" || victim == "gateway" || victim == "featurestore") return true;
    }
    return false;
  }

  // What to kill; empty: the import.
  std::vector<std::string> ChooseVictims() {
    const uint32_t die = random_() % 100;
    // An import that goes through a gateway alone has no checkpoint to resume from.
    if (servers_->layout() == Servers::Layout::kOneProcess)
      return die < 35 ? std::vector<std::string>() : std::vector<std::string>{"palate"};
    if (die < 8) return {};
    if (die < 38) return {"featurestore"};
    if (die < 48) return {"embedding"};
    if (die < 60) return {"retrieval"};
    if (die < 70) return {"gateway"};
    return servers_->Parts();
  }

  // Lets everybody work for a random time, and kills.
  std::vector<std::string> WorkAndKill() {
    const std::vector<std::string> victims = ChooseVictims();
    const auto run = absl::Milliseconds(100 + random_() % 2000);
    const auto change = absl::Milliseconds(random_() % 1200);
    std::atomic<bool> stop = false;
    imports_->AllowFailure(false);
    std::thread item_thread([&] { items_->Run(*calls_, stop); });
    std::thread event_thread([&] { events_->Run(*calls_, stop); });
    std::thread model_thread([&] { model_.Run(*calls_, change, stop); });
    std::thread import_thread([&] { imports_->Run(servers_->address(), stop); });

    // The moment of the kill is the round's only use of time.
    absl::SleepFor(run);
    if (victims.empty()) imports_->Kill();
    imports_->AllowFailure(StopsImports(victims));
    if (victims.size() > 1) {
      servers_->KillAll();
    } else if (!victims.empty()) {
      servers_->Kill(victims[0]);
    }

    // The others see the outage, or the import's end, before they stop.
    absl::SleepFor(absl::Milliseconds(random_() % 100));
    stop = true;
    for (std::thread* thread : {&item_thread, &event_thread, &model_thread, &import_thread})
      thread->join();
    return victims.empty() ? std::vector<std::string>{"import"} : victims;
  }

  // Starts what was killed. Sometimes it is killed once more before it is ready.
  void Restart(const std::vector<std::string>& victims) {
    auto layout = servers_->layout();
    if (victims.size() > 1 || victims[0] == "palate") {
      layout = random_() % 2 == 0 ? Servers::Layout::kFourProcesses : Servers::Layout::kOneProcess;
    }
    servers_->Launch(layout);
    if (victims[0] != "import" && random_() % 5 == 0) {
      absl::SleepFor(absl::Milliseconds(random_() % 400));
      const std::vector<std::string> again = servers_->layout() != Servers::Layout::kOneProcess &&
                                                     victims.size() == 1 && victims[0] != "palate"
                                                 ? victims
                                                 : servers_->Parts();
      for (const std::string& part : again) servers_->Kill(part);
      ++kills_["while starting"];
      servers_->Launch(layout);
    }
    if (!servers_->AwaitReady()) return;
    calls_ = std::make_unique<Calls>(*servers_);
    ASSERT_TRUE(Eventually([&] { return Stats().has_value(); })) << servers_->Log("featurestore");
    // The gateway answers too.
    ASSERT_TRUE(Eventually([&] {
      declare_pb::GetCatalogRequest request;
      request.set_catalog(kKilledCatalog);
      declare_pb::GetCatalogResponse response;
      return (*calls_)(&Calls::Catalogs::GetCatalog, request, response).ok();
    }));
  }

  std::optional<store_pb::CatalogStats> Stats() {
    store_pb::GetStatsResponse response;
    const absl::Status status =
        (*calls_)(&Calls::Store::GetStats, store_pb::GetStatsRequest(), response);
    if (!status.ok() || response.catalogs_size() != 1) return std::nullopt;
    return response.catalogs(0);
  }

  StoredItems ListItems() {
    StoredItems items;
    store_pb::ListItemsRequest request;
    request.set_catalog(kKilledCatalog);
    request.set_page_size(1000);
    do {
      store_pb::ListItemsResponse response;
      const absl::Status status = (*calls_)(&Calls::Store::ListItems, request, response);
      EXPECT_TRUE(status.ok()) << status;
      if (!status.ok()) break;
      for (const types::v1::ItemRecord& record : response.items()) {
        EXPECT_TRUE(items.emplace(record.item().id(), record).second)
            << "DOUBLED: " << record.item().id();
      }
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return items;
  }

  // Everything that was acknowledged is there, once, and the counts are those of the rows.
  void Check(size_t other_users) {
    const StoredItems stored = ListItems();
    items_->Check(stored);
    imports_->Check(stored);
    CheckNumbers(stored);
    model_.Check(*calls_);
    events_->Check(*calls_, other_users, [&](const std::string& id) {
      const auto found = stored.find(id);
      return found == stored.end() ? 0 : found->second.number();
    });

    const auto stats = Stats();
    ASSERT_TRUE(stats.has_value());
    const int64_t expected =
        items_->existing() + imports_->existing() + static_cast<int64_t>(std::size(kTitles));
    EXPECT_EQ(stored.size(), static_cast<size_t>(expected));
    EXPECT_EQ(stats->items(), expected);
    EXPECT_EQ(stats->users(), events_->users());
    EXPECT_EQ(stats->events(), events_->events());
    EXPECT_LE(stats->embedding_backlog(), expected);
    EXPECT_EQ(stats->embedding_failed(), 0);
    ASSERT_EQ(stats->spaces_size(), 1);
    if (stats->spaces(0).active_fingerprint() != active_) ++switches_;
    active_ = stats->spaces(0).active_fingerprint();
  }

  // A number stands for one id for ever.
  void CheckNumbers(const StoredItems& stored) {
    for (const auto& [id, record] : stored) {
      EXPECT_NE(record.number(), 0u) << id;
      EXPECT_EQ(numbers_.emplace(id, record.number()).first->second, record.number()) << id;
      EXPECT_EQ(ids_.emplace(record.number(), id).first->second, id) << record.number();
    }
  }

  // Sends again what nobody knows about; then imports to the end, and waits for the model and the
  // index.
  void Settle() {
    items_->Settle(*calls_);
    events_->Settle(*calls_);
    imports_->Finish(servers_->address());
    Check(/*other_users=*/1'000'000);
    // After exit code 0 every row of the file counts as acknowledged: Check() has compared them.
    EXPECT_EQ(imports_->existing(), imports_->rows());
    const size_t items = ListItems().size();

    AwaitModel(items);
    for (size_t i = 0; i < std::size(kTitles); ++i) {
      EXPECT_TRUE(Eventually([&] { return FindsTitle(i); })) << kTitles[i];
    }
    EXPECT_TRUE(Eventually([&] { return events_->CheckRecommend(*calls_); }));
    CheckSimilar();
  }

  // A catalog of one space is served as one of all.
  void CheckSimilar() {
    gateway_pb::SimilarItemsRequest request;
    request.set_catalog(kKilledCatalog);
    request.set_item_id("titled-1");
    request.set_num_results(3);
    gateway_pb::SimilarItemsResponse response;
    const absl::Status status = (*calls_)(&Calls::Gateway::SimilarItems, request, response);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.results_size(), 3);
  }

  // The change of the model ends, and the index has every item's vector of it.
  void AwaitModel(size_t items) {
    const std::string target = FingerprintOf(model_.model());
    EXPECT_TRUE(Eventually([&] {
      const auto stats = Stats();
      return stats.has_value() && stats->embedding_backlog() == 0 && stats->spaces_size() == 1 &&
             stats->spaces(0).active_fingerprint() == target &&
             stats->spaces(0).target_fingerprint() == target;
    })) << "the change to "
        << model_.model() << " does not end: " << Stats()->ShortDebugString();
    EXPECT_TRUE(Eventually([&] { return IsIndexed(items, target); }))
        << IndexStats().ShortDebugString();
    switches_ += active_ != target ? 1 : 0;
    active_ = target;
  }

  std::string FingerprintOf(const std::string& model) {
    vectors_pb::GetModelInfoRequest request;
    request.set_model(model);
    vectors_pb::GetModelInfoResponse response;
    EXPECT_TRUE(Eventually(
        [&] { return (*calls_)(&Calls::Vectors::GetModelInfo, request, response).ok(); }));
    for (const vectors_pb::ModelInfo& info : response.models()) {
      for (const vectors_pb::SpaceInfo& space : info.spaces()) {
        if (info.name() == model && space.space().name() == "text")
          return space.space().fingerprint();
      }
    }
    ADD_FAILURE() << "no model " << model;
    return "";
  }

  index_pb::GetStatsResponse IndexStats() {
    index_pb::GetStatsResponse response;
    (void)(*calls_)(&Calls::Index::GetStats, index_pb::GetStatsRequest(), response);
    return response;
  }

  bool IsIndexed(size_t items, const std::string& fingerprint) {
    const index_pb::GetStatsResponse stats = IndexStats();
    for (const index_pb::CatalogStats& catalog : stats.catalogs()) {
      if (catalog.items() != static_cast<int64_t>(items)) continue;
      for (const index_pb::SpaceStats& space : catalog.spaces()) {
        if (space.active() && space.space().fingerprint() == fingerprint &&
            space.vectors() == static_cast<int64_t>(items))
          return true;
      }
    }
    return false;
  }

  // Among the items without a version, which are the titled ones: the models' weights are random,
  // so that a title need not be nearest to its item.
  bool FindsTitle(size_t index) {
    gateway_pb::SearchRequest request;
    request.set_catalog(kKilledCatalog);
    request.mutable_query()->set_text(kTitles[index]);
    request.set_filter("NOT version >= 0");
    request.set_num_results(static_cast<int>(std::size(kTitles)));
    gateway_pb::SearchResponse response;
    if (!(*calls_)(&Calls::Gateway::Search, request, response).ok()) return false;
    for (const gateway_pb::RankedItem& result : response.results()) {
      if (result.item_id() == absl::StrCat("titled-", index + 1)) return true;
    }
    return false;
  }

  void Report(absl::Duration took) {
    std::cout << rounds_ << " rounds in " << absl::FormatDuration(took) << ", seed " << seed_
              << "; killed: " << absl::StrJoin(kills_, ", ", absl::PairFormatter(" "))
              << "\nacknowledged: " << items_->acknowledged() << " writes and deletes of items, "
              << imports_->acknowledged() << " imported rows (" << imports_->finished()
              << " imports finished, " << imports_->killed() << " killed, " << imports_->resumed()
              << " resumed), " << events_->acknowledged() << " events, " << events_->purged()
              << " purges, " << model_.acknowledged() << " changes of the model (" << switches_
              << " switches seen)\nat the end: " << numbers_.size() << " item ids, "
              << events_->users() << " users, " << events_->events() << " events" << std::endl;
  }

  TempFolder folder_;
  int rounds_ = 0;
  uint32_t seed_ = 0;
  std::mt19937 random_;
  std::unique_ptr<Servers> servers_;
  std::unique_ptr<Calls> calls_;
  std::unique_ptr<ImportDriver> imports_;
  std::unique_ptr<ItemWriter> items_;
  std::unique_ptr<EventWriter> events_;
  ModelChanger model_;
  std::map<std::string, int> kills_;
  std::map<std::string, uint32_t> numbers_;
  std::map<uint32_t, std::string> ids_;
  std::string active_;
  int switches_ = 0;
};

TEST_F(KillRoundsTest, NothingAcknowledgedIsLostOrDoubledWhileModelsChangeAndAnImportRuns) {
  const absl::Time start = absl::Now();
  for (int round = 0; round < rounds_ && !HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round, ", seed ", seed_));
    const absl::Time begun = absl::Now();
    const std::vector<std::string> victims = WorkAndKill();
    const absl::Time killed = absl::Now();
    ++kills_[victims.size() > 1 ? "all four" : victims[0]];
    Restart(victims);
    if (HasFailure()) break;
    const absl::Time restarted = absl::Now();
    Check(round % kRoundsBetweenFullChecks == 0 ? 1'000'000 : kOtherUsers);
    if (round % kRoundsBetweenSwitches == kRoundsBetweenSwitches - 1)
      AwaitModel(ListItems().size());
    std::cout << "round " << round << ": killed " << absl::StrJoin(victims, ", ") << " after "
              << absl::FormatDuration(absl::Trunc(killed - begun, absl::Milliseconds(1)))
              << ", started in "
              << absl::FormatDuration(absl::Trunc(restarted - killed, absl::Milliseconds(1)))
              << ", checked in "
              << absl::FormatDuration(absl::Trunc(absl::Now() - restarted, absl::Milliseconds(1)))
              << std::endl;
  }
  if (!HasFailure()) Settle();
  Report(absl::Now() - start);
}

}  // namespace
}  // namespace palate::services
