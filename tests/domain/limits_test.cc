// The numbers in the comments of proto/ are those of domain/limits.h.
//
// Every number other than 0 and 1 in a comment of a public .proto file has to be in the table
// below, so that a new limit cannot be forgotten. Numbers that are not limits ("SHA-256",
// "1970-01-01", "BCP 47") are left out; see kNoLimits.
#include "domain/limits.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A comment and the element that it documents: "StringList.values", "RecommenderService.Recommend",
// "AttributeValue" for the comment of a message, and the empty string for the comment before the
// first declaration of the file.
struct ProtoComment {
  std::string element;
  int line = 0;  // of the declaration
  std::string text;
};

// The comments of a .proto file. Expects the form that buf lint enforces: one declaration a line,
// with its comment on the lines before it.
std::vector<ProtoComment> ReadComments(std::istream& file) {
  static const std::regex kBlock(R"(^(message|enum|service|oneof) (\w+) \{(\})?)");
  static const std::regex kRpc(R"(^rpc (\w+)\()");
  static const std::regex kField(
      R"(^(?:(?:repeated|optional) )?(?:map<[^>]*>|[\w.]+) (\w+) = \d+)");
  static const std::regex kEnumValue(R"(^(\w+) = \d+;)");
  std::vector<ProtoComment> comments;
  std::vector<std::string> blocks;
  std::string pending;
  std::string raw;
  for (int line = 1; std::getline(file, raw); ++line) {
    const std::string text(absl::StripAsciiWhitespace(raw));
    if (absl::StartsWith(text, "//")) {
      absl::StrAppend(&pending, pending.empty() ? "" : " ",
                      absl::StripAsciiWhitespace(text.substr(2)));
      continue;
    }

    std::vector<std::string> path = blocks;
    std::smatch match;
    if (std::regex_search(text, match, kBlock)) {
      // A oneof's fields belong to its message.
      path.push_back(match[2]);
      if (!match[3].matched) blocks.push_back(match[1] == "oneof" ? "" : match[2].str());
    } else if (std::regex_search(text, match, kRpc) || std::regex_search(text, match, kField) ||
               std::regex_search(text, match, kEnumValue)) {
      path.push_back(match[1]);
    } else if (text == "}") {
      blocks.pop_back();
    }

    if (!pending.empty()) {
      path.erase(std::remove(path.begin(), path.end(), ""), path.end());
      comments.push_back({absl::StrJoin(path, "."), line, pending});
      pending.clear();
    }
  }
  return comments;
}

// Text with digits that is not a limit.
constexpr absl::string_view kNoLimits[] = {"1970-01-01",  "9999-12-31", "BCP 47",      "IEEE 754",
                                           "first stage", "kill -9",    "32 raw bytes"};

double UnitOf(const std::string& word) {
  static const auto* const kUnits =
      new std::map<std::string, double>{{"MiB", 1 << 20}, {"megapixels", 1e6}};
  const auto found = kUnits->find(word);
  return found == kUnits->end() ? 1 : found->second;
}

// The numbers of a comment other than 0 and 1, in their order and in their base unit: "at most 16
// MiB" gives 16,777,216.
std::vector<double> NumbersIn(std::string text) {
  for (absl::string_view phrase : kNoLimits) text = absl::StrReplaceAll(text, {{phrase, ""}});
  static const std::regex kCode("`[^`]*`");
  text = std::regex_replace(text, kCode, "");
  // A digit that belongs to a word ("float32", "SHA-256", "64-bit", "[a-z0-9]", "fields[0]") is not
  // a number.
  static const std::regex kNumber(
      R"((^|[ ({,`])(-?(?:\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?))(?![\w-])(?: (\w+))?)");
  std::vector<double> numbers;
  for (std::sregex_iterator it(text.begin(), text.end(), kNumber), end; it != end; ++it) {
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(absl::StrReplaceAll((*it)[2].str(), {{",", ""}}), &value)) << text;
    if (value != 0 && value != 1) numbers.push_back(value * UnitOf((*it)[3]));
  }
  return numbers;
}

struct Row {
  const char* element;
  std::vector<double> limits;  // in the order of the comment
};

constexpr double kImageBytes = static_cast<double>(kMaxImageBytes);
constexpr double kImagePixels = static_cast<double>(kMaxImagePixels);

struct ProtoLimits {
  const char* file;  // under proto/palate/
  std::vector<Row> rows;
};

