// palate demo: loads a generated shop into the services and writes a page of recommendations.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/grpc_offline_client.h"
#include "offline/console.h"
#include "offline/demo/demo.h"
#include "offline/demo/page.h"
#include "offline/demo/picture.h"
#include "services/local/local_stack.h"
#include "services/runtime/run_service.h"

namespace palate::services {
namespace {

const char kDemoHelp[] =
    "palate demo: recommends products of a generated shop to simulated shoppers, with "
    "explanations\n\n"
    "  --json FILE          write the answers as JSON: {\"answers\": [RecommendResponse, …], …}\n"
    "  --html FILE          write the page to FILE (default palate-demo.html)\n"
    "  --seed N             seed of the generated shop (default 1)\n"
    "  --products N         1 to 5000 (default 400)\n"
    "  --shoppers N         1 to 5000 (default 200)\n"
    "  --serve              keep the services running until Ctrl-C\n"
    "  --data-dir DIR       folder of the data (default: a temporary folder, removed at the end)\n"
    "  --server HOST:PORT   load the shop into a running Palate instead\n"
    "  --config FILE        configuration of the services in this process, as for `palate serve`\n"
    "  --catalog ID         the shop's catalog (default demo-shop)\n"
    "  --timeout-ms N       timeout of each call (default 60000)\n";

// A folder that the destructor removes.
class TemporaryFolder {
 public:
  static absl::StatusOr<std::unique_ptr<TemporaryFolder>> Make() {
    std::string pattern = (std::filesystem::temp_directory_path() / "palate-demo-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      return absl::UnavailableError(absl::StrCat("cannot make a folder like ", pattern));
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(std::move(pattern)));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

absl::Status WriteJson(const demo::DemoOutcome& outcome, const std::string& path) {
  std::vector<std::string> answers;
  for (const demo::ShownShopper& shown : outcome.shoppers) answers.push_back(shown.answer.json);
  const evaluation::ServedQuality& quality = outcome.quality;

  std::ofstream file(path);
  file << "{\"answers\": [" << absl::StrJoin(answers, ",\n") << "],\n"
       << absl::StrFormat(
              "\"quality\": {\"users\": %d, \"ndcg_at_10\": {\"popularity\": %.6f, "
              "\"first_stage\": %.6f, \"with_language_model\": %.6f, "
              "\"oracle\": %.6f}, \"relative_gain\": {\"mean\": %.6f, \"low\": %.6f, \"high\": "
              "%.6f}},\n",
              quality.users, quality.popularity, quality.first_stage, quality.with_model,
              quality.oracle, quality.gain.relative, quality.gain.low, quality.gain.high)
       << absl::StrFormat("\"explanations\": {\"total\": %d, \"by_language_model\": %d}}\n",
                          outcome.explanations, outcome.explanations_by_model);

  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

// Draws the picture again, because it depends on the product alone.
demo::PageItem ToPageItem(const demo::Product& product) {
  demo::PageItem item;
  item.title = product.item.title;
  item.facts = absl::StrFormat("%s, %s, %s, %.2f", product.color, product.material, product.style,
                               product.price);

  const absl::StatusOr<demo::Picture> picture = demo::DrawPicture(product);
  if (picture.ok()) item.image = demo::ImageDataUri(picture->bytes, picture->media_type);
  return item;
}

using Products = std::map<std::string, const demo::Product*>;

std::string DescribeEvidence(const ranking::Evidence& evidence, const Products& products) {
  if (evidence.kind == ranking::Evidence::Kind::kTrend) return "popular right now";
  if (evidence.kind == ranking::Evidence::Kind::kItemFact)
    return absl::StrCat(evidence.attribute, ": ", evidence.value);
  const auto product = products.find(evidence.item_id);
  return absl::StrCat("your ",
                      product == products.end() ? evidence.value : product->second->item.title);
}

demo::PageRecommendation ToPageRecommendation(const pipeline::ResultItem& result,
                                              const Products& products) {
  demo::PageRecommendation recommendation;

  if (const auto product = products.find(result.item.id); product != products.end()) {
    recommendation.item = ToPageItem(*product->second);
  } else {
    recommendation.item.title = result.item.title;
  }

  recommendation.score = result.score;

  for (const pipeline::Reason& reason : result.reasons) {
    const std::string name = absl::StrCat(pipeline::SourceName(reason.source),
                                          reason.space.empty() ? "" : " by ", reason.space);
    if (recommendation.reasons.empty() || recommendation.reasons.back() != name)
      recommendation.reasons.push_back(name);
  }

  if (result.explanation.has_value()) {
    recommendation.explanation = result.explanation->text;
    recommendation.by_model = result.explanation->source == ranking::ExplanationSource::kLlm;
    for (const ranking::Evidence& evidence : result.explanation->evidence) {
      recommendation.evidence.push_back(DescribeEvidence(evidence, products));
    }
  }
  return recommendation;
}

demo::PageShopper ToPageShopper(const demo::ShownShopper& shown, const demo::Shop& shop,
                                const Products& products) {
  demo::PageShopper shopper;
  shopper.name = shown.shopper->id;
  shopper.truth = demo::DescribeTaste(demo::TasteAt(*shown.shopper, shop.split_time));

  for (const Event* event : shown.recent) {
    const auto product = products.find(event->item_id);
    if (product == products.end()) continue;
    demo::PageItem item = ToPageItem(*product->second);
    item.badge = event->type;
    item.detail = absl::StrFormat(
        "%.0f days before", absl::FDivDuration(shop.split_time - event->time, absl::Hours(24)));
    shopper.history.push_back(std::move(item));
  }

  for (const pipeline::ResultItem& result : shown.answer.result.results) {
    shopper.recommendations.push_back(ToPageRecommendation(result, products));
  }

  for (const pipeline::StageReport& stage : shown.answer.result.stages) {
    std::string note = absl::StrFormat("%s %.1f ms", pipeline::StageName(stage.id),
                                       absl::ToDoubleMilliseconds(stage.duration));
    for (const pipeline::StageNote& detail : stage.notes)
      absl::StrAppend(&note, ", ", pipeline::DegradationName(detail.degradation));
    shopper.notes.push_back(std::move(note));
  }
  return shopper;
}

demo::Page ToPage(const demo::DemoOutcome& outcome) {
  Products products;
  for (const demo::Product& product : outcome.shop.products) products[product.item.id] = &product;

  const evaluation::ServedQuality& quality = outcome.quality;
  const auto number = [](double value) { return absl::StrFormat("%.4f", value); };

  demo::Page page;
  page.title = "Palate demo";
  page.lead =
      "A generated shop, embedded, indexed, recommended to simulated shoppers with hidden tastes, "
      "and explained by a language model.";

  page.figures = {
      {absl::StrCat(outcome.shop.products.size()), "products with pictures"},
      {absl::StrCat(outcome.shop.shoppers.size()), "shoppers"},
      {absl::StrFormat("%+.1f%%", 100 * quality.gain.relative), "NDCG@10 by the language model"},
      {absl::StrCat(outcome.explanations_by_model, " of ", outcome.explanations),
       "explanations in the model's own words"}};

  page.tables.push_back(
      {"Measured against the shoppers' hidden tastes",
       {{"order", "NDCG@10"},
        {"most popular first", number(quality.popularity)},
        {"first stage, without the language model", number(quality.first_stage)},
        {"with the language model", number(quality.with_model)},
        {"best order of the same candidates", number(quality.oracle)}},
       absl::StrFormat(
           "%d shoppers; gain of the language model %+.1f%%, 95%% interval %+.1f%% to %+.1f%%",
           quality.users, 100 * quality.gain.relative, 100 * quality.gain.low,
           100 * quality.gain.high)});

  for (const demo::ShownShopper& shown : outcome.shoppers)
    page.shoppers.push_back(ToPageShopper(shown, outcome.shop, products));
  return page;
}

void PrintHowToCall(const Connection& connection, const demo::DemoOptions& options,
                    const demo::DemoOutcome& outcome) {
  const std::string where = absl::StrFormat("--server 127.0.0.1:%d --catalog %s",
                                            connection.local()->port(), options.catalog);
  std::cout << "\nserving on 127.0.0.1:" << connection.local()->port() << "; try\n";

  if (!outcome.shoppers.empty()) {
    const std::string& user = outcome.shoppers.front().shopper->id;
    std::cout << "  palate recommend " << where << " --user " << user << " --explain llm\n"
              << "  palate events " << where << " --user " << user << "\n";
  }

  std::cout << "  palate search " << where << " --text \"a minimalist lamp\"\n"
            << "Press Ctrl-C to stop.\n";
}

struct DemoFlags {
  demo::DemoOptions demo;
  std::string json;
  std::string html;
  bool serve = false;
};

absl::StatusOr<DemoFlags> ParseDemoFlags(Flags& flags) {
  DemoFlags parsed;
  PALATE_ASSIGN_OR_RETURN(const int seed, flags.Int("seed", 1, 0, 2'000'000'000));
  parsed.demo.shop.seed = static_cast<uint64_t>(seed);

  PALATE_ASSIGN_OR_RETURN(parsed.demo.shop.num_products, flags.Int("products", 400, 1, 5000));
  PALATE_ASSIGN_OR_RETURN(parsed.demo.shop.num_shoppers, flags.Int("shoppers", 200, 1, 5000));
  PALATE_ASSIGN_OR_RETURN(parsed.demo.call_timeout,
                          flags.Milliseconds("timeout-ms", absl::Seconds(60)));

  parsed.demo.catalog = flags.Text("catalog", parsed.demo.catalog);
  parsed.json = flags.Text("json");
  parsed.html = flags.Text("html", "palate-demo.html");
  parsed.serve = flags.Switch("serve");
  return parsed;
}

absl::StatusOr<std::unique_ptr<Connection>> Connect(Flags& flags, const DemoFlags& parsed,
                                                    std::unique_ptr<TemporaryFolder>& folder) {
  std::string data_dir = flags.Text("data-dir");
  const std::string config = flags.Text("config");

  if (!flags.Text("server").empty()) {
    if (parsed.serve) return absl::InvalidArgumentError("--serve cannot be combined with --server");
    return Connection::Open(flags);
  }

  PALATE_RETURN_IF_ERROR(flags.CheckAllUsed());
  if (data_dir.empty()) {
    PALATE_ASSIGN_OR_RETURN(folder, TemporaryFolder::Make());
    data_dir = folder->path();
  }
  return Connection::OpenLocal(data_dir, config, parsed.serve ? "127.0.0.1:0" : "");
}

}  // namespace

absl::Status RunDemoCommand(const Arguments& arguments) {
  // --json takes a file here, unlike in the other client commands.
  PALATE_ASSIGN_OR_RETURN(Flags flags, Flags::Parse(arguments, {"help", "serve"}));
  if (flags.Switch("help")) {
    std::cout << kDemoHelp;
    return absl::OkStatus();
  }
  PALATE_ASSIGN_OR_RETURN(const DemoFlags parsed, ParseDemoFlags(flags));

  if (parsed.serve)
    BlockTerminationSignals();  // before any thread starts, so that WaitForTermination() gets them

  std::unique_ptr<TemporaryFolder> folder;
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection,
                          Connect(flags, parsed, folder));

  GrpcOfflineClient client(connection->provider());
  offline::ConsoleReporter reporter;
  PALATE_ASSIGN_OR_RETURN(const auto outcome, demo::RunDemo(client, parsed.demo, reporter));

  std::cout << demo::DescribeOutcome(*outcome);
  PALATE_RETURN_IF_ERROR(demo::WritePage(ToPage(*outcome), parsed.html));
  std::cout << "wrote the page " << parsed.html << "\n";
  if (!parsed.json.empty()) PALATE_RETURN_IF_ERROR(WriteJson(*outcome, parsed.json));

  if (parsed.serve) {
    PrintHowToCall(*connection, parsed.demo, *outcome);
    std::cout.flush();
    WaitForTermination();
  }
  return absl::OkStatus();
}

}  // namespace palate::services
