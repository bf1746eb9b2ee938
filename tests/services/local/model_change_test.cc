// A catalog that changes its embedding model, through the public API: answers go on, and stay
// right, whatever the model that it changes to does, whether the former one is still loaded, and
// after restarts half-way.
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/mutex.h"
#include "base/status.h"
#include "embedding/embedding_model.h"
#include "embedding/encoder.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "palate/retrieval/v1/retrieval_service.grpc.pb.h"
#include "services/convert/types_convert.h"
#include "services/embedding/embedding_service.h"
#include "services/featurestore/feature_store_service.h"
#include "services/gateway/gateway_service.h"
#include "services/ranking/ranking_service.h"
#include "services/retrieval/retrieval_service.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"
#include "tests/eventually.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

namespace retrieval_pb = palate::retrieval::v1;
namespace store_pb = palate::featurestore::v1;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using RecommenderStub = shop_pb::RecommenderService::StubInterface::async_interface;
using CatalogStub = shop_catalog_pb::CatalogService::StubInterface::async_interface;
using RetrievalStub = retrieval_pb::RetrievalService::StubInterface::async_interface;
using StoreStub = store_pb::FeatureStoreService::StubInterface::async_interface;

constexpr absl::Duration kChangeCall = absl::Seconds(60);
constexpr char kChangeCatalog[] = "shop";

// What a model does at present. Thread-safe.
class Behavior {
 public:
  // Batches wait while it is held.
  void Hold(bool held) {
    const MutexLock lock(mutex_);
    held_ = held;
    changed_.SignalAll();
  }
  // Texts with this word are UNAVAILABLE; empty: none.
  void Refuse(const std::string& word) {
    const MutexLock lock(mutex_);
    refused_ = word;
  }
  // All vectors are not finite, which is INTERNAL.
  void Break() {
    const MutexLock lock(mutex_);
    broken_ = true;
  }
  void Pass() {
    const MutexLock lock(mutex_);
    while (held_) changed_.Wait(mutex_);
  }
  std::string refused() {
    const MutexLock lock(mutex_);
    return refused_;
  }
  bool broken() {
    const MutexLock lock(mutex_);
    return broken_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::string refused_ ABSL_GUARDED_BY(mutex_);
};

uint32_t WordNumber(absl::string_view word) {
  uint32_t number = 2166136261u;
  for (const char c : word) number = (number ^ static_cast<unsigned char>(c)) * 16777619u;
  return number;
}

// Embeds a text as the set of its words: texts with more words in common are closer. Two models
// give the words different dimensions, so their vectors have nothing to do with each other.
class WordEncoder final : public embedding::Encoder {
 public:
  WordEncoder(const std::string& fingerprint, int dimensions, std::shared_ptr<Behavior> behavior)
      : behavior_(std::move(behavior)) {
    info_.name = info_.family = "words";
    info_.dimensions = dimensions;
    info_.pooling = "mean";
    info_.spaces = {
        {.name = "text", .fingerprint = fingerprint, .available = true, .calibration = {}}};
  }
  bool sees_images() const override { return false; }
  bool is_joint() const override { return false; }
  int64_t EstimateImage(int64_t, int64_t) const override { return 1; }
  absl::StatusOr<embedding::EncoderImage> PrepareImage(const models::Image&) const override {
    return absl::InvalidArgumentError("reads no images");
  }
  absl::StatusOr<embedding::PreparedPass> Prepare(
      const embedding::PassContent& content) const override {
    embedding::PreparedPass pass;
    for (const auto word :
         absl::StrSplit(absl::AsciiStrToLower(content.text), ' ', absl::SkipEmpty())) {
      pass.ids.push_back(WordNumber(word));
    }
    pass.cost = pass.tokens = static_cast<int64_t>(pass.ids.size());
    return pass;
  }
  absl::StatusOr<at::Tensor> Encode(
      absl::Span<const embedding::PreparedPass* const> passes) const override {
    behavior_->Pass();
    const std::string refused = behavior_->refused();
    at::Tensor vectors = at::zeros({static_cast<int64_t>(passes.size()), info_.dimensions});
    for (size_t i = 0; i < passes.size(); ++i) {
      for (const int64_t id : passes[i]->ids) {
        if (!refused.empty() && id == WordNumber(refused))
          return absl::UnavailableError("the device is busy");
        vectors[static_cast<int64_t>(i)][id % info_.dimensions] += 1;
      }
      if (behavior_->broken())
        vectors[static_cast<int64_t>(i)][0] = std::numeric_limits<float>::quiet_NaN();
    }
    return vectors;
  }

