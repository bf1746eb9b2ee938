// What callers see while a service is down, and how soon the system recovers: each of the five
// processes is killed in turn under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "services/runtime/channel.h"
#include "tests/eventually.h"
#include "tests/services/processes.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

constexpr absl::Duration kHealLimit = absl::Seconds(5);
constexpr absl::Duration kCallLimit =
    absl::Seconds(20);  // generous, because a busy machine is not a fault

// Callers that send requests without a pause, and counts of the results.
class Load {
 public:
  explicit Load(std::shared_ptr<grpc::Channel> channel) {
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this, channel, i] {
        Shop shop(channel);
        while (!stop_) Count(shop.Recommend(absl::StrCat("u", i), kCallLimit));
      });
    }
  }
  ~Load() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  // The results since the last call: statuses, and the outages that successful responses report.
  std::map<std::string, int> Take() {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(seen_, {});
  }

  int answers() {
    std::lock_guard<std::mutex> lock(mutex_);
    int count = 0;
    for (const auto& [what, times] : seen_) count += times;
    return count;
  }

 private:
  void Count(const absl::StatusOr<shop_pb::RecommendResponse>& answer) {
    std::string seen = absl::StatusCodeToString(answer.status().code());
    if (answer.ok()) {
      for (const shop_pb::StageReport& report : answer->stages()) {
        for (const shop_pb::StageNote& note : report.notes()) {
          const bool outage = note.degradation() == shop_pb::DEGRADATION_RETRIEVAL_UNAVAILABLE ||
                              note.degradation() == shop_pb::DEGRADATION_EMBEDDING_UNAVAILABLE ||
                              note.degradation() == shop_pb::DEGRADATION_RANKING_UNAVAILABLE;
          if (outage) absl::StrAppend(&seen, " ", shop_pb::Degradation_Name(note.degradation()));
        }
      }
    }

    std::lock_guard<std::mutex> lock(mutex_);
    ++seen_[seen];
  }

  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::map<std::string, int> seen_;
  std::vector<std::thread> threads_;
};

class FaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    palate_ = std::make_unique<Palate>(folder_.path());
    if (HasFatalFailure()) return;

    shop_ = std::make_unique<Shop>(palate_->gateway());
    ASSERT_TRUE(shop_->Fill().ok());
    ASSERT_TRUE(Eventually([&] { return Healthy(); }));

    load_ = std::make_unique<Load>(palate_->gateway());
  }
  void TearDown() override { load_.reset(); }

  // Whether recommendations use retrieval and ranking, and searches use embedding.
  bool Healthy() {
    const auto recommended = shop_->Recommend("u0", kCallLimit);
    if (!recommended.ok() || Notes(FindStage(*recommended, shop_pb::STAGE_SOURCE),
                                   shop_pb::DEGRADATION_RETRIEVAL_UNAVAILABLE))
      return false;

    if (HasLanguageModel() && Notes(FindStage(*recommended, shop_pb::STAGE_RERANK),
                                    shop_pb::DEGRADATION_RANKING_UNAVAILABLE))
      return false;

    const auto found = shop_->Search("green hiking tent", kCallLimit);
    return found.ok() && found->results_size() == 5;
  }

  // Kills the service, waits until `seen_down` holds and the load has had responses without it,
  // starts it again and checks that the system is healthy within five seconds. During this time
  // callers may see OK and, with `may_fail`, UNAVAILABLE, and no other status.
  template <typename Condition>
  void KillAndHeal(const std::string& part, bool may_fail, const Condition& seen_down) {
    load_->Take();
    palate_->Kill(part);
    EXPECT_TRUE(Eventually(seen_down, absl::Seconds(30))) << part;
    EXPECT_TRUE(Eventually([&] { return load_->answers() >= 30; }));

    Report(part + " down", load_->Take(), may_fail);

    palate_->Start(part);
    if (HasFatalFailure()) return;

    const absl::Time started = absl::Now();
    EXPECT_TRUE(Eventually([&] { return Healthy(); })) << part;
    const absl::Duration healed = absl::Now() - started;
    EXPECT_LE(healed, kHealLimit) << part;

    Report(absl::StrCat(part, " healed ", absl::FormatDuration(healed), " after its restart"),
           load_->Take(), may_fail);
  }

  static void Report(const std::string& phase, const std::map<std::string, int>& seen,
                     bool may_fail) {
    std::cout << phase << ":";
    for (const auto& [what, count] : seen) {
      std::cout << "  " << count << " x " << what;
      EXPECT_TRUE(what.rfind("OK", 0) == 0 || (may_fail && what == "UNAVAILABLE"))
          << phase << ": callers saw " << what;
    }
    std::cout << std::endl;
  }

  int64_t Backlog() {
    namespace pb = palate::featurestore::v1;
    const auto stub = pb::FeatureStoreService::NewStub(DialTcp(palate_->address("featurestore")));
    pb::GetStatsResponse stats;
    const absl::Status status =
        CallUnary(stub->async(), &pb::FeatureStoreService::StubInterface::async_interface::GetStats,
                  pb::GetStatsRequest(), stats, {.deadline = absl::Now() + kCallLimit});
    return status.ok() && stats.catalogs_size() == 1 ? stats.catalogs(0).embedding_backlog() : -1;
  }

  TempFolder folder_;
  std::unique_ptr<Palate> palate_;
  std::unique_ptr<Shop> shop_;
  std::unique_ptr<Load> load_;
};

