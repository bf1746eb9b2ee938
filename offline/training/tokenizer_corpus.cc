#include "offline/training/tokenizer_corpus.h"

#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "models/decoder/decoder.h"
#include "models/text/tokenizer.h"
#include "offline/demo/random.h"
#include "offline/demo/shop.h"
#include "offline/training/history.h"
#include "offline/training/splits.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/preferences.h"
#include "ranking/prompt.h"
#include "ranking/reasons.h"

namespace palate::training {
namespace {

constexpr int kModelMaxLength = 4096;
// How often the corpus repeats the words of attribute shuffles, so that each becomes one token.
constexpr int kWordRepeats = 30;

void AppendText(const std::vector<ranking::Segment>& segments, std::vector<std::string>& corpus) {
  for (const ranking::Segment& segment : segments) {
    if (segment.kind == ranking::Segment::Kind::kText) corpus.push_back(segment.text);
  }
}

// Prompts and explanations of one shopper over some of the shop's products.
void AppendShopper(const ShopHistories& histories, size_t shopper, const AttributeShuffle& shuffle,
                   std::vector<std::string>& corpus) {
  const demo::Shop& shop = histories.shop();

  ranking::RankInput input;
  input.history = histories.Before(shopper, shop.split_time, shuffle);
  const ranking::PreferenceSummary summary = ranking::Summarize(input.history);

  for (size_t i = shopper; i < shop.products.size(); i += 7)
    input.candidates.push_back(shuffle.Facts(shop.products[i]));

  const ranking::RankPrompt prompt = ranking::BuildRankPrompt(input, summary);
  AppendText(prompt.prefix, corpus);
  for (const auto& line : prompt.candidates) AppendText(line, corpus);

  for (size_t i = 0; i < input.candidates.size(); i += 3) {
    ranking::ExplainInput explain;
    explain.history = input.history;
    explain.item = input.candidates[i];
    explain.reasons = {ranking::kContentReason,
                       i % 2 == 0 ? ranking::kTrendingReason : ranking::kFreshReason};

    explain.popularity = ranking::kManyPopularity;
    explain.age = absl::ZeroDuration();

    const ranking::ExplanationPlan plan = ranking::MakePlan(explain, summary);
    AppendText(ranking::BuildExplainPrompt(plan), corpus);
    for (uint64_t wording = 0; wording < 4; ++wording)
      AppendText(ranking::WriteExplanation(plan, i * 4 + wording), corpus);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> TokenizerCorpus(const TokenizerOptions& options) {
  std::vector<std::string> corpus;

  for (int i = 0; i < options.shops; ++i) {
    demo::ShopOptions shop_options =
        ShopOf(Split::kTraining, options.seed, static_cast<uint64_t>(i));
    shop_options.num_shoppers = 8;
    PALATE_ASSIGN_OR_RETURN(const demo::Shop shop, demo::GenerateShop(shop_options));

    const ShopHistories histories(shop);
    const AttributeShuffle shuffle =
        i % 4 == 3 ? AttributeShuffle(shop, shop_options.seed) : AttributeShuffle();
    for (size_t shopper = 0; shopper < shop.shoppers.size(); ++shopper)
      AppendShopper(histories, shopper, shuffle, corpus);

    // Only a few titles and descriptions per shop, so that their brand and model names do not
    // become tokens.
    for (size_t p = 0; p < shop.products.size(); p += 10) {
      corpus.push_back(absl::StrCat(" ", shop.products[p].item.title));
      corpus.push_back(absl::StrCat(" ", shop.products[p].item.description));
    }
  }

  for (int i = 0; i < kWordRepeats; ++i) {
    for (const auto* words : {&AttributeShuffle::Words(), &AttributeShuffle::AttributeNames()}) {
      for (const std::string& word : *words) corpus.push_back(absl::StrCat(" ", word));
    }
  }
  return corpus;
}

absl::Status TrainTokenizer(const TokenizerOptions& options, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot create ", folder, ": ", error.message()));

  PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> corpus, TokenizerCorpus(options));

  models::BpeTrainingOptions bpe;
  bpe.vocab_size = options.vocab_size;
  bpe.special_tokens = ranking::SpecialTokenTexts();
  bpe.min_frequency = 5;
  PALATE_RETURN_IF_ERROR(
      models::TrainByteLevelBpe(corpus, bpe, absl::StrCat(folder, "/tokenizer.json")));

  models::TokenizerConfig config;
  config.eos_token = ranking::SpecialTokenText(ranking::SpecialToken::kEnd);
  config.pad_token = ranking::SpecialTokenText(ranking::SpecialToken::kPad);
  config.model_max_length = kModelMaxLength;
  PALATE_RETURN_IF_ERROR(models::SaveTokenizerConfig(config, folder));

  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, models::Tokenizer::Load(folder));
  spdlog::info("tokenizer of {} entries from {} texts in {}", tokenizer->vocab_size(),
               corpus.size(), folder);
  return absl::OkStatus();
}

}  // namespace palate::training
