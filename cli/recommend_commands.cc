// palate recommend, search, similar.

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "domain/limits.h"
#include "offline/import/text_files.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace pb = palate::recommender::v1;
using Stub = pb::RecommenderService::StubInterface::async_interface;

const char kRecommendHelp[] =
    "palate recommend: items for a user, with reasons\n\n"
    "  --user ID            whom to recommend to\n"
    "  --num-results N      1 to 500 (default 10)\n"
    "  --explain MODE       none, template or llm (default none)\n"
    "  --filter EXPRESSION  such as 'genres: ANY(\"Comedy\") AND year >= 1990'\n"
    "  --exclude ID         never returned; may be repeated\n"
    "  --context ID         an item that the user is looking at; may be repeated\n"
    "  --text TEXT          what the user looks for\n"
    "  --image FILE         the same, as a picture\n"
    "  --at TIME            recommend as of this time, RFC 3339 (default now)\n"
    "  --mmr LAMBDA         diversity, 0 (score alone) to 1 (difference alone)\n"
    "  --include-seen       also return items that the user has seen\n"
    "  --debug              with --json: add diagnostic counts\n";
const char kSearchHelp[] =
    "palate search: items that match a text, a picture, or both\n\n"
    "  --text TEXT          what to search for\n"
    "  --image FILE         a JPEG, PNG or WebP\n"
    "  --user ID            the user who searches; purging the user also drops the cached query\n"
    "  --num-results N      1 to 500 (default 10)\n"
    "  --filter EXPRESSION  such as 'price < 30'\n";
const char kSimilarHelp[] =
    "palate similar: items like a given one\n\n"
    "  --item ID            the item\n"
    "  --space NAME         text, image or fused (default fused)\n"
    "  --num-results N      1 to 500 (default 10)\n"
    "  --filter EXPRESSION  such as 'price < 30'\n";

absl::StatusOr<types_pb::ExplainMode> ExplainModeOf(const std::string& text) {
  if (text.empty() || text == "none") return types_pb::EXPLAIN_MODE_NONE;
  if (text == "template") return types_pb::EXPLAIN_MODE_TEMPLATE;
  if (text == "llm") return types_pb::EXPLAIN_MODE_LLM;
  return absl::InvalidArgumentError(
      absl::StrCat("--explain is ", text, "; must be none, template or llm"));
}

absl::Status FillQuery(Flags& flags, pb::Query& query) {
  query.set_text(flags.Text("text"));
  const std::string image = flags.Text("image");
  if (image.empty()) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(*query.mutable_image(), offline::ReadFile(image, kMaxImageBytes));
  return absl::OkStatus();
}

std::string EnumWord(const std::string& name, absl::string_view prefix) {
  return name.substr(prefix.size());
}

template <typename Response>
void PrintResults(const Response& response) {
  int place = 0;
  for (const pb::RankedItem& item : response.results()) {
    std::cout << absl::StrFormat("%2d. %-40s %8.3f  %s", ++place, item.item().title(), item.score(),
                                 item.item_id());
    for (const pb::Reason& reason : item.reasons()) {
      std::cout << " " << EnumWord(pb::CandidateSource_Name(reason.source()), "CANDIDATE_SOURCE_");
    }
    std::cout << "\n";

    if (!item.explanation().text().empty()) {
      std::cout << "    " << item.explanation().text() << " ["
                << EnumWord(types_pb::ExplanationSource_Name(item.explanation().source()),
                            "EXPLANATION_SOURCE_")
                << "]\n";
    }
  }

  for (const pb::StageReport& stage : response.stages()) {
    for (const pb::StageNote& note : stage.notes()) {
      if (note.degradation() == pb::DEGRADATION_NOT_REQUESTED) continue;
      std::cout << EnumWord(pb::Stage_Name(stage.stage()), "STAGE_") << " "
                << EnumWord(pb::StageStatus_Name(stage.status()), "STAGE_STATUS_") << ": "
                << EnumWord(pb::Degradation_Name(note.degradation()), "DEGRADATION_") << " ("
                << note.detail() << ")\n";
    }
  }
}