 private:
  const std::shared_ptr<Behavior> behavior_;
};

// All services in one process over one data folder, as LocalStack, with models of this test.
class Stack {
 public:
  Stack(const std::string& folder, const EmbeddingModels& models) {
    const auto server = std::make_shared<const Server*>(nullptr);
    const ChannelProvider here = [server] { return (*server)->InProcessChannel(); };
    ServiceSet set;
    set.OnStarted([server](const Server& started) { *server = &started; });

    FeatureStoreConfig store;
    store.store.dir = folder + "/store";
    store.worker.batch_items = 2;
    store.worker.item_attempts = 2;
    store.worker.item_retry_min = store.worker.retry_min = absl::Milliseconds(5);
    store.worker.retry_max = absl::Milliseconds(50);
    store.worker.rescan = absl::Milliseconds(200);
    EmbeddingConfig embedding;
    embedding.default_model = models.begin()->first;
    RetrievalConfig retrieval;
    retrieval.indexes.snapshot_dir = folder + "/index";
    RankingConfig ranking;
    ranking.models.clear();

    const auto add = [&set](absl::StatusOr<ServiceSet> services) {
      ASSERT_TRUE(services.ok()) << services.status();
      set.Merge(*std::move(services));
    };
    add(MakeFeatureStoreServices(store, here));
    add(MakeEmbeddingServices(embedding, models));
    add(MakeRankingServices(ranking));
    add(MakeRetrievalServices(retrieval, here));
    GatewayConfig gateway;
    gateway.pipeline.source_budget = absl::Seconds(20);
    add(MakeRecommenderServices(gateway, {here, here, here, here}));

    ServerConfig config;
    config.listen = "";
    auto started = Server::Start(config, std::move(set));
    EXPECT_TRUE(started.ok()) << started.status();
    if (started.ok()) server_ = *std::move(started);
    shop_ = std::make_unique<Shop>(server_->InProcessChannel());
    store_ = store_pb::FeatureStoreService::NewStub(server_->InProcessChannel());
    retrieval_ = retrieval_pb::RetrievalService::NewStub(server_->InProcessChannel());
  }

  shop_pb::RecommenderService::Stub& recommender() { return shop_->recommender(); }
  shop_catalog_pb::CatalogService::Stub& catalogs() { return shop_->catalogs(); }
  store_pb::FeatureStoreService::Stub& store() { return *store_; }
  retrieval_pb::RetrievalService::Stub& retrieval() { return *retrieval_; }

 private:
  std::unique_ptr<Server> server_;
  std::unique_ptr<Shop> shop_;
  std::unique_ptr<store_pb::FeatureStoreService::Stub> store_;
  std::unique_ptr<retrieval_pb::RetrievalService::Stub> retrieval_;
};

template <typename Response>
std::vector<std::string> Ids(const absl::StatusOr<Response>& response) {
  if (!response.ok()) return {response.status().ToString()};
  std::vector<std::string> ids;
  for (const auto& result : response->results()) ids.push_back(result.item_id());
  return ids;
}

template <typename Response>
std::string NotesOf(const absl::StatusOr<Response>& response) {
  std::string notes;
  if (!response.ok()) return notes;
  for (const auto& stage : response->stages()) {
    for (const auto& note : stage.notes()) {
      if (note.degradation() == shop_pb::DEGRADATION_SPACE_UNAVAILABLE)
        absl::StrAppend(&notes, note.detail(), "\n");
    }
  }
  return notes;
}

class ModelChangeTest : public ::testing::Test {
 protected:
  ModelChangeTest() { Start({{"m1", "m1"}, {"m2", "m2"}}); }
  ~ModelChangeTest() override {
    // The executors finish their batch before they end.
    for (const auto& [name, behavior] : behaviors_) behavior->Hold(false);
  }