void PrintTo(const ProtoLimits& limits, std::ostream* out) { *out << limits.file; }

const std::vector<ProtoLimits>& Table() {
  static const auto* const kTable = new std::vector<ProtoLimits>{
      {"types/v1/types.proto",
       {{"", {kMaxMessageBytes}},
        {"StringList.values", {kMaxListValues, kMaxAttributeBytes}},
        {"AttributeValue.string_value", {kMaxAttributeBytes}},
        {"AttributeValue.string_list_value", {kMaxListValues, kMaxAttributeBytes}},
        {"AttributeDeclaration.name", {kMaxNameBytes - 1}},
        {"EventTypeDeclaration.name", {kMaxNameBytes - 1}},
        {"EventTypeDeclaration.weight", {-kMaxEventWeight, kMaxEventWeight}},
        {"SpaceDeclaration.model", {kMaxModelNameBytes}},
        {"SpaceDeclaration.dimensions", {kMaxDimensions}},
        {"Catalog.id", {kMaxCatalogIdBytes - 1}},
        {"Catalog.display_name", {kMaxDisplayNameBytes}},
        {"Catalog.attributes", {kMaxAttributes}},
        {"Catalog.event_types", {kMaxEventTypes}},
        {"Catalog.spaces", {kMaxSpaces}},
        {"Catalog.rerank_weight", {kDefaultRerankWeight}},
        {"ItemImage.data", {kImageBytes, kImagePixels}},
        {"Item.id", {kMaxIdBytes}},
        {"Item.title", {kMaxTitleBytes}},
        {"Item.description", {kMaxDescriptionBytes}},
        {"Item.images", {kMaxItemImages}},
        {"User.id", {kMaxIdBytes}},
        {"User.profile_text", {kMaxProfileBytes}},
        {"User.persona", {kMaxIdBytes}},
        {"User.attributes", {kMaxNameBytes - 1, kMaxAttributes}},
        {"Event.event_id", {kMaxIdBytes}},
        {"Event.user_id", {kMaxIdBytes}},
        {"Event.item_id", {kMaxIdBytes}},
        {"Event.session_id", {kMaxIdBytes}},
        {"Event.recommendation_id", {kMaxIdBytes}},
        {"SpaceKey.fingerprint", {kMaxFingerprintBytes}},
        {"Vector.values", {kMaxDimensions}}}},

      {"catalog/v1/catalog_service.proto",
       {{"ListCatalogsRequest.page_size", {kMaxPageElements, kDefaultPageElements}}}},

      {"recommender/v1/recommender_service.proto",
       {{"Query.text", {kMaxQueryBytes}},
        {"Query.image", {kImageBytes, kImagePixels}},
        {"AttributeCap.max_results", {kMaxCappedResults}},
        {"Diversity.attribute_caps", {kMaxAttributeCaps}},
        {"Diversity.exploration_share", {kMaxExplorationShare}},
        {"RecommendRequest.scenario", {kMaxIdBytes}},
        {"RecommendRequest.user_id", {kMaxIdBytes}},
        {"RecommendRequest.session_events", {kMaxSessionEvents}},
        {"RecommendRequest.context_item_ids", {kMaxContextItems}},
        {"RecommendRequest.filter", {kMaxFilterBytes}},
        {"RecommendRequest.exclude_item_ids", {kMaxExcludedItems}},
        {"RecommendRequest.num_results", {kMaxResults, kDefaultResults}},
        {"RecommendRequest.language", {kMaxLanguageBytes}},
        {"RecommendRequest.instruction", {kMaxInstructionBytes}},
        {"Reason.context_item_ids", {kMaxReasonItems}},
        {"SearchRequest.filter", {kMaxFilterBytes}},
        {"SearchRequest.exclude_item_ids", {kMaxExcludedItems}},
        {"SearchRequest.num_results", {kMaxResults, kDefaultResults}},
        {"SearchRequest.user_id", {kMaxIdBytes}},
        {"SimilarItemsRequest.filter", {kMaxFilterBytes}},
        {"SimilarItemsRequest.exclude_item_ids", {kMaxExcludedItems}},
        {"SimilarItemsRequest.num_results", {kMaxResults, kDefaultResults}},
        {"RankRequest.user_id", {kMaxIdBytes}},
        {"RankRequest.session_events", {kMaxSessionEvents}},
        {"RankRequest.item_ids", {kMaxRankedItems}},
        {"RankRequest.filter", {kMaxFilterBytes}},
        {"RankRequest.language", {kMaxLanguageBytes}},
        {"RankRequest.instruction", {kMaxInstructionBytes}},
        {"WriteEventsRequest.events", {kMaxBatchEvents}},
        {"UpsertItemsRequest.writes", {kMaxBatchElements, kMaxMessageBytes}},
        {"GetUserRequest.max_events", {kMaxUserEvents}},
        {"PurgeUserResponse.dropped_query_vectors", {kMaxQueryVectorMinutes}}}},

      {"ranking/v1/ranking_service.proto",
       {{"ItemFacts.item_id", {kMaxIdBytes}},
        {"ItemFacts.title", {kMaxTitleBytes}},
        {"ItemFacts.description", {kMaxDescriptionBytes}},
        {"RankContent.text", {kMaxContentBytes}},
        {"RankContent.images", {kMaxContentImages, kImageBytes, kImagePixels}},
        {"RankRequest.history", {kMaxHistoryEntries}},
        {"RankRequest.candidates", {kMaxCandidates}},
        {"RankRequest.instruction", {kMaxInstructionBytes}},
        {"RankRequest.documents", {kMaxDocuments}},
        {"ExplainInput.history", {kMaxHistoryEntries}},
        {"ExplainInput.close_item_ids", {kMaxHistoryEntries}},
        {"ExplainInput.language", {kMaxLanguageBytes}},
        {"ExplainRequest.inputs", {kMaxExplanations}}}},

      {"retrieval/v1/retrieval_service.proto",
       {{"VectorQuery.k", {kMaxSearchResults}},
        {"SearchRequest.filter", {kMaxFilterBytes}},
        {"SearchRequest.exclude_item_ids", {kMaxExcludedItems}},
        {"SearchRequest.queries", {kMaxSearchQueries}},
        {"SearchRequest.candidate_lists", {kMaxCandidateLists}},
        {"CandidateList.item_ids", {kMaxListedCandidates}},
        {"CandidateList.k", {kMaxSearchResults}}}},

      {"embedding/v1/embedding_service.proto",
       {{"EmbeddingService", {kMaxQueryVectorMinutes}},
        {"EmbeddingService.DropUser", {kMaxQueryVectorMinutes}},
        {"EmbedInput.fields", {kMaxEmbedFields, kMaxEmbedFieldBytes}},
        {"EmbedInput.images", {kMaxEmbedImages, kImageBytes, kImagePixels}},
        {"EmbedRequest.inputs", {kMaxEmbedInputs}},
        {"EmbedRequest.instruction", {kMaxEmbedInstructionBytes}},
        {"EmbedRequest.user_id", {kMaxIdBytes}},
        {"EmbedRequest.wanted", {kMaxWantedVectors}},
        {"EmbedStreamSettings.instruction", {kMaxEmbedInstructionBytes}},
        {"EmbedStreamSettings.user_id", {kMaxIdBytes}},
        {"EmbedStreamInput.id", {kMaxIdBytes}},
        {"EmbedStreamRequest.inputs", {kMaxEmbedInputs}}}},

      {"featurestore/v1/feature_store_service.proto",
       {{"UpsertItemsRequest.writes", {kMaxBatchElements, kMaxMessageBytes}},
        {"GetItemsRequest.item_ids", {kMaxBatchElements}},
        {"DeleteItemsRequest.item_ids", {kMaxBatchElements}},
        {"ListItemsRequest.page_size", {kMaxPageElements, kDefaultPageElements}},
        {"WriteEventsRequest.events", {kMaxBatchEvents}},
        {"GetUserContextRequest.user_id", {kMaxIdBytes}},
        {"GetUserContextRequest.max_events", {kMaxUserEvents}},
        {"GetUserContextRequest.num_trending", {kMaxContextListItems}},
        {"GetUserContextRequest.num_fresh", {kMaxContextListItems}},
        {"UpsertUsersRequest.users", {kMaxBatchElements}},
        {"PurgeUserResponse.dropped_query_vectors", {kMaxQueryVectorMinutes}},
        {"WriteImpressionRequest.recommendation_id", {kMaxIdBytes}},
        {"WriteImpressionRequest.scenario", {kMaxIdBytes}},
        {"WriteImpressionRequest.item_ids", {kMaxBatchElements}},
        {"PutVectorsRequest.items", {kMaxBatchElements}}}}};
  return *kTable;
}

