#include "services/convert/user_context_convert.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

namespace store_pb = palate::featurestore::v1;
using google::protobuf::FieldDescriptor;
using google::protobuf::util::MessageDifferencer;

constexpr char kRequest[] = R"pb(
  catalog: "shop"
  user_id: "u"
  max_events: 7
  request_time { seconds: 1700000000 nanos: 5 }
  spaces: "text"
  spaces: "image"
  num_trending: 8
  num_fresh: 9
  omit_seen_items: true
)pb";

// Vectors are bytes, which AddVectors() fills in.
constexpr char kResponse[] = R"pb(
  catalog {
    id: "shop"
    display_name: "A shop"
    attributes { name: "genre" type: ATTRIBUTE_TYPE_STRING_LIST filterable: true }
    attributes { name: "new" type: ATTRIBUTE_TYPE_BOOL filterable: false }
    event_types { name: "rating" weight: 2 marks_seen: true value_is_rating: true }
    spaces { name: "text" model: "small" dimensions: 2 metric: METRIC_INNER_PRODUCT }
    rerank_weight: 0.25
    create_time { seconds: 1600000000 nanos: 1 }
    revision: 3
  }
  user {
    id: "u"
    profile_text: "Likes walnut."
    persona: "minimalist"
    attributes {
      key: "age"
      value { int64_value: 30 }
    }
    update_time { seconds: 1650000000 nanos: 2 }
  }
  events {
    event {
      event_id: "e1"
      user_id: "u"
      item_id: "b"
      event_type: "rating"
      value: 4.5
      session_id: "s"
      recommendation_id: "r"
      event_time { seconds: 1690000000 nanos: 3 }
    }
    weight: 1.5
  }
  events {
    event {
      event_id: "e2"
      user_id: "u"
      item_id: "gone"
      event_type: "rating"
      value: 1
      session_id: "s"
      recommendation_id: "r"
      event_time { seconds: 1680000000 nanos: 3 }
    }
    weight: -1.5
  }
  items {
    number: 21
    failed_parts {
      part: "images[1]"
      status { code: 3 message: "is no picture" }
    }
    item {
      id: "a"
      title: "A"
      description: "First."
      hidden: true
      revision: 11
      attributes {
        key: "brand"
        value { string_value: "x" }
      }
      images {
        sha256: "01234567890123456789012345678901"
        media_type: "image/png"
        width: 4
        height: 3
        size_bytes: 99
      }
      create_time { seconds: 1500000000 nanos: 4 }
      expire_time { seconds: 1900000000 nanos: 5 }
    }
  }
  items {
    number: 22
    failed_parts {
      part: "images[1]"
      status { code: 3 message: "is no picture" }
    }
    item {
      id: "b"
      title: "B"
      description: "Second."
      hidden: true
      revision: 12
      attributes {
        key: "genre"
        value { string_list_value { values: "x" values: "y" } }
      }
      attributes {
        key: "new"
        value { bool_value: true }
      }
      attributes {
        key: "price"
        value { double_value: 2.5 }
      }
      images {
        sha256: "01234567890123456789012345678902"
        media_type: "image/webp"
        width: 5
        height: 6
        size_bytes: 98
      }
      create_time { seconds: 1510000000 nanos: 4 }
      expire_time { seconds: 1910000000 nanos: 5 }
    }
  }
  seen_item_numbers: "\072\060\000\000\002\000\000\000\000\000\000\000\001\000\000\000\030\000\000\000\032\000\000\000\003\000\160\021"
  trending { item_id: "t" score: 3.5 }
  fresh { item_id: "f" score: 1.7e9 }
  has_more_events: true
  spaces { name: "text" active_fingerprint: "m1" target_fingerprint: "m3" }
  num_items: 5
  num_waiting_items: 4
)pb";