  // Ends the stack, if one runs, and opens the folder again with these models, by configured name.
  void Start(const std::map<std::string, std::string>& fingerprints) {
    for (const auto& [name, behavior] : behaviors_) behavior->Hold(false);
    stack_.reset();
    EmbeddingModels models;
    for (const auto& [name, fingerprint] : fingerprints) {
      auto& behavior = behaviors_[fingerprint];
      if (behavior == nullptr) behavior = std::make_shared<Behavior>();
      models[name] = embedding::EmbeddingModel::FromEncoder(
          std::make_unique<WordEncoder>(fingerprint, fingerprint == "m1" ? 509 : 251, behavior));
    }
    stack_ = std::make_unique<Stack>(folder_.path(), models);
  }

  // Six items, the events of user u, and the index that has all of them.
  void Fill() {
    shop_catalog_pb::CreateCatalogRequest request;
    request.mutable_catalog()->set_id(kChangeCatalog);
    request.mutable_catalog()->add_event_types()->set_name("view");
    AddSpaces("m1", *request.mutable_catalog());
    shop_catalog_pb::CreateCatalogResponse response;
    ASSERT_TRUE(CallUnary(stack_->catalogs().async(), &CatalogStub::CreateCatalog, request,
                          response, {.deadline = absl::Now() + kChangeCall})
                    .ok());
    for (const char* color : {"red", "blue"}) {
      for (const char* kind : {"lamp", "tent", "chair"})
        Upsert(absl::StrCat(kind, "-", color), absl::StrCat(color, " ", kind));
    }
    View("lamp-red");
    ASSERT_TRUE(Eventually([&] { return Ids(Search("red lamp")).size() == 6; }, absl::Seconds(20)))
        << ::testing::PrintToString(Ids(Search("red lamp"))) << Stats().DebugString();
  }

  // The models of these tests fill the text space only.
  static void AddSpaces(const std::string& model, types_pb::Catalog& catalog) {
    for (const char* name : {"text", "image", "fused"}) {
      types_pb::SpaceDeclaration* space = catalog.add_spaces();
      space->set_name(name);
      space->set_model(model);
    }
  }

  void ChangeModel(const std::string& model) {
    shop_catalog_pb::UpdateCatalogRequest request;
    request.mutable_catalog()->set_id(kChangeCatalog);
    AddSpaces(model, *request.mutable_catalog());
    request.mutable_update_mask()->add_paths("spaces");
    shop_catalog_pb::UpdateCatalogResponse response;
    const absl::Status status =
        CallUnary(stack_->catalogs().async(), &CatalogStub::UpdateCatalog, request, response,
                  {.deadline = absl::Now() + kChangeCall});
    ASSERT_TRUE(status.ok()) << status;
  }

  void Upsert(const std::string& id, const std::string& title) {
    shop_pb::UpsertItemsRequest request;
    request.set_catalog(kChangeCatalog);
    request.add_writes()->mutable_item()->set_id(id);
    request.mutable_writes(0)->mutable_item()->set_title(title);
    shop_pb::UpsertItemsResponse response;
    const absl::Status status =
        CallUnary(stack_->recommender().async(), &RecommenderStub::UpsertItems, request, response,
                  {.deadline = absl::Now() + kChangeCall});
    ASSERT_TRUE(status.ok() && response.failures().empty()) << status << response.DebugString();
  }

  void View(const std::string& item) {
    shop_pb::WriteEventsRequest request;
    request.set_catalog(kChangeCatalog);
    types_pb::Event* event = request.add_events();
    event->set_user_id("u");
    event->set_item_id(item);
    event->set_event_type("view");
    *event->mutable_event_time() = ToProto(absl::Now());
    shop_pb::WriteEventsResponse response;
    ASSERT_TRUE(CallUnary(stack_->recommender().async(), &RecommenderStub::WriteEvents, request,
                          response, {.deadline = absl::Now() + kChangeCall})
                    .ok());
  }

