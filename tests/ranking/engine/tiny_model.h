// A small language model folder with random weights for tests: a tokenizer trained on prompts, a
// Qwen3 decoder, palate.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder.h"
#include "models/text/tokenizer.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/preferences.h"
#include "ranking/prompt.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {

inline std::vector<std::string> TinyCorpus() {
  std::vector<std::string> texts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const RandomShopper shopper = MakeRandomShopper(seed, 8, 8);
    RankInput input{"", shopper.history, shopper.candidates, ""};
    const PreferenceSummary summary = Summarize(shopper.history);
    const auto add = [&texts](const std::vector<Segment>& segments) {
      for (const Segment& segment : segments) {
        if (segment.kind == Segment::Kind::kText) texts.push_back(segment.text);
      }
    };

    for (const auto& candidate : BuildRankPrompt(input, summary).candidates) add(candidate);
    for (const ItemFacts& item : shopper.candidates) {
      const ExplanationPlan plan = MakePlan({"", shopper.history, item, {"trending"}, ""}, summary);
      add(BuildExplainPrompt(plan));
      for (uint64_t draw = 0; draw < 10; ++draw) add(WriteExplanation(plan, draw));
    }
  }
  return texts;
}

inline absl::Status WriteTinyModel(
    const std::string& folder, const std::vector<std::string>& special_tokens = SpecialTokenTexts(),
    const std::string& palate_json = "{\"prompt_style\": \"palate-1\"}") {
  std::filesystem::create_directories(folder);
  models::BpeTrainingOptions bpe;
  bpe.vocab_size = 700;
  bpe.special_tokens = special_tokens;
  PALATE_RETURN_IF_ERROR(models::TrainByteLevelBpe(TinyCorpus(), bpe, folder + "/tokenizer.json"));
  PALATE_RETURN_IF_ERROR(models::SaveTokenizerConfig({}, folder));

  models::DecoderConfig config;
  config.vocab_size = 704;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  config.max_positions = 4096;
  config.qk_norm = true;
  config.initializer_range = 0.3;  // large, so that scores differ noticeably

  PALATE_ASSIGN_OR_RETURN(const auto model, models::DecoderModel::CreateRandom(config, 7));
  PALATE_RETURN_IF_ERROR(model->Save(folder));
  return models::WriteFileAtomically(folder + "/palate.json", palate_json);
}

}  // namespace palate::ranking