std::string Join(const std::vector<double>& numbers) {
  return numbers.empty() ? "no number"
                         : absl::StrJoin(numbers, ", ", [](std::string* out, double number) {
                             absl::StrAppend(out, number == std::floor(number)
                                                      ? absl::StrCat(static_cast<int64_t>(number))
                                                      : absl::StrCat(number));
                           });
}

class ProtoLimitsTest : public ::testing::TestWithParam<ProtoLimits> {};

TEST_P(ProtoLimitsTest, CommentsPromiseWhatTheCodeHas) {
  const std::string path = absl::StrCat("proto/palate/", GetParam().file);
  std::ifstream file(absl::StrCat(PALATE_SOURCE_DIR, "/", path));
  ASSERT_TRUE(file) << path;
  std::map<std::string, std::vector<double>> expected;
  for (const Row& row : GetParam().rows) expected[row.element] = row.limits;

  for (const ProtoComment& comment : ReadComments(file)) {
    const std::vector<double> promised = NumbersIn(comment.text);
    const auto row = expected.find(comment.element);
    const std::string where = absl::StrCat(path, ":", comment.line, ": ",
                                           comment.element.empty() ? "the file" : comment.element);
    if (row == expected.end()) {
      EXPECT_THAT(promised, IsEmpty())
          << where << " promises " << Join(promised)
          << ", which no row of the table compares with domain/limits.h: \"" << comment.text << '"';
      continue;
    }
    EXPECT_EQ(promised, row->second)
        << where << " promises " << Join(promised) << "; domain/limits.h has " << Join(row->second)
        << ": \"" << comment.text << '"';
    expected.erase(row);
  }

  for (const auto& [element, limits] : expected) {
    ADD_FAILURE() << path << ": " << element << " has no comment; the table expects it to promise "
                  << Join(limits);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryPublicProto, ProtoLimitsTest, ::testing::ValuesIn(Table()),
                         [](const auto& info) {
                           const std::string file = info.param.file;
                           return file.substr(0, file.find('/'));
                         });

// A new .proto file needs a list in the table too. storage/ is private to the feature store.
TEST(ProtoLimitsTableTest, HasEveryPublicProto) {
  std::set<std::string> listed;
  for (const ProtoLimits& limits : Table()) listed.insert(limits.file);

  const std::filesystem::path root = std::filesystem::path(PALATE_SOURCE_DIR) / "proto" / "palate";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string file = std::filesystem::relative(entry.path(), root).string();
    if (entry.path().extension() != ".proto" || absl::StartsWith(file, "storage/")) continue;
    EXPECT_EQ(listed.count(file), 1u) << "proto/palate/" << file << " is not in the table";
  }
}