  absl::StatusOr<shop_pb::SearchResponse> Search(const std::string& text) {
    shop_pb::SearchRequest request;
    request.set_catalog(kChangeCatalog);
    request.mutable_query()->set_text(text);
    shop_pb::SearchResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(stack_->recommender().async(), &RecommenderStub::Search,
                                     request, response, {.deadline = absl::Now() + kChangeCall}));
    return response;
  }

  absl::StatusOr<shop_pb::SimilarItemsResponse> Similar(const std::string& item) {
    shop_pb::SimilarItemsRequest request;
    request.set_catalog(kChangeCatalog);
    request.set_item_id(item);
    request.set_space("text");
    shop_pb::SimilarItemsResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(stack_->recommender().async(), &RecommenderStub::SimilarItems,
                                     request, response, {.deadline = absl::Now() + kChangeCall}));
    return response;
  }

  absl::StatusOr<shop_pb::RecommendResponse> Recommend(const std::string& text = "") {
    shop_pb::RecommendRequest request;
    request.set_catalog(kChangeCatalog);
    request.set_user_id("u");
    request.set_num_results(10);
    if (!text.empty()) request.mutable_query()->set_text(text);
    shop_pb::RecommendResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(stack_->recommender().async(), &RecommenderStub::Recommend,
                                     request, response, {.deadline = absl::Now() + kChangeCall}));
    return response;
  }

  store_pb::CatalogStats Stats() {
    store_pb::GetStatsResponse response;
    const absl::Status status =
        CallUnary(stack_->store().async(), &StoreStub::GetStats, store_pb::GetStatsRequest(),
                  response, {.deadline = absl::Now() + kChangeCall});
    EXPECT_TRUE(status.ok()) << status;
    return response.catalogs_size() == 1 ? response.catalogs(0) : store_pb::CatalogStats();
  }
  // How many items the index can find with the model.
  int64_t VectorsInIndex(const std::string& model) {
    retrieval_pb::GetStatsResponse response;
    const absl::Status status = CallUnary(stack_->retrieval().async(), &RetrievalStub::GetStats,
                                          retrieval_pb::GetStatsRequest(), response,
                                          {.deadline = absl::Now() + kChangeCall});
    EXPECT_TRUE(status.ok()) << status;
    for (const auto& catalog : response.catalogs()) {
      for (const auto& space : catalog.spaces()) {
        if (space.space().fingerprint() == model) return space.vectors();
      }
    }
    return 0;
  }
  store_pb::SpaceStats TextSpace() {
    const store_pb::CatalogStats stats = Stats();
    return stats.spaces_size() == 1 ? stats.spaces(0) : store_pb::SpaceStats();
  }
  bool IsFilledBy(const std::string& model) {
    const store_pb::SpaceStats space = TextSpace();
    return space.active_fingerprint() == model && space.target_fingerprint() == model;
  }

  // Search and Recommend find what they have to find.
  void ExpectRightAnswers() {
    EXPECT_THAT(Ids(Search("red tent")), AllOf(Contains("tent-blue"), Contains("lamp-red")));
    EXPECT_EQ(Ids(Search("red tent")).front(), "tent-red");
    EXPECT_EQ(Ids(Search("blue chair")).front(), "chair-blue");
    EXPECT_THAT(Ids(Recommend()),
                IsSupersetOf({"lamp-blue", "tent-red", "tent-blue", "chair-red", "chair-blue"}));
    EXPECT_EQ(Ids(Recommend("blue tent")).front(), "tent-blue");
    EXPECT_THAT(Ids(Similar("tent-red")), AllOf(Contains("tent-blue"), Contains("lamp-red")));
  }

  TempFolder folder_;
  std::map<std::string, std::shared_ptr<Behavior>> behaviors_;
  std::unique_ptr<Stack> stack_;
};

