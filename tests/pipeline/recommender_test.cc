#include "pipeline/recommender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "base/status.h"
#include "ranking/explain/explanation_plan.h"
#include "tests/fakes/fake_pipeline_parts.h"

namespace palate::pipeline {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1760000000);

class RecommenderTest : public ::testing::Test {
 protected:
  RecommenderTest() {
    features_.AddItem("liked", {1, 0});
    features_.AddItem("near", {1, 0.2f}).item.attributes = {{"color", "red"}, {"price", 10.0}};
    features_.AddItem("middle", {1, 1}).item.attributes = {{"color", "blue"}, {"price", 20.0}};
    features_.AddItem("far", {0, 1}).item.attributes = {{"color", "red"}, {"price", 30.0}};
    features_.AddEvent("liked", 1, kNow - absl::Hours(1));
    features_.context.trending = {{"far", 5}};
    features_.context.fresh = {{"middle", 1}};
  }

  RecommendQuery Query() const {
    RecommendQuery query;
    query.catalog = "shop";
    query.user_id = "u";
    return query;
  }

  // Enough history for the language model to get the catalog's whole weight.
  void AddLongHistory() {
    for (int i = 0; i < 30; ++i) features_.AddEvent("liked", 1, kNow - absl::Hours(2 + i));
  }

  CallContext Within() const { return {.deadline = absl::Now() + absl::Seconds(5)}; }

  static std::vector<std::string> Ids(const RecommendResult& result) {
    std::vector<std::string> ids;
    for (const ResultItem& item : result.results) ids.push_back(item.item.id);
    return ids;
  }

  static const StageReport& Report(const RecommendResult& result, StageId id) {
    for (const StageReport& report : result.stages) {
      if (report.id == id) return report;
    }
    ADD_FAILURE() << "no report of stage " << StageName(id);
    return result.stages.front();
  }

  static std::set<Degradation> Notes(const StageReport& report) {
    std::set<Degradation> notes;
    for (const StageNote& note : report.notes) notes.insert(note.degradation);
    return notes;
  }

  FakeFeatures features_;
  FakeEmbedder embedder_;
  FakeRetriever retriever_{features_};
  FakeRanker ranker_;
  SystemClock clock_;
  Recommender recommender_{{features_, embedder_, retriever_, ranker_}, clock_, {}};
};

TEST_F(RecommenderTest, OrdersByTasteAndLeavesOutWhatTheUserHasSeen) {
  auto query = Query();
  features_.context.catalog.rerank_weight = 0;
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("near", "middle", "far"));
  EXPECT_EQ(result->results[0].reasons[0].source, Source::kContent);
  EXPECT_THAT(result->results[0].reasons[0].item_ids, ElementsAre("liked"));
  EXPECT_EQ(result->recommendation_id.size(), 32u);
}

TEST_F(RecommenderTest, ReportsEveryStageWithItsOutcome) {
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  std::vector<StageId> ids;
  for (const StageReport& report : result->stages) ids.push_back(report.id);
  EXPECT_THAT(ids,
              ElementsAre(StageId::kHydrate, StageId::kSource, StageId::kFilter, StageId::kScore,
                          StageId::kRerank, StageId::kDiversify, StageId::kExplain));
  EXPECT_EQ(Report(*result, StageId::kExplain).outcome, StageOutcome::kSkipped);
  EXPECT_THAT(Notes(Report(*result, StageId::kExplain)), ElementsAre(Degradation::kNotRequested));
}

TEST_F(RecommenderTest, DropsSeenItemsThatTheSourcesStillHold) {
  retriever_.down = true;
  features_.context.trending = {{"liked", 9}, {"far", 1}};
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), Contains("far"));
  EXPECT_THAT(Ids(*result), ::testing::Not(Contains("liked")));
}

TEST_F(RecommenderTest, AnItemOfTheSessionIsSeenByItsNumber) {
  auto query = Query();
  Event view;
  view.item_id = "near";
  view.type = "like";
  view.time = kNow;
  Event unknown = view;
  unknown.item_id = "not in the catalog";
  query.session_events = {view, unknown};
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ::testing::Not(Contains("near")));
  EXPECT_THAT(Ids(*result), Contains("far"));
}

TEST_F(RecommenderTest, ReturnsSeenItemsWhenAsked) {
  auto query = Query();
  query.include_seen = true;
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), Contains("liked"));
}

TEST_F(RecommenderTest, NeverReturnsAnItemThatTheFilterRefusesEvenWhenRetrievalIgnoresIt) {
  auto query = Query();
  query.filter = "color: ANY(\"red\") AND price < 25";
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("near"));
  EXPECT_THAT(Notes(Report(*result, StageId::kDiversify)),
              Contains(Degradation::kFewerThanRequested));
}

TEST_F(RecommenderTest, NeverReturnsHiddenExpiredOrExcludedItems) {
  features_.items["near"].item.hidden = true;
  features_.items["middle"].item.expire_time = kNow;
  auto query = Query();
  query.request_time = kNow;
  query.exclude_item_ids = {"far"};

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->results, IsEmpty());
}

TEST_F(RecommenderTest, BlendsTheLanguageModelsScoreByTheCatalogsWeight) {
  features_.context.catalog.rerank_weight = 1;
  ranker_.scores = {{"near", -3}, {"middle", 0}, {"far", 3}};
  AddLongHistory();

  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), ElementsAre("far", "middle", "near"));
  EXPECT_EQ(result->ranking_fingerprint, "lm-1");
  EXPECT_GT(result->rerank_weight, 0.9);
  EXPECT_EQ(result->results[0].rerank_score, 3);
}

TEST_F(RecommenderTest, DoesNotAskTheLanguageModelWhenTheCatalogGivesItNoWeight) {
  features_.context.catalog.rerank_weight = 0;
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(ranker_.rank_calls, 0);
  EXPECT_EQ(result->rerank_weight, 0);
  EXPECT_EQ(Report(*result, StageId::kRerank).outcome, StageOutcome::kSkipped);
  EXPECT_THAT(Notes(Report(*result, StageId::kRerank)), ElementsAre(Degradation::kWeightZero));
}