TEST(ProtoCommentsTest, FindsTheNumbersOfAComment) {
  EXPECT_THAT(NumbersIn("At most 256 texts of at most 4,096 bytes each."), ElementsAre(256, 4096));
  EXPECT_THAT(NumbersIn("At most 16 MiB and 40 megapixels."), ElementsAre(16 << 20, 40'000'000));
  EXPECT_THAT(NumbersIn("-1,000 to 1,000; absent means 1."), ElementsAre(-1000, 1000));
  EXPECT_THAT(NumbersIn("[a-z][a-z0-9_]{0,63}; 0 to 0.5, up to 7, as in `price < 30`."),
              ElementsAre(63, 0.5, 7));
  EXPECT_THAT(NumbersIn("SHA-256 of a 64-bit float32: 32 raw bytes, `inputs[3]`, BCP 47"),
              IsEmpty());
}

TEST(ProtoCommentsTest, NamesTheElement) {
  std::istringstream file(
      "// File.\nsyntax = \"proto3\";\n// Message.\nmessage A {\n  // One\n  // field.\n  repeated "
      "string b = 1;\n  // Choice.\n"
      "  oneof c {\n    // Inner.\n    x.y.Z d = 2;\n  }\n}\n// Empty.\nmessage E {}\nservice S "
      "{\n  // Call.\n  rpc F(A) returns "
      "(E);\n}\n");
  std::vector<std::string> found;
  for (const ProtoComment& comment : ReadComments(file))
    found.push_back(absl::StrCat(comment.element, "=", comment.text));
  EXPECT_THAT(found, ElementsAre("=File.", "A=Message.", "A.b=One field.", "A.c=Choice.",
                                 "A.d=Inner.", "E=Empty.", "S.F=Call."));
}

}  // namespace
}  // namespace palate