TEST_F(ModelChangeTest, AnswersStayAndNewItemsAreFoundWhileTheTargetIsHeld) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  const std::vector<std::string> before = Ids(Search("red tent"));
  behaviors_["m2"]->Hold(true);
  ChangeModel("m2");
  ASSERT_TRUE(Eventually([&] { return TextSpace().target_fingerprint() == "m2"; }));

  EXPECT_EQ(Ids(Search("red tent")), before);
  ExpectRightAnswers();
  Upsert("kettle", "copper kettle");
  Upsert("chair-red", "red stool");
  EXPECT_TRUE(Eventually([&] { return Ids(Search("copper kettle")).front() == "kettle"; }));
  EXPECT_TRUE(Eventually([&] { return Ids(Search("stool")).front() == "chair-red"; }));
  EXPECT_EQ(NotesOf(Search("stool")), "");
  EXPECT_EQ(TextSpace().active_fingerprint(), "m1") << "all of this during the change";

  // To the end of the change, and beyond it. The tents come last, when the index has the rest.
  behaviors_["m2"]->Refuse("tent");
  behaviors_["m2"]->Hold(false);
  ASSERT_TRUE(Eventually([&] {
    EXPECT_EQ(Ids(Search("red lamp")).front(), "lamp-red");
    return Stats().embedding_backlog() == 2 && VectorsInIndex("m2") == 5;
  }));
  behaviors_["m2"]->Refuse("");
  const auto expect_answers = [&] {
    EXPECT_EQ(Ids(Search("red lamp")).front(), "lamp-red");
    EXPECT_EQ(Ids(Search("copper kettle")).front(), "kettle");
    EXPECT_EQ(Ids(Search("stool")).front(), "chair-red");
    EXPECT_THAT(Ids(Recommend("kettle")), Contains("kettle"));
  };
  ASSERT_TRUE(Eventually([&] {
    expect_answers();
    return IsFilledBy("m2");
  }));
  for (int i = 0; i < 20; ++i) expect_answers();
  EXPECT_TRUE(Eventually([&] { return Ids(Search("red tent")).size() == 7; }));
}

TEST_F(ModelChangeTest, ATargetThatFailsEveryItemLeavesTheFormerModelAndSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  const std::vector<std::string> before = Ids(Search("red tent"));
  behaviors_["m2"]->Break();
  ChangeModel("m2");
  ASSERT_TRUE(Eventually([&] {
    EXPECT_EQ(Ids(Search("red tent")), before);
    return !TextSpace().switch_refusal().empty();
  }));

  EXPECT_THAT(TextSpace().switch_refusal(),
              AllOf(HasSubstr("m2 lacks 6 of the 6 items"), HasSubstr("INTERNAL")));
  EXPECT_EQ(TextSpace().active_fingerprint(), "m1");
  ExpectRightAnswers();
  Upsert("kettle", "copper kettle");
  EXPECT_TRUE(Eventually([&] { return Ids(Search("copper kettle")).front() == "kettle"; }));
  EXPECT_THAT(Ids(Similar("kettle")), Contains("tent-red"));

  // Back to the model that works.
  ChangeModel("m1");
  EXPECT_TRUE(Eventually([&] { return IsFilledBy("m1"); }));
  EXPECT_EQ(Ids(Search("copper kettle")).front(), "kettle");
}

TEST_F(ModelChangeTest, AnswersGoOnWithTheTargetAndANoteWhenTheFormerModelIsWithdrawnHalfWay) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  behaviors_["m2"]->Refuse("blue");
  ChangeModel("m2");
  ASSERT_TRUE(Eventually([&] {
    return TextSpace().target_fingerprint() == "m2" && Stats().embedding_backlog() == 3;
  }));

  Start({{"m2", "m2"}});
  ASSERT_TRUE(Eventually([&] { return Ids(Search("red tent")).size() == 3; }));
  const auto half = Search("red tent");
  EXPECT_THAT(Ids(half), UnorderedElementsAre("tent-red", "lamp-red", "chair-red"));
  EXPECT_EQ(Ids(half).front(), "tent-red");
  EXPECT_THAT(NotesOf(half), HasSubstr("3 of 6 items may have no vectors of it yet"));
  EXPECT_EQ(TextSpace().active_fingerprint(), "m1");

  // Interests and similar items are those of stored vectors, of which the former model has all.
  EXPECT_THAT(Ids(Recommend()),
              IsSupersetOf({"lamp-blue", "tent-red", "tent-blue", "chair-red", "chair-blue"}));
  EXPECT_THAT(Ids(Similar("tent-blue")), Contains("tent-red"));
  const auto with_query = Recommend("red tent");
  EXPECT_EQ(Ids(with_query).front(), "tent-red");
  EXPECT_THAT(NotesOf(with_query), HasSubstr("m2"));

  Upsert("kettle", "copper kettle");
  EXPECT_TRUE(Eventually([&] { return Ids(Search("copper kettle")).front() == "kettle"; }));
  EXPECT_THAT(Ids(Similar("kettle")), Contains("tent-red"));

  behaviors_["m2"]->Refuse("");
  ASSERT_TRUE(Eventually([&] { return IsFilledBy("m2"); }));
  ASSERT_TRUE(Eventually([&] { return Ids(Search("blue tent")).size() == 7; }));
  ExpectRightAnswers();
  EXPECT_EQ(NotesOf(Search("blue tent")), "");
}

