// Conversions: statuses, text that is not UTF-8, and the shared types.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status.h"
#include "palate/recommender/v1/recommender_service.pb.h"
#include "services/convert/types_convert.h"
#include "services/runtime/status_convert.h"
#include "services/runtime/wire_text.h"

namespace palate::services {
namespace {

namespace pb = palate::recommender::v1;
using ::testing::HasSubstr;

TEST(StatusConvertTest, FieldViolationsRoundTrip) {
  const absl::Status there = InvalidField("items[3].title", "has 70000 bytes", "at most 1024");
  const absl::Status back = ToAbslStatus(ToGrpcStatus(there));
  EXPECT_EQ(back.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(FieldViolations(back).size(), 1u);
  EXPECT_EQ(FieldViolations(back)[0].field, "items[3].title");
  EXPECT_EQ(FieldViolations(back)[0].description, FieldViolations(there)[0].description);
}

TEST(StatusConvertTest, CodesAndMessagesRoundTrip) {
  const absl::Status back = ToAbslStatus(ToGrpcStatus(absl::AbortedError("revision 4 is stored")));
  EXPECT_EQ(back, absl::AbortedError("revision 4 is stored"));
  EXPECT_TRUE(ToAbslStatus(ToGrpcStatus(absl::OkStatus())).ok());
}

TEST(StatusConvertTest, NamesTheReasonWhenTheServerLacksTheMethod) {
  const absl::Status status = ToAbslStatus(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no such service or method"));
}

const char kBad[] =
    "a\xFF\xFE"
    "b";

TEST(ParseTolerantlyTest, KeepsBadTextInItsField) {
  pb::UpsertItemsRequest request;
  request.set_catalog("shop");
  request.add_writes()->mutable_item()->set_title("good");
  types_pb::Item* item = request.add_writes()->mutable_item();
  item->set_title(kBad);
  item->set_description("fine");
  (*item->mutable_attributes())["style"].set_string_value(kBad);
  (*item->mutable_attributes())["tags"].mutable_string_list_value()->add_values("one");
  (*item->mutable_attributes())["tags"].mutable_string_list_value()->add_values(kBad);

  pb::UpsertItemsRequest parsed;
  ASSERT_TRUE(ParseTolerantly(request.SerializeAsString(), parsed).ok());

  EXPECT_EQ(parsed.catalog(), "shop");
  ASSERT_EQ(parsed.writes_size(), 2);
  EXPECT_EQ(parsed.writes(0).item().title(), "good");
  EXPECT_EQ(parsed.writes(1).item().title(), kBad);
  EXPECT_EQ(parsed.writes(1).item().description(), "fine");
  EXPECT_EQ(parsed.writes(1).item().attributes().at("style").string_value(), kBad);
  EXPECT_EQ(parsed.writes(1).item().attributes().at("tags").string_list_value().values(0), "one");
  EXPECT_EQ(parsed.writes(1).item().attributes().at("tags").string_list_value().values(1), kBad);
}

TEST(ParseTolerantlyTest, ReplacesBadBytesOfMapKeys) {
  pb::UpsertItemsRequest request;
  (*request.add_writes()->mutable_item()->mutable_attributes())[kBad].set_int64_value(3);
  pb::UpsertItemsRequest parsed;
  ASSERT_TRUE(ParseTolerantly(request.SerializeAsString(), parsed).ok());
  EXPECT_EQ(parsed.writes(0)
                .item()
                .attributes()
                .at("a\xEF\xBF\xBD\xEF\xBF\xBD"
                    "b")
                .int64_value(),
            3);
}

TEST(ParseTolerantlyTest, RefusesBytesThatAreNoMessage) {
  pb::UpsertItemsRequest parsed;
  EXPECT_EQ(ParseTolerantly("\x0A\x7Fxx", parsed).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseTolerantly("\xFF\xFF\xFF", parsed).code(), absl::StatusCode::kInvalidArgument);
}

TEST(TypesConvertTest, ItemRoundTrips) {
  Item item;
  item.id = "1";
  item.title = "Chair";
  item.attributes = {{"price", 3.5},
                     {"tags", std::vector<std::string>{"a", "b"}},
                     {"stock", int64_t{4}},
                     {"new", true}};
  item.create_time = absl::FromUnixMicros(1234567);
  item.expire_time = absl::FromUnixSeconds(9);
  item.revision = 7;

  const absl::StatusOr<Item> back = FromProto(ToProto(item));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->attributes, item.attributes);
  EXPECT_EQ(back->create_time, item.create_time);
  EXPECT_EQ(back->expire_time, item.expire_time);
  EXPECT_EQ(back->revision, 7);
}

TEST(TypesConvertTest, TimeBefore1970IsRefusedByName) {
  types_pb::Event event;
  event.mutable_event_time()->set_seconds(-1);
  const absl::Status status = FromProto(event, true).status();
  ASSERT_EQ(FieldViolations(status).size(), 1u);
  EXPECT_EQ(FieldViolations(status)[0].field, "event_time");
}

TEST(TypesConvertTest, AttributeWithoutValueIsRefusedByName) {
  types_pb::Item item;
  (*item.mutable_attributes())["style"];
  EXPECT_THAT(std::string(FromProto(item).status().message()),
              HasSubstr("attributes[\"style\"] has no value"));
}

TEST(TypesConvertTest, VectorWithInfinityIsRefused) {
  SpaceVector vector{{"text", "f"}, {1.0f, std::numeric_limits<float>::infinity()}};
  EXPECT_THAT(std::string(FromProto(ToProto(vector)).status().message()),
              HasSubstr("at dimension 1"));
}

TEST(TypesConvertTest, VectorOfBrokenLengthIsRefused) {
  types_pb::Vector vector = ToProto(SpaceVector{{"text", "f"}, {1.0f}});
  vector.mutable_values()->push_back('x');
  EXPECT_THAT(std::string(FromProto(vector).status().message()), HasSubstr("has 5 bytes"));
}

}  // namespace
}  // namespace palate::services