TEST_F(RecommenderTest, DoesNotAskTheLanguageModelAboutAUserOfWhomLittleIsKnown) {
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(ranker_.rank_calls, 0);
  EXPECT_EQ(result->rerank_weight, 0);
  EXPECT_THAT(Notes(Report(*result, StageId::kRerank)), ElementsAre(Degradation::kLittleHistory))
      << "one event tells something";

  features_.context.events.clear();
  const auto unknown = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(unknown.ok());
  EXPECT_THAT(Notes(Report(*unknown, StageId::kRerank)), ElementsAre(Degradation::kNoHistory));
}

TEST_F(RecommenderTest, ReturnsTheFirstStageOrderMarkedWhenRankingIsDown) {
  ranker_.rank_status = absl::UnavailableError("ranking is down");
  AddLongHistory();
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), ElementsAre("near", "middle", "far"));
  EXPECT_EQ(Report(*result, StageId::kRerank).outcome, StageOutcome::kSkipped);
  EXPECT_THAT(Notes(Report(*result, StageId::kRerank)),
              ElementsAre(Degradation::kRankingUnavailable));
}

TEST_F(RecommenderTest, SaysThatTheDeadlineWasTooShortForTheLanguageModel) {
  ranker_.rank_status = absl::DeadlineExceededError("needs 80 ms");
  AddLongHistory();
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Notes(Report(*result, StageId::kRerank)), ElementsAre(Degradation::kDeadlineShort));
}

// Errors that the request did not cause: no configured model, a prompt beyond a limit, a model that
// is gone.
TEST_F(RecommenderTest, RecommendsInFirstStageOrderMarkedWhateverErrorTheModelAnswers) {
  AddLongHistory();
  for (const absl::Status& error :
       {absl::FailedPreconditionError("no language model is configured"),
        absl::InvalidArgumentError("candidates: make a prompt of 70000 tokens"),
        absl::NotFoundError("no language model is named 'x'"), absl::DataLossError("damaged"),
        absl::UnimplementedError("older server")}) {
    ranker_.rank_status = error;
    const auto result = recommender_.Recommend(Query(), Within());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(Ids(*result), ElementsAre("near", "middle", "far"));
    EXPECT_EQ(result->rerank_weight, 0);
    const StageReport& report = Report(*result, StageId::kRerank);
    EXPECT_EQ(report.outcome, StageOutcome::kSkipped);
    EXPECT_THAT(Notes(report), ElementsAre(Degradation::kRankingUnavailable));
    EXPECT_THAT(report.notes[0].detail, HasSubstr(std::string(error.message())));
  }
}

TEST_F(RecommenderTest, CandidateWhoseScoreIsNotANumberFollowsTheOthersMarked) {
  AddLongHistory();
  features_.context.catalog.rerank_weight = 1;
  ranker_.scores = {{"near", std::nanf("")}, {"middle", 1}, {"far", 2}};
  for (const double lambda : {0.0, 0.001}) {
    auto query = Query();
    query.diversity.mmr_lambda = lambda;
    const auto result = recommender_.Recommend(query, Within());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(Ids(*result), ElementsAre("far", "middle", "near"));
    EXPECT_FALSE(result->results[2].rerank_score.has_value());
    EXPECT_LT(result->results[2].score, result->results[1].score);
    const StageReport& report = Report(*result, StageId::kRerank);
    EXPECT_EQ(report.outcome, StageOutcome::kDegraded);
    ASSERT_THAT(report.notes, testing::SizeIs(1));
    EXPECT_THAT(report.notes[0].detail, HasSubstr("1 of 3 candidates have no score"));
  }
}

TEST_F(RecommenderTest, KeepsTheFirstStageOrderMarkedWhenNoScoreIsANumber) {
  AddLongHistory();
  for (const char* id : {"near", "middle", "far"}) ranker_.scores[id] = INFINITY;
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("near", "middle", "far"));
  EXPECT_EQ(Report(*result, StageId::kRerank).outcome, StageOutcome::kSkipped);
}

TEST_F(RecommenderTest, NoItemThatTheModelDidNotOrderPassesOneThatItDid) {
  AddLongHistory();
  features_.context.catalog.rerank_weight = 1;
  for (int i = 0; i < 120; ++i) {
    const float angle = 0.01f * static_cast<float>(i);
    features_.AddItem(absl::StrCat("item", 100 + i), {std::cos(angle), std::sin(angle)})
        .item.attributes = {{"color", i % 2 == 0 ? "red" : "blue"}};
    ranker_.scores[absl::StrCat("item", 100 + i)] = static_cast<float>(i % 7);
  }

  for (const Diversity& diversity :
       {Diversity{.mmr_lambda = 1e-6}, Diversity{.mmr_lambda = 0.9},
        Diversity{.attribute_caps = {{"color", 20}}}, Diversity{.exploration_share = 0.5}}) {
    auto query = Query();
    query.num_results = 40;
    query.diversity = diversity;
    const auto result = recommender_.Recommend(query, Within());
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_THAT(result->results, Not(IsEmpty()));
    bool scored = true;
    for (const ResultItem& item : result->results) {
      EXPECT_TRUE(scored || !item.rerank_score.has_value()) << item.item.id;
      scored = item.rerank_score.has_value();
    }
  }
}

TEST_F(RecommenderTest, AMinuteLambdaChangesNothingOfTheOrder) {
  AddLongHistory();
  for (int i = 0; i < 120; ++i) {
    const float angle = 0.01f * static_cast<float>(i);
    features_.AddItem(absl::StrCat("item", 100 + i), {std::cos(angle), std::sin(angle)});
    ranker_.scores[absl::StrCat("item", 100 + i)] = static_cast<float>((i * 37) % 101);
  }
  auto query = Query();
  query.num_results = 20;
  const auto plain = recommender_.Recommend(query, Within());
  query.diversity.mmr_lambda = 1e-9;
  const auto minute = recommender_.Recommend(query, Within());
  ASSERT_TRUE(plain.ok() && minute.ok());
  EXPECT_EQ(Ids(*plain), Ids(*minute));
}

TEST_F(RecommenderTest, PassesTheQueryToTheModelAndNotesWhatItDoesNotUse) {
  AddLongHistory();
  ranker_.unused_fields = {"instruction", "query"};
  auto query = Query();
  query.query.text = "something red";
  query.instruction = "prefer wood";
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(ranker_.last_input.query.has_value());
  EXPECT_EQ(ranker_.last_input.query->text, "something red");
  EXPECT_EQ(ranker_.last_input.instruction, "prefer wood");
  const StageReport& report = Report(*result, StageId::kRerank);
  EXPECT_EQ(report.outcome, StageOutcome::kRan);
  EXPECT_THAT(Notes(report), ElementsAre(Degradation::kInputNotUsed));
  EXPECT_THAT(report.notes[0].detail, HasSubstr("instruction, query"));
}