TEST_F(ModelChangeTest, ASearchIsAnErrorWhenNoLoadedModelMakesVectorsOfTheCatalog) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  Start({{"m3", "m3"}});
  const absl::Status status = Search("red tent").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("m1"));
  EXPECT_THAT(Ids(Recommend("red tent")), Not(IsEmpty()));

  // Under another name it is the same model.
  Start({{"renamed", "m1"}});
  EXPECT_TRUE(Eventually([&] { return Ids(Search("red tent")).front() == "tent-red"; }));
}

TEST_F(ModelChangeTest, AChangeContinuesAndEndsAfterARestartHalfWay) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  behaviors_["m2"]->Refuse("blue");
  ChangeModel("m2");
  ASSERT_TRUE(Eventually([&] {
    return TextSpace().target_fingerprint() == "m2" && Stats().embedding_backlog() == 3;
  }));
  Upsert("kettle", "blue kettle");

  Start({{"m1", "m1"}, {"m2", "m2"}});
  EXPECT_TRUE(Eventually([&] { return Ids(Search("blue kettle")).front() == "kettle"; }))
      << "it was new when the process ended";
  ExpectRightAnswers();
  EXPECT_EQ(TextSpace().active_fingerprint(), "m1");
  EXPECT_EQ(TextSpace().target_fingerprint(), "m2");

  behaviors_["m2"]->Refuse("");
  ASSERT_TRUE(Eventually([&] { return IsFilledBy("m2"); }));
  ASSERT_TRUE(Eventually([&] { return Ids(Search("red tent")).size() == 7; }));
  ExpectRightAnswers();
  EXPECT_EQ(Ids(Search("blue kettle")).front(), "kettle");
}

TEST_F(ModelChangeTest, AChangeContinuesAfterTheProcessIsKilled) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  behaviors_["m2"]->Refuse("blue");
  ChangeModel("m2");
  ASSERT_TRUE(Eventually([&] {
    return TextSpace().target_fingerprint() == "m2" && Stats().embedding_backlog() == 3;
  }));
  // What kill -9 leaves: the files as they are at one moment of a running store, to which nothing
  // is written. The snapshot of the index is lost with it.
  namespace fs = std::filesystem;
  const TempFolder copy;
  fs::copy(folder_.path() + "/store", copy.path() + "/store", fs::copy_options::recursive);
  stack_.reset();
  fs::remove_all(folder_.path() + "/store");
  fs::remove_all(folder_.path() + "/index");
  fs::copy(copy.path() + "/store", folder_.path() + "/store", fs::copy_options::recursive);

  Start({{"m1", "m1"}, {"m2", "m2"}});
  ASSERT_TRUE(Eventually([&] { return Ids(Search("red tent")).size() == 6; }));
  ExpectRightAnswers();
  EXPECT_EQ(TextSpace().active_fingerprint(), "m1");
  behaviors_["m2"]->Refuse("");
  ASSERT_TRUE(Eventually([&] { return IsFilledBy("m2"); }));
  ASSERT_TRUE(Eventually([&] { return Ids(Search("red tent")).size() == 6; }));
  ExpectRightAnswers();
}

}  // namespace
}  // namespace palate::services
