// Limits of RankingService's messages: the value at the limit is accepted, one above it is refused
// with field, value and limit.
#include "services/convert/ranking_convert.h"

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::services {
namespace {

namespace ranking_pb = palate::ranking::v1;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct Edge {
  std::string field;  // as the error names it
  size_t limit;
  std::function<absl::Status(size_t size)> convert;  // a message whose field has `size` bytes
};

// A language tag of that many bytes, "de-de-de-…".
std::string TagOf(size_t size) {
  std::string tag;
  while (tag.size() < size) tag += "de-";
  tag.resize(size, 'e');
  return tag;
}

absl::Status ConvertRank(const std::function<void(ranking_pb::RankRequest&)>& set) {
  ranking_pb::RankRequest request;
  request.add_candidates()->set_item_id("a");
  set(request);
  return FromProto(request).status();
}

absl::Status ConvertExplain(const std::function<void(ranking_pb::ExplainInput&)>& set) {
  ranking_pb::ExplainRequest request;
  request.add_inputs()->mutable_item()->set_item_id("a");
  set(*request.mutable_inputs(0));
  return FromProto(request).status();
}

TEST(RankingConvertTest, AcceptsTextAtTheLimitAndRefusesOneByteMore) {
  const Edge edges[] = {
      {"instruction", kMaxInstructionBytes,
       [](size_t size) {
         return ConvertRank(
             [&](auto& request) { request.set_instruction(std::string(size, 'i')); });
       }},
      {"candidates[0].item_id", kMaxIdBytes,
       [](size_t size) {
         return ConvertRank([&](auto& request) {
           request.mutable_candidates(0)->set_item_id(std::string(size, 'a'));
         });
       }},
      {"candidates[0].title", kMaxTitleBytes,
       [](size_t size) {
         return ConvertRank([&](auto& request) {
           request.mutable_candidates(0)->set_title(std::string(size, 't'));
         });
       }},
      {"candidates[0].description", kMaxDescriptionBytes,
       [](size_t size) {
         return ConvertRank([&](auto& request) {
           request.mutable_candidates(0)->set_description(std::string(size, 'd'));
         });
       }},
      {"query.text", kMaxContentBytes,
       [](size_t size) {
         return ConvertRank(
             [&](auto& request) { request.mutable_query()->set_text(std::string(size, 'q')); });
       }},
      {"inputs[0].language", kMaxLanguageBytes,
       [](size_t size) {
         return ConvertExplain([&](auto& input) { input.set_language(TagOf(size)); });
       }},
      {"inputs[0].item.title", kMaxTitleBytes,
       [](size_t size) {
         return ConvertExplain(
             [&](auto& input) { input.mutable_item()->set_title(std::string(size, 't')); });
       }},
  };

  for (const Edge& edge : edges) {
    SCOPED_TRACE(edge.field);
    EXPECT_EQ(edge.convert(edge.limit), absl::OkStatus());
    const absl::Status above = edge.convert(edge.limit + 1);
    ASSERT_TRUE(absl::IsInvalidArgument(above)) << above;
    ASSERT_EQ(FieldViolations(above).size(), 1u);
    EXPECT_EQ(FieldViolations(above)[0].field, edge.field);
    EXPECT_THAT(FieldViolations(above)[0].description,
                AllOf(HasSubstr(absl::StrCat("has ", edge.limit + 1, " bytes")),
                      HasSubstr(absl::StrCat("at most ", edge.limit))));
  }
}

}  // namespace
}  // namespace palate::services