TEST_F(RecommenderTest, NotesALanguageInWhichNothingIsWritten) {
  auto query = Query();
  query.explain = ExplainMode::kTemplate;
  for (const auto& [language, noted] :
       std::map<std::string, bool>{{"", false}, {"en-GB", false}, {"EN", false}, {"de", true}}) {
    query.language = language;
    const auto result = recommender_.Recommend(query, Within());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(Notes(Report(*result, StageId::kExplain)).contains(Degradation::kInputNotUsed), noted)
        << language;
  }
}

TEST_F(RecommenderTest, AttributeCapsTellLargeNumbersApart) {
  for (const char* id : {"near", "middle", "far"}) features_.items[id].item.attributes.clear();
  features_.items["near"].item.attributes = {{"price", 1234567.0}};
  features_.items["middle"].item.attributes = {{"price", 1234571.0}};
  auto query = Query();
  query.diversity.attribute_caps = {{"price", 1}};
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ::testing::UnorderedElementsAre("near", "middle", "far"));
}

TEST_F(RecommenderTest, ConsidersTrendingAndFreshOnlyWhenRetrievalIsDown) {
  retriever_.down = true;
  const auto result = recommender_.Recommend(Query(), Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), ::testing::UnorderedElementsAre("middle", "far"));
  EXPECT_THAT(Notes(Report(*result, StageId::kSource)),
              ElementsAre(Degradation::kRetrievalUnavailable));
}

TEST_F(RecommenderTest, AsksRetrievalOnceForTasteAndContextAndOnceForTheQuery) {
  auto query = Query();
  query.filter = "price < 100.0";
  query.exclude_item_ids = {"far"};
  query.context_item_ids = {"middle"};
  query.query.text = "something red";
  query.request_time = kNow;
  query.num_results = 1;

  ASSERT_TRUE(recommender_.Recommend(query, Within()).ok());
  ASSERT_EQ(retriever_.requests.size(), 2u);
  EXPECT_EQ(retriever_.requests[0].queries.size(), 2u)
      << "one vector of the user's interests and one of the context item";
  EXPECT_EQ(retriever_.requests[1].queries.size(), 1u);
  for (const RetrievalRequest& request : retriever_.requests) {
    EXPECT_EQ(request.catalog, "shop");
    EXPECT_EQ(request.filter, query.filter);
    EXPECT_THAT(request.exclude_item_ids, ElementsAre("far", "middle"));
    EXPECT_THAT(request.exclude_item_numbers.Numbers(),
                ElementsAre(features_.items.at("liked").item.number));
    EXPECT_EQ(request.request_time, kNow);
  }
}

TEST_F(RecommenderTest, KeepsWhatOtherVectorsFoundWhenOneVectorsSearchFails) {
  features_.items.at("middle").vectors.push_back({kImage, {0, 1}});
  retriever_.broken_space = "image";
  auto query = Query();
  query.context_item_ids = {"middle"};

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), Contains("near"));
  EXPECT_THAT(Notes(Report(*result, StageId::kSource)),
              ElementsAre(Degradation::kSpaceUnavailable));
}

TEST_F(RecommenderTest, NamesWhatHappenedToEachSearch) {
  features_.items.at("middle").vectors.push_back({kImage, {0, 1}});
  retriever_.broken_space = "image";
  auto query = Query();
  query.context_item_ids = {"middle"};

  const std::map<absl::StatusCode, Degradation> names = {
      {absl::StatusCode::kDeadlineExceeded, Degradation::kDeadlineShort},
      {absl::StatusCode::kNotFound, Degradation::kIndexBehind},
      {absl::StatusCode::kFailedPrecondition, Degradation::kSpaceUnavailable},
      {absl::StatusCode::kInvalidArgument, Degradation::kSpaceUnavailable},
      {absl::StatusCode::kResourceExhausted, Degradation::kOverloaded},
      {absl::StatusCode::kInternal, Degradation::kRetrievalUnavailable}};
  for (const auto& [code, name] : names) {
    retriever_.space_error = absl::Status(code, "why");
    const auto result = recommender_.Recommend(query, Within());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(Ids(*result), Contains("near")) << "the other search counts";
    const StageReport& source = Report(*result, StageId::kSource);
    EXPECT_THAT(Notes(source), ElementsAre(name)) << absl::StatusCodeToString(code);
    EXPECT_THAT(source.notes[0].detail, HasSubstr("context over image")) << "the search is named";
  }

  features_.context.catalog.spaces = {{"text", "", 2}};
  retriever_.space_error = absl::NotFoundError("no such space");
  const auto undeclared = recommender_.Recommend(query, Within());
  ASSERT_TRUE(undeclared.ok()) << undeclared.status();
  EXPECT_THAT(Notes(Report(*undeclared, StageId::kSource)),
              ElementsAre(Degradation::kSpaceUnavailable));
}

TEST_F(RecommenderTest, NamesWhatHappenedToARequestThatRetrievalRefused) {
  const std::map<absl::StatusCode, Degradation> names = {
      {absl::StatusCode::kResourceExhausted, Degradation::kOverloaded},
      {absl::StatusCode::kNotFound, Degradation::kIndexBehind},
      {absl::StatusCode::kInvalidArgument, Degradation::kIndexBehind},
      {absl::StatusCode::kUnavailable, Degradation::kRetrievalUnavailable},
      {absl::StatusCode::kDeadlineExceeded, Degradation::kRetrievalUnavailable}};
  for (const auto& [code, name] : names) {
    retriever_.error = absl::Status(code, "why");
    const auto result = recommender_.Recommend(Query(), Within());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(Notes(Report(*result, StageId::kSource)), ElementsAre(name))
        << absl::StatusCodeToString(code);
  }
}

