// Conversions between messages and the domain's types: enums in both directions, and messages that
// cannot be converted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/status.h"
#include "services/convert/change_convert.h"
#include "services/convert/ranking_convert.h"
#include "services/convert/types_convert.h"
#include "services/gateway/recommender_convert.h"

namespace palate::services {
namespace {

using ::testing::HasSubstr;

// Expects that every value of `Message` except those in `without` converts to a value of ours and
// back to itself, and that the number after the last one is refused with the enum's name.
template <typename Message>
void ExpectRoundTrips(const google::protobuf::EnumDescriptor* type,
                      const std::vector<Message>& without) {
  for (int i = 0; i < type->value_count(); ++i) {
    const auto message = static_cast<Message>(type->value(i)->number());
    const auto value = FromProto(message);
    const bool known = std::find(without.begin(), without.end(), message) == without.end();
    ASSERT_EQ(value.ok(), known) << type->value(i)->name();
    if (known) {
      EXPECT_EQ(ToProto(*value), message) << type->value(i)->name();
    }
  }

  const absl::Status refused = FromProto(static_cast<Message>(type->value_count())).status();
  EXPECT_THAT(
      std::string(refused.message()),
      HasSubstr(absl::StrCat("is ", type->value_count(), "; must be a value of ", type->name())));
  ASSERT_EQ(FieldViolations(refused).size(), 1u);
}

TEST(EnumConvertTest, AttributeTypesRoundTrip) {
  ExpectRoundTrips<types_pb::AttributeType>(types_pb::AttributeType_descriptor(),
                                            {types_pb::ATTRIBUTE_TYPE_UNSPECIFIED});
}

TEST(EnumConvertTest, EvidenceKindsRoundTrip) {
  ExpectRoundTrips<types_pb::EvidenceKind>(types_pb::EvidenceKind_descriptor(),
                                           {types_pb::EVIDENCE_KIND_UNSPECIFIED});
}

TEST(EnumConvertTest, ExplanationSourcesRoundTrip) {
  ExpectRoundTrips<types_pb::ExplanationSource>(types_pb::ExplanationSource_descriptor(),
                                                {types_pb::EXPLANATION_SOURCE_UNSPECIFIED});
}

TEST(EnumConvertTest, TemplateCausesRoundTrip) {
  for (const ranking::TemplateCause cause :
       {ranking::TemplateCause::kNone, ranking::TemplateCause::kNoModel,
        ranking::TemplateCause::kNothingToSay, ranking::TemplateCause::kOutOfTime,
        ranking::TemplateCause::kRefused}) {
    EXPECT_EQ(FromProto(ToProto(cause)), cause);
  }
}

TEST(EnumConvertTest, RankModesRoundTrip) {
  ExpectRoundTrips<ranking_pb::RankMode>(ranking_pb::RankMode_descriptor(), {});
}

TEST(EnumConvertTest, CandidateSourcesRoundTrip) {
  ExpectRoundTrips<recommender_pb::CandidateSource>(recommender_pb::CandidateSource_descriptor(),
                                                    {recommender_pb::CANDIDATE_SOURCE_UNSPECIFIED});
}

TEST(EnumConvertTest, StagesRoundTrip) {
  ExpectRoundTrips<recommender_pb::Stage>(recommender_pb::Stage_descriptor(),
                                          {recommender_pb::STAGE_UNSPECIFIED});
}

TEST(EnumConvertTest, StageStatusesRoundTrip) {
  ExpectRoundTrips<recommender_pb::StageStatus>(recommender_pb::StageStatus_descriptor(),
                                                {recommender_pb::STAGE_STATUS_UNSPECIFIED});
}

TEST(EnumConvertTest, DegradationsRoundTrip) {
  ExpectRoundTrips<recommender_pb::Degradation>(recommender_pb::Degradation_descriptor(), {});
}

TEST(EnumConvertTest, ExplainModesRoundTripAndNoModeMeansNone) {
  for (const pipeline::ExplainMode mode :
       {pipeline::ExplainMode::kNone, pipeline::ExplainMode::kTemplate,
        pipeline::ExplainMode::kLlm}) {
    EXPECT_EQ(*FromProto(ToProto(mode)), mode);
  }
  EXPECT_EQ(*FromProto(types_pb::EXPLAIN_MODE_UNSPECIFIED), pipeline::ExplainMode::kNone);
  EXPECT_FALSE(FromProto(static_cast<types_pb::ExplainMode>(9)).ok());
}

TEST(EnumConvertTest, ChangesOfTheStoreReachTheIndex) {
  using featurestore::ChangeKind;
  using Kind = retrieval::Change::Kind;
  const std::vector<std::pair<ChangeKind, std::optional<Kind>>> expected = {
      {ChangeKind::kItemUpserted, Kind::kItem},
      {ChangeKind::kItemDeleted, Kind::kDelete},
      {ChangeKind::kVectorsChanged, Kind::kItem},
      {ChangeKind::kUserChanged, std::nullopt},
      {ChangeKind::kUserPurged, std::nullopt},
      {ChangeKind::kCatalogChanged, Kind::kCatalog},
      {ChangeKind::kSpacesSwitched, Kind::kCatalog},
      {ChangeKind::kCatalogDeleted, Kind::kCatalogDeleted}};

  const absl::Time time = absl::FromUnixMicros(1'700'000'000'123'456);
  for (const auto& [written, read] : expected) {
    const auto change = FromProto(ToProto(featurestore::Change{written, "key", 7, time}, "shop"));
    ASSERT_TRUE(change.ok()) << change.status();
    ASSERT_EQ(change->has_value(), read.has_value());
    if (!read.has_value()) continue;
    EXPECT_EQ((*change)->kind, *read);
    EXPECT_EQ((*change)->catalog, "shop");
    EXPECT_EQ((*change)->revision, 7);
    EXPECT_EQ((*change)->time, time);
    EXPECT_EQ((*change)->item_id, *read == Kind::kItem || *read == Kind::kDelete ? "key" : "");
  }

  store_pb::Change unknown;
  unknown.set_kind(static_cast<store_pb::ChangeKind>(99));
  EXPECT_EQ(FieldViolations(FromProto(unknown).status())[0].field, "kind");
}

TEST(ConvertTest, CatalogRoundTrips) {
  Catalog catalog;
  catalog.id = "shop";
  catalog.attributes = {{"price", AttributeType::kDouble, true},
                        {"tags", AttributeType::kStringList, false}};
  catalog.event_types = {{"view", 0.5, true, false}, {"rating", 1, false, true}};
  catalog.spaces = {{"text", "", 64}};
  catalog.rerank_weight = 0.25;
  catalog.create_time = absl::FromUnixSeconds(7);
  catalog.revision = 3;

  const absl::StatusOr<Catalog> back = FromProto(ToProto(catalog));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToProto(*back).SerializeAsString(), ToProto(catalog).SerializeAsString());
  EXPECT_EQ(back->attributes.size(), 2u);
  EXPECT_EQ(back->spaces.size(), 1u);
}

TEST(ConvertTest, UnknownEnumNumbersAreNamedByTheirPath) {
  types_pb::Catalog catalog;
  catalog.add_attributes()->set_type(types_pb::ATTRIBUTE_TYPE_BOOL);
  catalog.add_attributes()->set_type(static_cast<types_pb::AttributeType>(77));
  absl::Status status = FromProto(catalog).status();
  EXPECT_EQ(status.message(), "attributes[1].type is 77; must be a value of AttributeType");

  catalog.mutable_attributes()->RemoveLast();
  catalog.add_spaces()->set_metric(static_cast<types_pb::Metric>(5));
  status = FromProto(catalog).status();
  EXPECT_EQ(FieldViolations(status)[0].field, "spaces[0].metric");

  recommender_pb::RecommendRequest request;
  request.set_explain(static_cast<types_pb::ExplainMode>(8));
  EXPECT_EQ(FieldViolations(FromProto(request).status())[0].field, "explain");

  recommender_pb::RecommendResponse response;
  recommender_pb::StageReport* report = response.add_stages();
  report->set_stage(recommender_pb::STAGE_SCORE);
  report->set_status(recommender_pb::STAGE_STATUS_RAN);
  report->add_notes()->set_degradation(static_cast<recommender_pb::Degradation>(200));
  EXPECT_EQ(FieldViolations(FromProto(response).status())[0].field,
            "stages[0].notes[0].degradation");
}

TEST(ConvertTest, ErrorsInsideAListNameTheElement) {
  ranking_pb::ExplainRequest request;
  request.add_inputs()->mutable_item()->set_item_id("a");
  ranking_pb::ExplainInput* input = request.add_inputs();
  input->mutable_item()->set_item_id("b");
  input->add_history()->mutable_item()->set_item_id("c");
  input->mutable_history(0)->set_weight(std::numeric_limits<double>::infinity());
  EXPECT_EQ(FieldViolations(FromProto(request).status())[0].field, "inputs[1].history[0].weight");
}

TEST(ConvertTest, StageReportRoundTrips) {
  pipeline::StageReport report;
  report.id = pipeline::StageId::kRerank;
  report.outcome = pipeline::StageOutcome::kDegraded;
  report.duration = absl::Milliseconds(1500);
  report.notes = {{pipeline::Degradation::kDeadlineShort, "3 ms were left"}};

  const absl::StatusOr<pipeline::StageReport> back = FromProto(ToProto(report));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToProto(*back).SerializeAsString(), ToProto(report).SerializeAsString());
  EXPECT_EQ(back->duration, report.duration);
}

TEST(ConvertTest, RecommendQueryRoundTrips) {
  pipeline::RecommendQuery query;
  query.catalog = "shop";
  query.user_id = "u";
  query.query = {"red lamp", "bytes"};
  query.explain = pipeline::ExplainMode::kLlm;
  query.diversity = {0.5, {{"brand", 2}}, 0.1};
  query.num_results = 7;

  const absl::StatusOr<pipeline::RecommendQuery> back = FromProto(ToProto(query));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToProto(*back).SerializeAsString(), ToProto(query).SerializeAsString());
  EXPECT_EQ(back->query.image, "bytes");
  EXPECT_EQ(back->explain, pipeline::ExplainMode::kLlm);
}

}  // namespace
}  // namespace palate::services