TEST_F(FaultTest, RankingDownGivesTheFirstStageOrderAndSaysSo) {
  if (!HasLanguageModel()) GTEST_SKIP() << "no built-in language model in this build";
  KillAndHeal("ranking", /*may_fail=*/false, [&] {
    const auto answer = shop_->Recommend("u0", kCallLimit);
    return answer.ok() && answer->results_size() == 5 && answer->rerank_weight() == 0 &&
           Notes(FindStage(*answer, shop_pb::STAGE_RERANK),
                 shop_pb::DEGRADATION_RANKING_UNAVAILABLE);
  });
}

TEST_F(FaultTest, EmbeddingDownKeepsRecommendAndGrowsTheBacklog) {
  int added = 0;
  KillAndHeal("embedding", /*may_fail=*/false, [&] {
    EXPECT_TRUE(shop_->Recommend("u0", kCallLimit).ok());
    EXPECT_TRUE(shop_->Add(absl::StrCat("new-", added++), "purple carpet").ok());
    return shop_->Search("green hiking tent", kCallLimit).status().code() ==
               absl::StatusCode::kUnavailable &&
           Backlog() >= added;
  });
  EXPECT_TRUE(Eventually([&] { return Backlog() == 0; }));
}

TEST_F(FaultTest, RetrievalDownGivesTrendingOnlyAndSaysSo) {
  KillAndHeal("retrieval", /*may_fail=*/false, [&] {
    const auto answer = shop_->Recommend("u0", kCallLimit);
    if (!answer.ok() || !Notes(FindStage(*answer, shop_pb::STAGE_SOURCE),
                               shop_pb::DEGRADATION_RETRIEVAL_UNAVAILABLE))
      return false;
    for (const shop_pb::RankedItem& result : answer->results()) {
      for (const shop_pb::Reason& reason : result.reasons()) {
        EXPECT_TRUE(reason.source() == shop_pb::CANDIDATE_SOURCE_TRENDING ||
                    reason.source() == shop_pb::CANDIDATE_SOURCE_FRESH);
      }
    }
    return answer->results_size() > 0;
  });
}

TEST_F(FaultTest, FeatureStoreDownIsUnavailable) {
  KillAndHeal("featurestore", /*may_fail=*/true, [&] {
    return shop_->Recommend("u0", kCallLimit).status().code() == absl::StatusCode::kUnavailable;
  });

  // Writes that were acknowledged before the kill are not lost.
  const auto answer = shop_->Recommend("u0", kCallLimit);
  ASSERT_TRUE(answer.ok());
  for (const shop_pb::RankedItem& result : answer->results())
    EXPECT_NE(result.item_id(), "chairs-0");  // seen
}

TEST_F(FaultTest, GatewayDownIsUnavailable) {
  KillAndHeal("gateway", /*may_fail=*/true, [&] {
    return shop_->Recommend("u0", kCallLimit).status().code() == absl::StatusCode::kUnavailable;
  });
}

}  // namespace
}  // namespace palate::services