TEST_F(RecommenderTest, SearchIsResourceExhaustedWhenAServiceIsAtItsCapacity) {
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";
  retriever_.error = absl::ResourceExhaustedError("256 searches wait");
  absl::Status status = recommender_.Search(query, Within()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("256 searches wait"));

  retriever_.error = absl::OkStatus();
  embedder_.error = absl::ResourceExhaustedError("the lane is full");
  status = recommender_.Search(query, Within()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;

  auto recommend = Query();
  recommend.query.text = "far";
  const auto result = recommender_.Recommend(recommend, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Notes(Report(*result, StageId::kSource)), ElementsAre(Degradation::kOverloaded));
}

TEST_F(RecommenderTest, SearchByAnImageNotesThatNoItemHasOne) {
  embedder_.space = kImage;
  retriever_.empty_space = "image";
  features_.context.trending.clear();
  features_.context.fresh.clear();
  SearchQuery query;
  query.catalog = "shop";
  query.query.image = "an encoded picture";

  const auto result = recommender_.Search(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->results, IsEmpty());
  const StageReport& source = Report(*result, StageId::kSource);
  EXPECT_EQ(source.outcome, StageOutcome::kDegraded);
  ASSERT_THAT(Notes(source), ElementsAre(Degradation::kSpaceUnavailable));
  EXPECT_THAT(source.notes[0].detail, HasSubstr("query over image"));

  query.filter = "price < 5.0";
  const auto filtered = recommender_.Search(query, Within());
  ASSERT_TRUE(filtered.ok()) << filtered.status();
  EXPECT_THAT(Notes(Report(*filtered, StageId::kSource)),
              ElementsAre(Degradation::kFewerThanRequested))
      << "the filter may be the cause";
}

TEST_F(RecommenderTest, IsUnavailableWithoutTheFeatureStore) {
  features_.down = true;
  EXPECT_TRUE(absl::IsUnavailable(recommender_.Recommend(Query(), Within()).status()));
}

TEST_F(RecommenderTest, RecommendsWithoutTheQueryWhenEmbeddingIsDown) {
  embedder_.down = true;
  auto query = Query();
  query.query.text = "something red";

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), Not(IsEmpty()));
  EXPECT_THAT(Notes(Report(*result, StageId::kSource)),
              ElementsAre(Degradation::kEmbeddingUnavailable));
}

TEST_F(RecommenderTest, ServesAnonymousVisitorsTheTasteOfALikingAndOfATopRatingInTheirSession) {
  features_.context.catalog.rerank_weight = 0;
  for (const char* const type : {"like", "rating"}) {
    auto query = Query();
    query.user_id.clear();
    Event event;
    event.item_id = "far";
    event.type = type;
    if (event.type == "rating") event.value = 5;
    event.time = kNow;
    query.session_events = {event};

    const auto result = recommender_.Recommend(query, Within());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(Ids(*result), ElementsAre("middle", "near", "liked")) << type;
  }
}

TEST_F(RecommenderTest, AsksForAnEarlierTimeOnlyWhenTheRequestDoes) {
  auto query = Query();
  ASSERT_TRUE(recommender_.Recommend(query, Within()).ok());
  EXPECT_EQ(features_.last_query.request_time, absl::InfiniteFuture());
  query.request_time = kNow;
  ASSERT_TRUE(recommender_.Recommend(query, Within()).ok());
  EXPECT_EQ(features_.last_query.request_time, kNow);
}

TEST_F(RecommenderTest, ReadsEachItemOfASessionOnceAndOnlyWhenItIsNotKnownYet) {
  auto query = Query();
  for (const char* id : {"liked", "far", "gone", "far"}) {
    Event event;
    event.item_id = id;
    event.type = "like";
    event.time = kNow;
    query.session_events.push_back(event);
  }

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_FALSE(features_.item_reads.empty());
  EXPECT_THAT(features_.item_reads[0], ElementsAre("far", "gone"));
  std::vector<std::string> history;
  for (const ranking::HistoryEntry& entry : ranker_.last_input.history)
    history.push_back(entry.item.item_id);
  EXPECT_THAT(history, ElementsAre("liked", "far", "far", "liked"));
}

TEST_F(RecommenderTest, NamesAnUndeclaredEventTypeOfTheSession) {
  auto query = Query();
  Event event;
  event.item_id = "far";
  event.type = "wink";
  event.time = kNow;
  query.session_events = {event};

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(absl::IsInvalidArgument(result.status()));
  EXPECT_EQ(FieldViolations(result.status())[0].field, "session_events[0].event_type");
}

TEST_F(RecommenderTest, FallsBackToTemplateTextsMarkedWhenTheModelCannotExplain) {
  ranker_.explain_status = absl::UnavailableError("ranking is down");
  auto query = Query();
  query.explain = ExplainMode::kLlm;

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok());
  for (const ResultItem& item : result->results) {
    ASSERT_TRUE(item.explanation.has_value());
    EXPECT_EQ(item.explanation->source, ranking::ExplanationSource::kTemplate);
    EXPECT_FALSE(item.explanation->text.empty());
  }
  EXPECT_THAT(Notes(Report(*result, StageId::kExplain)), Contains(Degradation::kTemplateFallback));
}

TEST_F(RecommenderTest, TellsTheExplainerInThePlansOwnWordsWhichSourcesBroughtAnItem) {
  features_.context.trending = {{"far", 20}};
  features_.items["middle"].item.create_time = absl::Now() - absl::Hours(1);
  auto query = Query();
  query.explain = ExplainMode::kLlm;
  query.context_item_ids = {"liked"};
  query.query.text = "something like it";

  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  std::map<std::string, ranking::ExplanationPlan> plans;
  for (const ranking::ExplainInput& input : ranker_.explained)
    plans[input.item.item_id] = ranking::MakePlan(input, {});
  // Their figures: "far" has many events, and "middle" is an hour old.
  ASSERT_THAT(plans, testing::SizeIs(3));
  for (const auto& [id, plan] : plans) {
    EXPECT_TRUE(plan.similar) << id;  // all three are neighbors of the context item
    EXPECT_TRUE(plan.searched) << id;
    EXPECT_EQ(plan.trending, id == "far") << id;
    EXPECT_EQ(plan.fresh, id == "middle") << id;
    EXPECT_FALSE(plan.neighbors) << id;
  }
}