// Connects, resolves the catalog, calls and prints, for all three commands.
template <typename Request, typename Response, typename Method>
absl::Status CallAndPrint(Flags& flags, Request& request, Response& response, Method call) {
  const std::string catalog = flags.Text("catalog");

  const bool json = flags.Switch("json");
  PALATE_ASSIGN_OR_RETURN(const absl::Duration timeout,
                          flags.Milliseconds("timeout-ms", kDefaultTimeout));

  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connection::Open(flags));
  PALATE_ASSIGN_OR_RETURN(*request.mutable_catalog(), connection->ResolveCatalog(catalog));
  const auto stub = pb::RecommenderService::NewStub(connection->channel());
  PALATE_RETURN_IF_ERROR(
      call(stub->async(), request, response, {.deadline = absl::Now() + timeout}));

  if (json) {
    PALATE_ASSIGN_OR_RETURN(const std::string text, ToJson(response));
    std::cout << text;
  } else {
    PrintResults(response);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunRecommend(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, ParseClientFlags(arguments, {"include-seen", "debug"}));
  if (flags.Switch("help")) {
    std::cout << kRecommendHelp << kConnectionHelp << kCatalogHelp << kAnswerHelp;
    return absl::OkStatus();
  }

  pb::RecommendRequest request;
  request.set_user_id(flags.Text("user"));
  request.set_scenario("command-line");
  PALATE_ASSIGN_OR_RETURN(const int num_results,
                          flags.Int("num-results", kDefaultResults, 1, kMaxResults));
  request.set_num_results(num_results);

  PALATE_ASSIGN_OR_RETURN(const types_pb::ExplainMode explain,
                          ExplainModeOf(flags.Text("explain")));
  request.set_explain(explain);

  request.set_filter(flags.Text("filter"));
  for (const std::string& id : flags.Texts("exclude")) request.add_exclude_item_ids(id);
  for (const std::string& id : flags.Texts("context")) request.add_context_item_ids(id);
  PALATE_RETURN_IF_ERROR(FillQuery(flags, *request.mutable_query()));

  PALATE_ASSIGN_OR_RETURN(const absl::Time at, flags.Time("at", absl::InfiniteFuture()));
  if (at != absl::InfiniteFuture()) *request.mutable_request_time() = ToProto(at);
  PALATE_ASSIGN_OR_RETURN(const double mmr, flags.Number("mmr", 0, 0, 1));
  request.mutable_diversity()->set_mmr_lambda(mmr);
  request.set_include_seen(flags.Switch("include-seen"));
  request.set_debug(flags.Switch("debug"));

  pb::RecommendResponse response;
  return CallAndPrint(flags, request, response,
                      [](auto* async, const auto& in, auto& out, const CallContext& context) {
                        return CallUnary(async, &Stub::Recommend, in, out, context);
                      });
}

absl::Status RunSearch(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, ParseClientFlags(arguments));
  if (flags.Switch("help")) {
    std::cout << kSearchHelp << kConnectionHelp << kCatalogHelp << kAnswerHelp;
    return absl::OkStatus();
  }

  pb::SearchRequest request;
  request.set_user_id(flags.Text("user"));
  PALATE_RETURN_IF_ERROR(FillQuery(flags, *request.mutable_query()));
  PALATE_ASSIGN_OR_RETURN(const int num_results,
                          flags.Int("num-results", kDefaultResults, 1, kMaxResults));
  request.set_num_results(num_results);
  request.set_filter(flags.Text("filter"));

  pb::SearchResponse response;
  return CallAndPrint(flags, request, response,
                      [](auto* async, const auto& in, auto& out, const CallContext& context) {
                        return CallUnary(async, &Stub::Search, in, out, context);
                      });
}

absl::Status RunSimilar(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, ParseClientFlags(arguments));
  if (flags.Switch("help")) {
    std::cout << kSimilarHelp << kConnectionHelp << kCatalogHelp << kAnswerHelp;
    return absl::OkStatus();
  }

  pb::SimilarItemsRequest request;
  request.set_item_id(flags.Text("item"));
  request.set_space(flags.Text("space"));
  PALATE_ASSIGN_OR_RETURN(const int num_results,
                          flags.Int("num-results", kDefaultResults, 1, kMaxResults));
  request.set_num_results(num_results);
  request.set_filter(flags.Text("filter"));

  pb::SimilarItemsResponse response;
  return CallAndPrint(flags, request, response,
                      [](auto* async, const auto& in, auto& out, const CallContext& context) {
                        return CallUnary(async, &Stub::SimilarItems, in, out, context);
                      });
}

}  // namespace palate::services
