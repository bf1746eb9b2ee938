#include "models/text/reference_tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/strip.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/text/added_tokens.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

// The normalizer of BertTokenizer.
absl::StatusOr<nlohmann::json> BertNormalizer(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const bool lower_case, config.BoolOr("do_lower_case", true));
  PALATE_ASSIGN_OR_RETURN(const bool split_chinese, config.BoolOr("tokenize_chinese_chars", true));
  nlohmann::json strip_accents;  // null: the same as lower_case
  if (config.Has("strip_accents")) {
    PALATE_ASSIGN_OR_RETURN(strip_accents, config.Bool("strip_accents"));
  }
  return nlohmann::json{{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", split_chinese},
                        {"strip_accents", strip_accents},
                        {"lowercase", lower_case}};
}

nlohmann::json LowerCaseThen(const nlohmann::json& normalizer) {
  nlohmann::json steps = nlohmann::json::array({{{"type", "Lowercase"}}});
  if (!normalizer.is_null()) steps.push_back(normalizer);
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

// The file's decoder, followed by steps that decode the end-of-word mark as a space and strip the
// text.
nlohmann::json DecodesWordEnds(const nlohmann::json& decoder, const std::string& suffix) {
  const auto replace = [](nlohmann::json pattern, const char* content) {
    return nlohmann::json{
        {"type", "Replace"}, {"pattern", std::move(pattern)}, {"content", content}};
  };
  nlohmann::json steps = nlohmann::json::array();
  if (!decoder.is_null()) steps.push_back(decoder);
  steps.push_back(replace({{"String", suffix}}, " "));
  steps.push_back(replace({{"Regex", "\\A\\s+|\\s+\\z"}}, ""));
  return {{"type", "Sequence"}, {"decoders", steps}};
}

constexpr std::array<absl::string_view, 3> kDepartingClasses = {"BertTokenizer", "Siglip2Tokenizer",
                                                                "CLIPTokenizer"};

bool Departs(absl::string_view tokenizer_class) {
  return std::find(kDepartingClasses.begin(), kDepartingClasses.end(), tokenizer_class) !=
         kDepartingClasses.end();
}

// Replaces the parts of the file that the class defines itself.
absl::Status Rewrite(absl::string_view tokenizer_class, const JsonConfig& config,
                     nlohmann::json& file) {
  if (tokenizer_class == "BertTokenizer") {
    PALATE_ASSIGN_OR_RETURN(file["normalizer"], BertNormalizer(config));
  } else if (tokenizer_class == "Siglip2Tokenizer") {
    file["normalizer"] =
        LowerCaseThen({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}});
  } else if (tokenizer_class == "CLIPTokenizer") {
    const JsonConfig model(file.value("model", nlohmann::json::object()), config.source());
    PALATE_ASSIGN_OR_RETURN(const std::string suffix, model.StringOr("end_of_word_suffix", ""));
    if (!suffix.empty()) file["decoder"] = DecodesWordEnds(file["decoder"], suffix);
  }
  return absl::OkStatus();
}

absl::StatusOr<JsonConfig> TokenizerConfig(const std::string& folder) {
  const std::string path = folder + "/tokenizer_config.json";
  if (!FileExists(path)) return JsonConfig(nlohmann::json::object(), path);
  return JsonConfig::Load(path);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadReferenceTokenizer(
    const std::string& folder, const ReferenceTokenizerOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config, TokenizerConfig(folder));
  PALATE_ASSIGN_OR_RETURN(std::string tokenizer_class,
                          config.StringOr("tokenizer_class", options.default_class));
  tokenizer_class = std::string(absl::StripSuffix(tokenizer_class, "Fast"));

  PALATE_ASSIGN_OR_RETURN(const std::string added, AddedTokens(config));
  const std::string path = folder + "/tokenizer.json";
  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFileToString(path, kMaxTokenizerBytes));
  // Some files have tens of megabytes, and most need no second parse.
  if (!Departs(tokenizer_class) && !options.lower_case) return Tokenizer::Parse(text, path, added);

  nlohmann::json file = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file.is_object())
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a JSON object"));
  PALATE_RETURN_IF_ERROR(Rewrite(tokenizer_class, config, file));
  if (options.lower_case) file["normalizer"] = LowerCaseThen(file["normalizer"]);
  return Tokenizer::Parse(file.dump(), path, added);
}

}  // namespace palate::models