TEST_F(RecommenderTest, CallsNothingNewOrPopularForItsPlaceInAList) {
  features_.context.trending = {{"far", 1}};  // one event
  features_.items["middle"].item.create_time = absl::UnixEpoch();
  auto query = Query();
  query.explain = ExplainMode::kLlm;

  ASSERT_TRUE(recommender_.Recommend(query, Within()).ok());
  ASSERT_FALSE(ranker_.explained.empty());
  for (const ranking::ExplainInput& input : ranker_.explained) {
    EXPECT_FALSE(ranking::MakePlan(input, {}).trending) << input.item.item_id;
    EXPECT_FALSE(ranking::MakePlan(input, {}).fresh) << input.item.item_id;
  }
}

TEST_F(RecommenderTest, TellsTheTrueCauseOfTemplateTexts) {
  const std::pair<ranking::TemplateCause, const char*> causes[] = {
      {ranking::TemplateCause::kNoModel, "no configured model writes"},
      {ranking::TemplateCause::kNothingToSay, "there is nothing for the model to say"},
      {ranking::TemplateCause::kRefused, "failed the evidence check"}};
  for (const auto& [cause, words] : causes) {
    ranker_.template_cause = cause;
    auto query = Query();
    query.explain = ExplainMode::kLlm;

    const auto result = recommender_.Recommend(query, Within());
    ASSERT_TRUE(result.ok()) << result.status();
    const StageReport& report = Report(*result, StageId::kExplain);
    ASSERT_EQ(report.notes.size(), 1u);
    EXPECT_THAT(report.notes[0].detail, HasSubstr(words));
    if (cause != ranking::TemplateCause::kRefused) {
      EXPECT_THAT(report.notes[0].detail, Not(HasSubstr("evidence check")));
    }
  }
}

TEST_F(RecommenderTest, ClaimsNoClosenessToAnythingWithoutAContext) {
  auto query = Query();
  query.explain = ExplainMode::kLlm;
  ASSERT_TRUE(recommender_.Recommend(query, Within()).ok());
  ASSERT_FALSE(ranker_.explained.empty());
  for (const ranking::ExplainInput& input : ranker_.explained)
    EXPECT_FALSE(ranking::MakePlan(input, {}).similar);
}

TEST_F(RecommenderTest, StreamsRankedItemsBeforeTheirTexts) {
  auto query = Query();
  query.explain = ExplainMode::kLlm;
  std::vector<std::string> heard;
  StreamSink sink;
  sink.on_ranked = [&](const RecommendResult& ranked) {
    heard.push_back(absl::StrCat("ranked ", ranked.results.size()));
    return true;
  };
  sink.on_text = [&](size_t index, const std::string& piece) {
    heard.push_back(absl::StrCat(index, " ", piece));
    return true;
  };

  const auto result = recommender_.Recommend(query, sink, Within());
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(heard.size(), 4u);
  EXPECT_EQ(heard[0], "ranked 3");
  EXPECT_EQ(heard[1], absl::StrCat("0 Because of ", result->results[0].item.id, "."));
}

TEST_F(RecommenderTest, StopsWhenTheListenerIsGone) {
  StreamSink sink;
  sink.on_ranked = [](const RecommendResult&) { return false; };
  EXPECT_TRUE(absl::IsCancelled(recommender_.Recommend(Query(), sink, Within()).status()));
}

TEST_F(RecommenderTest, RanksTheCallersListCompletelyAndNamesWhatIsMissing) {
  RankQuery query;
  query.catalog = "shop";
  query.user_id = "u";
  query.item_ids = {"far", "ghost", "near", "liked"};
  features_.context.catalog.rerank_weight = 0;

  const auto result = recommender_.Rank(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("liked", "near", "far"));
  EXPECT_THAT(result->missing_item_ids, ElementsAre("ghost"));
}

TEST_F(RecommenderTest, SearchesByTheQueryAlone) {
  embedder_.query_vector = {0, 1};
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";
  query.num_results = 2;

  const auto result = recommender_.Search(query, Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), ElementsAre("far", "middle"));
  EXPECT_NEAR(result->results[0].score, (1 - 0.1) / 0.2, 1e-6);
}

// A catalog of which some items have a text, some a picture, and one has both.
class WordsAndPicturesTest : public RecommenderTest {
 protected:
  WordsAndPicturesTest() {
    features_.items.at("near").vectors.push_back({kImage, {0.6f, 0.8f}});
    features_.AddItem("photograph", {1, 0}).vectors = {{kImage, {1, 0}}};
    features_.context.trending.clear();
    features_.context.fresh.clear();
    embedder_.words_for_image = {1, 0};
    query_.catalog = "shop";
    query_.query.text = "red dress";
  }

  // Leaves items with pictures, or with texts, only.
  void Keep(const std::string& space) {
    for (auto& [id, record] : features_.items) {
      std::erase_if(record.vectors,
                    [&](const SpaceVector& vector) { return vector.space.name != space; });
    }
    retriever_.empty_space = space == "text" ? "image" : "text";
  }

  SearchQuery query_;
};

TEST_F(WordsAndPicturesTest, WordsFindAnItemThatHasAPictureOnly) {
  const auto result = recommender_.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(Ids(*result), Contains("photograph"));
  EXPECT_THAT(Report(*result, StageId::kSource).notes, IsEmpty());

  std::map<std::string, double> scores;
  for (const ResultItem& item : result->results) scores[item.item.id] = item.score;
  EXPECT_NEAR(scores["photograph"], (1 - 0) / 0.5, 1e-6);
  EXPECT_NEAR(scores["liked"], (1 - 0.1) / 0.2, 1e-6);
}

TEST_F(WordsAndPicturesTest, PictureThatMatchesAddsToAText) {
  features_.items.at("near").vectors.back() = {kImage, {1, 0}};
  const auto result = recommender_.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(Ids(*result).front(), "near")
      << "before an item whose text is as near, without a picture";
  const double text = (1 / std::sqrt(1.04) - 0.1) / 0.2;
  EXPECT_NEAR(result->results.front().score, (text + 0.6 * 1 / 0.5) / std::sqrt(1 + 0.36), 1e-5);
}

TEST_F(WordsAndPicturesTest, PictureThatDoesNotMatchTakesNothingFromAText) {
  features_.items.at("near").vectors.back() = {kImage, {-1, 0}};
  const auto result = recommender_.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  for (const ResultItem& item : result->results) {
    if (item.item.id != "near") continue;
    EXPECT_NEAR(item.score, (1 / std::sqrt(1.04) - 0.1) / 0.2, 1e-5);
  }
}