template <typename Message>
Message Parse(const char* text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

store_pb::GetUserContextResponse FullResponse() {
  auto response = Parse<store_pb::GetUserContextResponse>(kResponse);
  for (types_pb::ItemRecord& record : *response.mutable_items()) {
    *record.add_vectors() = ToProto(SpaceVector{{"text", "m1"}, {0.6f, 0.8f}});
    *record.add_vectors() = ToProto(SpaceVector{{"image", "m2"}, {1, 0}});
  }
  return response;
}

// Adds the paths of fields that no message under `message` sets to `unset`, so that the test finds
// fields that are added later. A oneof counts as set when one of its fields is set. A context has
// no image bytes, and these failures no details.
void FindUnset(const google::protobuf::Message& message, const std::string& path,
               std::string& unset) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const std::string name = absl::StrCat(path, ".", field->name());
    if (field->full_name() == "palate.types.v1.ItemImage.data" ||
        field->full_name() == "google.rpc.Status.details")
      continue;

    if (field->is_repeated()) {
      if (reflection.FieldSize(message, field) == 0) absl::StrAppend(&unset, " ", name);
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
        FindUnset(reflection.GetRepeatedMessage(message, field, j), name, unset);
      }
    } else if (reflection.HasField(message, field)) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
        FindUnset(reflection.GetMessage(message, field), name, unset);
    } else if (field->real_containing_oneof() == nullptr) {
      absl::StrAppend(&unset, " ", name);
    }
  }
}

TEST(UserContextConvertTest, QueryRoundTripsWithEveryField) {
  const auto request = Parse<store_pb::GetUserContextRequest>(kRequest);
  std::string unset;
  FindUnset(request, "request", unset);
  EXPECT_EQ(unset, "");

  const absl::StatusOr<UserContextQuery> query = FromProto(request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_TRUE(MessageDifferencer::Equals(ToProto(*query), request))
      << ToProto(*query).DebugString();
}

TEST(UserContextConvertTest, QueryWithoutTimeMeansNow) {
  const absl::StatusOr<UserContextQuery> query = FromProto(store_pb::GetUserContextRequest());
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->request_time, absl::InfiniteFuture());
  EXPECT_FALSE(ToProto(*query).has_request_time());
}

TEST(UserContextConvertTest, ContextRoundTripsWithEveryField) {
  const store_pb::GetUserContextResponse response = FullResponse();
  std::string unset;
  FindUnset(response, "response", unset);
  EXPECT_EQ(unset, "");

  const absl::StatusOr<UserContext> context = FromProto(response);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_TRUE(MessageDifferencer::Equals(ToProto(*context), response))
      << ToProto(*context).DebugString();
}

TEST(UserContextConvertTest, EventsFindTheirItems) {
  const absl::StatusOr<UserContext> context = FromProto(FullResponse());
  ASSERT_TRUE(context.ok()) << context.status();
  ASSERT_EQ(context->events.size(), 2u);
  EXPECT_EQ(context->events[0].item_index, 1);
  ASSERT_NE(context->ItemOf(context->events[0]), nullptr);
  EXPECT_EQ(context->ItemOf(context->events[0])->item.title, "B");
  EXPECT_EQ(context->events[1].item_index, -1);
  EXPECT_EQ(context->ItemOf(context->events[1]), nullptr);
}

TEST(UserContextConvertTest, EmptyContextRoundTrips) {
  const absl::StatusOr<UserContext> context = FromProto(ToProto(UserContext()));
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_FALSE(context->user.has_value());
  EXPECT_TRUE(context->events.empty());
  EXPECT_FALSE(context->has_more_events);
}

TEST(UserContextConvertTest, DamagedElementsAreNamed) {
  const auto field = [](const store_pb::GetUserContextResponse& response) {
    const auto violations = FieldViolations(FromProto(response).status());
    return violations.size() == 1 ? violations[0].field
                                  : absl::StrCat(violations.size(), " violations");
  };

  store_pb::GetUserContextResponse response = FullResponse();
  response.mutable_items(1)->mutable_vectors(1)->set_values("123");
  EXPECT_EQ(field(response), "items[1].vectors[1].values");

  response = FullResponse();
  response.mutable_items(0)->mutable_item()->mutable_create_time()->set_seconds(-1);
  EXPECT_EQ(field(response), "items[0].item.create_time");

  response = FullResponse();
  response.mutable_events(1)->mutable_event()->mutable_event_time()->set_seconds(-1);
  EXPECT_EQ(field(response), "events[1].event.event_time");
}

}  // namespace
}  // namespace palate::services
