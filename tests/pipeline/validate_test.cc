// Requests at the limits of domain/limits.h: a value at the limit is accepted, one above it is
// rejected with field, value and limit.
#include "pipeline/validate.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "domain/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::pipeline {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// One limit of a Recommend request. `set` makes a request whose field has `size`.
struct Edge {
  std::string name;
  std::string field;  // as the error names it
  size_t limit;
  std::function<void(RecommendQuery& query, size_t size)> set;
};

void PrintTo(const Edge& edge, std::ostream* out) { *out << edge.name; }

Event SessionEvent(const std::string& item_id) {
  Event event;
  event.item_id = item_id;
  event.type = "view";
  return event;
}

// A language tag of that many bytes, "de-de-de-…".
std::string TagOf(size_t size) {
  std::string tag;
  while (tag.size() < size) tag += "de-";
  tag.resize(size, 'e');
  return tag;
}

RecommendQuery QueryWith(const Edge& edge, size_t size) {
  RecommendQuery query;
  query.catalog = "shop";
  query.request_time = absl::FromUnixSeconds(1'700'000'000);
  edge.set(query, size);
  return query;
}

class RecommendLimitTest : public ::testing::TestWithParam<Edge> {};

TEST_P(RecommendLimitTest, IsAcceptedAtTheLimitAndRefusedAboveIt) {
  const Edge& edge = GetParam();
  EXPECT_EQ(Validate(QueryWith(edge, edge.limit)), absl::OkStatus());

  const absl::Status above = Validate(QueryWith(edge, edge.limit + 1));
  ASSERT_TRUE(absl::IsInvalidArgument(above)) << above;
  ASSERT_EQ(FieldViolations(above).size(), 1u);
  EXPECT_EQ(FieldViolations(above)[0].field, edge.field);
  EXPECT_THAT(std::string(above.message()), AllOf(HasSubstr(absl::StrCat(edge.limit + 1)),
                                                  HasSubstr(absl::StrCat(" ", edge.limit))));
}

INSTANTIATE_TEST_SUITE_P(
    EveryLimit, RecommendLimitTest,
    ::testing::Values(
        Edge{"UserId", "user_id", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) { q.user_id.assign(size, 'u'); }},
        Edge{"Scenario", "scenario", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) { q.scenario.assign(size, 's'); }},
        Edge{"Language", "language", kMaxLanguageBytes,
             [](RecommendQuery& q, size_t size) { q.language = TagOf(size); }},
        Edge{"Instruction", "instruction", kMaxInstructionBytes,
             [](RecommendQuery& q, size_t size) { q.instruction.assign(size, 'i'); }},
        Edge{"Filter", "filter", kMaxFilterBytes,
             [](RecommendQuery& q, size_t size) { q.filter.assign(size, 'f'); }},
        Edge{"QueryText", "query.text", kMaxQueryBytes,
             [](RecommendQuery& q, size_t size) { q.query.text.assign(size, 't'); }},
        Edge{"QueryImage", "query.image", kMaxImageBytes,
             [](RecommendQuery& q, size_t size) { q.query.image.assign(size, 'i'); }},
        Edge{"SessionEvents", "session_events", kMaxSessionEvents,
             [](RecommendQuery& q, size_t size) {
               q.session_events.assign(size, SessionEvent("a"));
             }},
        Edge{"SessionEventItem", "session_events[0].item_id", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) {
               q.session_events = {SessionEvent(std::string(size, 'i'))};
             }},
        Edge{"SessionEventId", "session_events[0].event_id", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) {
               q.session_events = {SessionEvent("a")};
               q.session_events[0].event_id.assign(size, 'e');
             }},
        Edge{"SessionEventUser", "session_events[0].user_id", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) {
               q.session_events = {SessionEvent("a")};
               q.session_events[0].user_id.assign(size, 'u');
             }},
        Edge{"SessionEventSession", "session_events[0].session_id", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) {
               q.session_events = {SessionEvent("a")};
               q.session_events[0].session_id.assign(size, 's');
             }},
        Edge{"SessionEventRecommendation", "session_events[0].recommendation_id", kMaxIdBytes,
             [](RecommendQuery& q, size_t size) {
               q.session_events = {SessionEvent("a")};
               q.session_events[0].recommendation_id.assign(size, 'r');
             }},
        Edge{"ContextItems", "context_item_ids", kMaxContextItems,
             [](RecommendQuery& q, size_t size) { q.context_item_ids.assign(size, "a"); }},
        Edge{"ExcludedItems", "exclude_item_ids", kMaxExcludedItems,
             [](RecommendQuery& q, size_t size) { q.exclude_item_ids.assign(size, "a"); }},
        Edge{"Results", "num_results", kMaxResults,
             [](RecommendQuery& q, size_t size) { q.num_results = static_cast<int>(size); }},
        Edge{"AttributeCaps", "diversity.attribute_caps", kMaxAttributeCaps,
             [](RecommendQuery& q, size_t size) {
               for (size_t i = 0; i < size; ++i)
                 q.diversity.attribute_caps[absl::StrCat("a", i)] = 1;
             }},
        Edge{"CappedResults", "diversity.attribute_caps[\"color\"]", kMaxCappedResults,
             [](RecommendQuery& q, size_t size) {
               q.diversity.attribute_caps["color"] = static_cast<int>(size);
             }}),
    [](const auto& info) { return info.param.name; });