TEST_F(WordsAndPicturesTest, WordsAreNotComparedWithPicturesWhereTheirWeightIsZero) {
  PipelineOptions options;
  options.score.query_image = 0;
  Recommender without({features_, embedder_, retriever_, ranker_}, clock_, options);
  features_.items.at("near").vectors.back() = {kImage, {1, 0}};
  const auto result = without.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Ids(*result).front(), "liked") << "by its text";
  for (const RetrievalRequest& request : retriever_.requests) {
    for (const VectorQuery& searched : request.queries) EXPECT_EQ(searched.vector.space, kText);
  }
}

TEST_F(WordsAndPicturesTest, CatalogOfPicturesAloneIsSearchedByWordsWithoutANote) {
  Keep("image");
  const auto result = recommender_.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("photograph", "near"));
  EXPECT_THAT(Report(*result, StageId::kSource).notes, IsEmpty());
}

TEST_F(WordsAndPicturesTest, CatalogWithoutPicturesIsSearchedByWordsWithoutANote) {
  Keep("text");
  const auto empty = recommender_.Search(query_, Within());
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(Report(*empty, StageId::kSource).notes, IsEmpty());

  // An index that never had a picture does not know the space.
  retriever_.broken_space = "image";
  retriever_.space_error = absl::NotFoundError("no such space");
  const auto unknown = recommender_.Search(query_, Within());
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_THAT(Report(*unknown, StageId::kSource).notes, IsEmpty());
  EXPECT_EQ(Ids(*unknown), Ids(*empty));
}

TEST_F(WordsAndPicturesTest, WordsThatFindNeitherTextNorPictureAreNotedOnce) {
  Keep("text");
  for (auto& [id, record] : features_.items) record.vectors.clear();
  const auto result = recommender_.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), IsEmpty());
  const StageReport& source = Report(*result, StageId::kSource);
  ASSERT_EQ(source.notes.size(), 1u);
  EXPECT_THAT(source.notes[0].detail, HasSubstr("query over text"));
}

TEST_F(WordsAndPicturesTest, FailedSearchOfPicturesIsNotedAndTextsAreFound) {
  retriever_.broken_space = "image";
  retriever_.space_error = absl::DeadlineExceededError("late");
  const auto result = recommender_.Search(query_, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), Contains("near"));
  EXPECT_THAT(Notes(Report(*result, StageId::kSource)), ElementsAre(Degradation::kDeadlineShort));
}

TEST_F(RecommenderTest, SearchKeepsTheQueryUnderItsUserButAnswersAllUsersAlike) {
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";

  const auto anonymous = recommender_.Search(query, Within());
  ASSERT_TRUE(anonymous.ok()) << anonymous.status();
  EXPECT_EQ(embedder_.last_query.user_id, "");
  query.user_id = "u";
  const auto known = recommender_.Search(query, Within());
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_EQ(embedder_.last_query.user_id, "u");
  EXPECT_EQ(Ids(*known), Ids(*anonymous));
  query.user_id = std::string(257, 'u');
  EXPECT_TRUE(absl::IsInvalidArgument(recommender_.Search(query, Within()).status()));
}

TEST_F(RecommenderTest, SearchIsUnavailableWhenEmbeddingOrRetrievalIsDown) {
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";
  embedder_.down = true;

  EXPECT_TRUE(absl::IsUnavailable(recommender_.Search(query, Within()).status()));
  embedder_.down = false;
  retriever_.down = true;
  EXPECT_TRUE(absl::IsUnavailable(recommender_.Search(query, Within()).status()));
}

TEST_F(RecommenderTest, SearchIsAnErrorWhenNoneOfItsPartsRan) {
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";
  retriever_.broken_space = "text";

  const absl::Status status = recommender_.Search(query, Within()).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("nothing could be searched"));
}

TEST_F(RecommenderTest, QueryIsEmbeddedForTheModelThatIsSearchedWhileASpaceChanges) {
  features_.context.catalog.spaces = {{"text", "new", 2}};
  features_.context.spaces = {{"text", "model-a", "model-b"}};
  embedder_.loaded = {"model-a", "model-b"};
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";

  const auto result = recommender_.Search(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(embedder_.last_query.wanted, ElementsAre(kText, SpaceKey{"text", "model-b"}));
  EXPECT_EQ(retriever_.requests.back().queries.at(0).vector.space, kText);
  EXPECT_THAT(Notes(Report(*result, StageId::kSource)), IsEmpty());
}

TEST_F(RecommenderTest, SearchesTheTargetWithANoteWhenTheActiveModelIsGone) {
  features_.context.spaces = {{"text", "model-a", "model-b"}};
  features_.context.num_items = 4;
  features_.context.num_waiting_items = 2;
  features_.context.trending.clear();
  features_.context.fresh.clear();
  embedder_.loaded = {"model-b"};
  const SpaceKey target = {"text", "model-b"};
  features_.items.at("near").vectors.push_back({target, {0, 1}});
  features_.items.at("far").vectors.push_back({target, {1, 0}});
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";

  const auto result = recommender_.Search(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("far", "near")) << "by the target's vectors";
  EXPECT_NEAR(result->results[0].score, (1 - 0.1) / 0.2, 1e-6);
  const StageReport& source = Report(*result, StageId::kSource);
  ASSERT_EQ(source.notes.size(), 1u);
  EXPECT_EQ(source.notes[0].degradation, Degradation::kSpaceUnavailable);
  EXPECT_THAT(source.notes[0].detail, HasSubstr("2 of 4 items"));

  // Without either of them nothing can be searched.
  embedder_.loaded = {"model-c"};
  EXPECT_TRUE(absl::IsUnavailable(recommender_.Search(query, Within()).status()));
}

TEST_F(RecommenderTest, SearchKeepsItsOrderWhenTheSpaceChangesDuringTheRequest) {
  // The vectors that the filter stage reads are of the new model already.
  features_.context.spaces = {{"text", "model-a", "model-a"}};
  embedder_.query_vector = {0, 1};
  retriever_.after_search = [this] {
    for (auto& [id, record] : features_.items) record.vectors[0].space.fingerprint = "model-b";
    features_.context.spaces = {{"text", "model-b", "model-b"}};
  };
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "far";

  const auto result = recommender_.Search(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("far", "middle", "near", "liked"));
}

TEST_F(RecommenderTest, FindsNeighborsOfAnItemThatOnlyTheTargetHasEmbedded) {
  features_.context.spaces = {{"text", "model-a", "model-b"}};
  const SpaceKey target = {"text", "model-b"};
  features_.items.at("near").vectors = {{target, {0, 1}}};
  features_.items.at("far").vectors.push_back({target, {0, 1}});
  SimilarQuery query;
  query.catalog = "shop";
  query.item_id = "near";
  query.space = "text";

  const auto similar = recommender_.SimilarItems(query, Within());
  ASSERT_TRUE(similar.ok()) << similar.status();
  EXPECT_EQ(retriever_.requests.back().queries.at(0).vector.space, target);
  EXPECT_THAT(Ids(*similar), Contains("far"));

  retriever_.requests.clear();
  RecommendQuery recommend = Query();
  recommend.context_item_ids = {"far"};
  ASSERT_TRUE(recommender_.Recommend(recommend, Within()).ok());
  for (const VectorQuery& searched : retriever_.requests.at(0).queries)
    EXPECT_EQ(searched.vector.space, kText) << "one model for each space";
}

TEST_F(RecommenderTest, FindsNeighborsOfAnItemWithoutTheItem) {
  SimilarQuery query;
  query.catalog = "shop";
  query.item_id = "liked";

  const auto result = recommender_.SimilarItems(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("near", "middle", "far"));
  query.item_id = "ghost";
  EXPECT_TRUE(absl::IsNotFound(recommender_.SimilarItems(query, Within()).status()));
}

TEST_F(RecommenderTest, CapsResultsPerAttributeValue) {
  auto query = Query();
  query.diversity.attribute_caps = {{"color", 1}};  // "far" is red like "near"
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Ids(*result), ElementsAre("near", "middle"));
}

