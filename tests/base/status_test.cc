#include "base/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace palate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolations(status)) fields.push_back(violation.field);
  return fields;
}

TEST(StatusTest, InvalidFieldNamesFieldValueAndLimit) {
  const absl::Status status = InvalidField("title", "has 2000 bytes", "at most 1024");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "title has 2000 bytes; must be at most 1024");
  EXPECT_THAT(Fields(status), ElementsAre("title"));
}

TEST(StatusTest, EmptyPathNamesTheElementItself) {
  const absl::Status status = InvalidField("", "is empty", "1 to 256 bytes");
  EXPECT_EQ(status.message(), "is empty; must be 1 to 256 bytes");
  EXPECT_EQ(PrefixFields(status, "item_ids[3]").message(),
            "item_ids[3] is empty; must be 1 to 256 bytes");
}

TEST(StatusTest, PrefixFieldsRewritesEveryPathAndTheMessage) {
  const absl::Status both = InvalidFields("", {{"title", "is long"}, {"images[1]", "is broken"}});

  const absl::Status inside = PrefixFields(PrefixFields(both, "item"), "writes[2]");
  EXPECT_THAT(Fields(inside), ElementsAre("writes[2].item.title", "writes[2].item.images[1]"));
  EXPECT_EQ(inside.message(), "writes[2].item.title is long");
}

TEST(StatusTest, PrefixFieldsLeavesStatusesWithoutFieldsAlone) {
  EXPECT_EQ(PrefixFields(absl::NotFoundError("item \"a\" is not known"), "items[0]"),
            absl::NotFoundError("item \"a\" is not known"));
  EXPECT_TRUE(PrefixFields(absl::OkStatus(), "items[0]").ok());
}

TEST(StatusTest, PrefixFieldsPassesValuesOn) {
  EXPECT_EQ(*PrefixFields(absl::StatusOr<int>(3), "items[0]"), 3);
  EXPECT_THAT(
      Fields(
          PrefixFields(absl::StatusOr<int>(InvalidField("k", "is 0", "1")), "queries[1]").status()),
      ElementsAre("queries[1].k"));
}

TEST(StatusTest, AtFieldKeepsTheCodeAndGetsPrefixesToo) {
  const absl::Status status =
      AtField(absl::NotFoundError("the server answered with status 404"), "image_uris[1]");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "image_uris[1]: the server answered with status 404");
  EXPECT_THAT(FieldViolations(status), IsEmpty()) << "only InvalidField has violations";

  const absl::Status inside = PrefixFields(status, "inputs[3]");
  EXPECT_EQ(inside.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(inside.message(), "inputs[3].image_uris[1]: the server answered with status 404");
}

TEST(StatusTest, AtFieldPrefixesPathsThatAreThere) {
  EXPECT_THAT(Fields(AtField(InvalidField("", "has a zone", "none"), "image_uris[0]")),
              ElementsAre("image_uris[0]"));
  EXPECT_EQ(AtField(AtField(absl::InternalError("no numbers"), "fields[0]"), "inputs[1]").message(),
            "inputs[1].fields[0]: no numbers");
  EXPECT_TRUE(AtField(absl::OkStatus(), "fields[0]").ok());
}

TEST(StatusTest, AtFieldWithAnEmptyPathCanBePrefixed) {
  const absl::Status status = AtField(absl::FailedPreconditionError("has images only"), "");
  EXPECT_EQ(status.message(), "has images only");
  EXPECT_EQ(PrefixFields(status, "inputs[2]").message(), "inputs[2]: has images only");
}

TEST(StatusTest, MapFieldsReplacesPaths) {
  const auto rename = [](const std::string& path) {
    return path == "images" ? std::string("query.image") : path;
  };

  EXPECT_THAT(Fields(MapFields(InvalidFields("", {{"images", "x"}, {"text", "y"}}), rename)),
              ElementsAre("query.image", "text"));
  EXPECT_EQ(MapFields(AtField(absl::InternalError("images"), "images"), rename).message(),
            "query.image: images")
      << "messages stay";
}

TEST(StatusTest, FirstStepTakesOneNameAndIndexOff) {
  const auto is = [](absl::string_view path, const char* name, std::optional<size_t> index,
                     const char* rest) {
    const FieldStep step = FirstStep(path);
    return step.name == name && step.index == index && step.rest == rest;
  };
  EXPECT_TRUE(is("images[2].width", "images", 2, "width"));
  EXPECT_TRUE(is("images[2]", "images", 2, ""));
  EXPECT_TRUE(is("item.title", "item", std::nullopt, "title"));
  EXPECT_TRUE(is("title", "title", std::nullopt, ""));
  EXPECT_TRUE(is("attributes[\"a.b\"][1]", "attributes", std::nullopt, "[\"a.b\"][1]"));
  EXPECT_TRUE(is("images[2", "images", std::nullopt, "[2"));
  EXPECT_TRUE(is("", "", std::nullopt, ""));
}

TEST(StatusTest, JoinPathsUndoesFirstStep) {
  EXPECT_EQ(JoinPaths("items[0]", "title"), "items[0].title");
  EXPECT_EQ(JoinPaths("attributes", "[\"a\"]"), "attributes[\"a\"]");
  EXPECT_EQ(JoinPaths("", "title"), "title");
  EXPECT_EQ(JoinPaths("items[0]", ""), "items[0]");
}

TEST(StatusTest, AnnotateKeepsCodeAndFields) {
  const absl::Status status = Annotate(InvalidField("title", "is long", "short"), "catalog ", 3);
  EXPECT_EQ(status.message(), "catalog 3: title is long; must be short");
  EXPECT_THAT(Fields(status), ElementsAre("title"));
}

TEST(QuoteTest, HasNoControlCharacterWhateverTheText) {
  EXPECT_EQ(QuoteForMessage("a\xC2\x9B"
                            "31m"),
            "\"a\\302\\23331m\"");
  EXPECT_EQ(QuoteForMessage("a\xC2\x85"), "\"a\\302\\205\"");
  EXPECT_EQ(QuoteForMessage("\x1b[2J\x7f"), "\"\\033[2J\\177\"");
  EXPECT_EQ(QuoteForMessage("caf\xC3\xA9 \xC2\xA0\xF0\x9F\x8E\xAC"),
            "\"caf\xC3\xA9 \xC2\xA0\xF0\x9F\x8E\xAC\"");
}

}  // namespace
}  // namespace palate