TEST(SessionEventLimitTest, EventAheadOfTheClockIsAcceptedForADay) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  RecommendQuery query;
  query.catalog = "shop";
  query.session_events = {SessionEvent("a")};
  query.session_events[0].time = now + absl::Hours(24);
  EXPECT_EQ(Validate(query, now), absl::OkStatus());
  query.session_events[0].time += absl::Seconds(1);
  const absl::Status late = Validate(query, now);
  ASSERT_TRUE(absl::IsInvalidArgument(late));
  EXPECT_EQ(FieldViolations(late)[0].field, "session_events[0].event_time");

  RankQuery rank;
  rank.catalog = "shop";
  rank.item_ids = {"a"};
  rank.session_events = query.session_events;
  EXPECT_TRUE(absl::IsInvalidArgument(Validate(rank, now)));
}

// Sets one id of a session event.
struct SessionId {
  std::string field;
  std::function<void(Event& event, const std::string& id)> set;
};

std::vector<SessionId> SessionIds() {
  return {{"item_id", [](Event& event, const std::string& id) { event.item_id = id; }},
          {"event_id", [](Event& event, const std::string& id) { event.event_id = id; }},
          {"user_id", [](Event& event, const std::string& id) { event.user_id = id; }},
          {"session_id", [](Event& event, const std::string& id) { event.session_id = id; }},
          {"recommendation_id",
           [](Event& event, const std::string& id) { event.recommendation_id = id; }}};
}

TEST(SessionEventIdTest, IsCheckedAsTheFeatureStoreChecksTheIdsOfEvents) {
  const std::vector<std::string> wrong = {
      "a\nb", std::string("a\0b", 3), "\x1b[31m", "\x7f", "a\xc2\x85", "a\xff"};
  for (const SessionId& id : SessionIds()) {
    for (const std::string& value : wrong) {
      RecommendQuery query;
      query.catalog = "shop";
      query.session_events = {SessionEvent("a"), SessionEvent("b")};
      id.set(query.session_events[1], value);
      const absl::Status status = Validate(query, absl::FromUnixSeconds(1'700'000'000));
      ASSERT_TRUE(absl::IsInvalidArgument(status)) << id.field << " " << absl::CHexEscape(value);
      EXPECT_EQ(FieldViolations(status)[0].field, absl::StrCat("session_events[1].", id.field));
      EXPECT_FALSE(HasControlCharacter(status.message())) << status.message();
    }
  }
}

TEST(MessageTest, OfAWrongRequestHasNoControlCharacters) {
  const std::string wild = "\x1b[31m\n\x07";
  std::vector<RecommendQuery> queries(7);
  for (RecommendQuery& query : queries) query.catalog = "shop";
  queries[0].catalog = wild;
  queries[1].user_id = wild;
  queries[2].scenario = wild;
  queries[3].language = wild;
  queries[4].context_item_ids = {wild};
  queries[5].exclude_item_ids = {wild};
  queries[6].diversity.attribute_caps = {{wild, 0}};
  for (const RecommendQuery& query : queries) {
    const absl::Status status = Validate(query);
    ASSERT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_FALSE(HasControlCharacter(status.message())) << status.message();
    EXPECT_FALSE(HasControlCharacter(FieldViolations(status)[0].field));
  }
}

TEST(MessageTest, ShowsANumberThatIsJustBeyondItsLimit) {
  RecommendQuery query;
  query.catalog = "shop";
  query.diversity.mmr_lambda = 1.0000001;
  EXPECT_THAT(std::string(Validate(query).message()), HasSubstr("is 1.0000001; must be 0 to 1"));
}

TEST(RankLimitTest, LanguageAndInstructionAreThoseOfRecommend) {
  RankQuery query;
  query.catalog = "shop";
  query.item_ids = {"a"};
  query.request_time = absl::FromUnixSeconds(1'700'000'000);
  query.language = TagOf(kMaxLanguageBytes);
  query.instruction.assign(kMaxInstructionBytes, 'i');
  EXPECT_EQ(Validate(query), absl::OkStatus());

  query.language.push_back('e');
  EXPECT_THAT(std::string(Validate(query).message()),
              HasSubstr("language has 65 bytes; must be at most 64"));
  query.language.clear();
  query.instruction.push_back('i');
  EXPECT_THAT(std::string(Validate(query).message()),
              HasSubstr("instruction has 4097 bytes; must be at most 4096"));
}

}  // namespace
}  // namespace palate::pipeline