TEST_F(RecommenderTest, WritesTheImpressionOfAnAnswer) {
  const auto query = Query();
  {
    Recommender recommender({features_, embedder_, retriever_, ranker_}, clock_, {});
    const auto result = recommender.Recommend(query, Within());
    ASSERT_TRUE(result.ok());
    recommender.RecordImpression(query, *result);
  }  // the destructor runs the queued tasks
  MutexLock lock(features_.mutex);
  ASSERT_EQ(features_.impressions.size(), 1u);
  EXPECT_EQ(features_.impressions[0].user_id, "u");
  EXPECT_EQ(features_.impressions[0].item_ids.size(), 3u);
}

// 440 items, of which 40 are red; 400 others trend.
class ManyItemsTest : public RecommenderTest {
 protected:
  ManyItemsTest() {
    features_.context.fresh.clear();
    features_.context.trending.clear();
    for (int i = 0; i < 440; ++i) {
      const std::string id = absl::StrCat("item-", i);
      features_.AddItem(id, {1, i * 0.01f}).item.attributes = {{"color", i < 40 ? "red" : "blue"}};
      if (i >= 40) features_.context.trending.push_back({id, 1000.0 - i});
    }
  }
};

TEST_F(ManyItemsTest, AnonymousVisitorWithAFilterGetsAllItAsksForThoughOthersTrend) {
  RecommendQuery query;
  query.catalog = "shop";
  query.filter = "color: ANY(\"red\")";
  query.num_results = 40;
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->results.size(), 40u);
  for (const ResultItem& item : result->results)
    EXPECT_EQ(item.reasons[0].source, Source::kCatalog) << item.item.id;
  EXPECT_EQ(Report(*result, StageId::kDiversify).outcome, StageOutcome::kRan);
  EXPECT_EQ(features_.last_query.num_trending, kMaxContextListItems);
}

TEST_F(ManyItemsTest, FilterAppliesBeforeTheTrendingItemsAreCut) {
  features_.context.trending.push_back({"item-3", 2});
  features_.context.trending.push_back({"item-5", 1});
  RecommendQuery query;
  query.catalog = "shop";
  query.filter = "color: ANY(\"red\")";
  query.num_results = 2;
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("item-3", "item-5"));
  EXPECT_EQ(result->results[0].reasons[0].source, Source::kTrending);
  EXPECT_EQ(result->results[0].reasons[0].score, 2);
  EXPECT_EQ(retriever_.requests.size(), 1u);

  // Without retrieval the filter stage applies it to the whole list.
  retriever_.down = true;
  const auto without = recommender_.Recommend(query, Within());
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_THAT(Ids(*without), ElementsAre("item-3", "item-5"));
}

TEST_F(ManyItemsTest, UserWhoHasSeenWhatTrendsGetsTheRest) {
  // Seen without a taste: no vectors to search with.
  features_.context.events.clear();
  features_.context.items.clear();
  for (int i = 40; i < 440; ++i) features_.AddEvent(absl::StrCat("item-", i), 0, kNow);
  auto query = Query();
  query.num_results = 43;
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->results.size(), 43u) << "the 40 red ones, near, middle and far";
}

TEST_F(ManyItemsTest, AnonymousVisitorWithoutRestrictionsCostsNoSearch) {
  RecommendQuery query;
  query.catalog = "shop";
  ASSERT_TRUE(recommender_.Recommend(query, Within()).ok());
  EXPECT_THAT(retriever_.requests, IsEmpty());
  EXPECT_EQ(features_.last_query.num_trending, 100);
}

TEST_F(ManyItemsTest, RecommendReturnsAsManyAsAskedFor) {
  auto query = Query();
  query.num_results = 440;
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->results.size(), 440u);
  EXPECT_EQ(Report(*result, StageId::kDiversify).outcome, StageOutcome::kRan);
}

TEST_F(ManyItemsTest, SearchReturnsAsManyAsAskedForOrSaysWhyNot) {
  SearchQuery query;
  query.catalog = "shop";
  query.query.text = "lamp";
  query.num_results = 440;
  const auto enough = recommender_.Search(query, Within());
  ASSERT_TRUE(enough.ok()) << enough.status();
  EXPECT_EQ(enough->results.size(), 440u);
  EXPECT_EQ(enough->stages.back().outcome, StageOutcome::kRan);

  query.num_results = 500;
  const auto fewer = recommender_.Search(query, Within());
  ASSERT_TRUE(fewer.ok()) << fewer.status();
  EXPECT_EQ(fewer->results.size(), 444u);
  EXPECT_THAT(Notes(fewer->stages.back()), ElementsAre(Degradation::kFewerThanRequested));
}

TEST_F(ManyItemsTest, SimilarItemsSaysWhyItReturnsFewerThanAskedFor) {
  SimilarQuery query;
  query.catalog = "shop";
  query.item_id = "liked";
  query.num_results = 500;
  const auto result = recommender_.SimilarItems(query, Within());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->results.size(), 443u);
  EXPECT_THAT(Notes(result->stages.back()), ElementsAre(Degradation::kFewerThanRequested));
}

TEST_F(ManyItemsTest, SearchAndSimilarItemsDoNotReadTheListsThatTheyDoNotUse) {
  SearchQuery search;
  search.catalog = "shop";
  search.query.text = "lamp";
  ASSERT_TRUE(recommender_.Search(search, Within()).ok());
  EXPECT_EQ(features_.last_query.num_trending, 0);
  EXPECT_EQ(features_.last_query.num_fresh, 0);

  SimilarQuery similar;
  similar.catalog = "shop";
  similar.item_id = "liked";
  ASSERT_TRUE(recommender_.SimilarItems(similar, Within()).ok());
  EXPECT_EQ(features_.last_query.num_trending, 0);
  EXPECT_EQ(features_.last_query.num_fresh, 0);
}

struct BadRequest {
  const char* field;
  std::function<void(RecommendQuery&)> spoil;
};

TEST_F(RecommenderTest, WritesWhatWaitsWhenRecordingStopsAndTouchesTheStoreNoMore) {
  const auto query = Query();
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(result.ok());

  recommender_.RecordImpression(query, *result);
  recommender_.StopRecording();
  {
    MutexLock lock(features_.mutex);
    EXPECT_EQ(features_.impressions.size(), 1u);
  }
  recommender_.RecordImpression(query, *result);
  EXPECT_TRUE(recommender_.Recommend(query, Within()).ok());
  MutexLock lock(features_.mutex);
  EXPECT_EQ(features_.impressions.size(), 1u);
}

class WrongRequestTest : public RecommenderTest,
                         public ::testing::WithParamInterface<BadRequest> {};

TEST_P(WrongRequestTest, NamesTheField) {
  auto query = Query();
  GetParam().spoil(query);
  const auto result = recommender_.Recommend(query, Within());
  ASSERT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
  ASSERT_FALSE(FieldViolations(result.status()).empty());
  EXPECT_THAT(FieldViolations(result.status())[0].field, HasSubstr(GetParam().field));
}

INSTANTIATE_TEST_SUITE_P(
    EveryField, WrongRequestTest,
    ::testing::Values(
        BadRequest{"catalog", [](RecommendQuery& q) { q.catalog.clear(); }},
        BadRequest{"user_id", [](RecommendQuery& q) { q.user_id.assign(257, 'u'); }},
        BadRequest{"user_id", [](RecommendQuery& q) { q.user_id = "\xff\xfe"; }},
        BadRequest{"num_results", [](RecommendQuery& q) { q.num_results = 501; }},
        BadRequest{"num_results", [](RecommendQuery& q) { q.num_results = 0; }},
        BadRequest{"exclude_item_ids[1]",
                   [](RecommendQuery& q) {
                     q.exclude_item_ids = {"a", ""};
                   }},
        BadRequest{
            "exclude_item_ids",
            [](RecommendQuery& q) { q.exclude_item_ids.assign(kMaxExcludedItems + 1, "x"); }},
        BadRequest{"filter", [](RecommendQuery& q) { q.filter = "colour: ANY(\"red\")"; }},
        BadRequest{"filter", [](RecommendQuery& q) { q.filter = "price < "; }},
        BadRequest{"query.text",
                   [](RecommendQuery& q) { q.query.text.assign(kMaxQueryBytes + 1, 'x'); }},
        BadRequest{"diversity.mmr_lambda", [](RecommendQuery& q) { q.diversity.mmr_lambda = 1.5; }},
        BadRequest{"diversity.mmr_lambda",
                   [](RecommendQuery& q) { q.diversity.mmr_lambda = std::nan(""); }},
        BadRequest{"diversity.attribute_caps",
                   [](RecommendQuery& q) {
                     q.diversity.attribute_caps = {{"color", 0}};
                   }},
        BadRequest{"diversity.attribute_caps",
                   [](RecommendQuery& q) {
                     q.diversity.attribute_caps = {{"colour", 1}};
                   }},
        BadRequest{"language", [](RecommendQuery& q) { q.language = "not-a-tag!!"; }},
        BadRequest{"scenario", [](RecommendQuery& q) { q.scenario = "home\n"; }},
        BadRequest{"instruction",
                   [](RecommendQuery& q) { q.instruction = std::string("a\0b", 3); }},
        BadRequest{"request_time",
                   [](RecommendQuery& q) { q.request_time = absl::FromUnixSeconds(-1); }}));

TEST_F(RecommenderTest, CancellingARequestStopsTheEmbeddingOfItsQueryOnThePool) {
  embedder_.blocks = true;
  RecommendQuery query = Query();
  query.query.text = "a lamp";
  const auto cancellation = std::make_shared<Cancellation>();
  std::thread::id caller_id;
  std::thread caller([&] {
    caller_id = std::this_thread::get_id();
    recommender_.Recommend(query, {.cancellation = cancellation}).IgnoreError();
  });
  embedder_.WaitUntilBlocked();
  cancellation->Cancel();
  caller.join();
  MutexLock lock(embedder_.mutex);
  EXPECT_TRUE(embedder_.saw_cancellation);
  EXPECT_NE(embedder_.blocked_thread, caller_id) << "the embedding runs beside the searches";
}

TEST_F(RecommenderTest, CountsTheSourceBudgetByItsOwnClock) {
  const ManualClock clock(kNow);
  PipelineOptions options;
  options.source_budget = absl::Milliseconds(700);
  const Recommender recommender({features_, embedder_, retriever_, ranker_}, clock, options);
  RecommendQuery query = Query();
  query.query.text = "a lamp";

  ASSERT_TRUE(recommender.Recommend(query, {.deadline = kNow + absl::Seconds(5)}).ok());
  EXPECT_EQ(embedder_.last_deadline, kNow + absl::Milliseconds(700));
  ASSERT_TRUE(recommender.Recommend(query, {.deadline = kNow + absl::Milliseconds(300)}).ok());
  EXPECT_EQ(embedder_.last_deadline, kNow + absl::Milliseconds(300));
}

}  // namespace
}  // namespace palate::pipeline
