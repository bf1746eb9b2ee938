#include "models/text/added_tokens.h"

#include <cstdint>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

// The text of a token, which is stored as a string or as an object.
std::string ContentOf(const nlohmann::json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return "";
  const auto content = token.find("content");
  return content != token.end() && content->is_string() ? content->get<std::string>() : "";
}

// The tokens with a role. They are special whatever added_tokens_decoder says.
std::set<std::string> NamedTokens(const JsonConfig& config) {
  std::set<std::string> named;
  for (const char* role : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    if (config.Has(role)) named.insert(ContentOf(config.json().at(role)));
  }
  return named;
}

// A token with all of its settings.
absl::StatusOr<nlohmann::json> Complete(const nlohmann::json& token, bool special,
                                        const std::string& source) {
  const std::string content = ContentOf(token);
  if (content.empty())
    return absl::InvalidArgumentError(absl::StrCat(source, " lacks the text of a token"));
  if (token.is_string()) {
    return nlohmann::json{{"content", content}, {"single_word", false}, {"lstrip", false},
                          {"rstrip", false},    {"normalized", false},  {"special", special}};
  }

  const JsonConfig given(token, source);
  nlohmann::json complete = {{"content", content}};
  PALATE_ASSIGN_OR_RETURN(const bool marked, given.BoolOr("special", false));
  complete["special"] = special || marked;
  PALATE_ASSIGN_OR_RETURN(complete["normalized"],
                          given.BoolOr("normalized", !complete["special"].get<bool>()));
  for (const char* setting : {"single_word", "lstrip", "rstrip"}) {
    PALATE_ASSIGN_OR_RETURN(complete[setting], given.BoolOr(setting, false));
  }
  return complete;
}

absl::StatusOr<std::map<int64_t, nlohmann::json>> DecoderById(const JsonConfig& config) {
  std::map<int64_t, nlohmann::json> by_id;
  if (!config.Has("added_tokens_decoder")) return by_id;
  PALATE_ASSIGN_OR_RETURN(const JsonConfig decoder, config.Object("added_tokens_decoder"));

  for (const auto& [key, token] : decoder.json().items()) {
    int64_t id = 0;
    if (!absl::SimpleAtoi(key, &id) || id < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(decoder.source(), " has the key ", QuoteForMessage(key), ", not an id"));
    }
    by_id[id] = token;
  }
  return by_id;
}

}  // namespace

absl::StatusOr<std::string> AddedTokens(const JsonConfig& tokenizer_config) {
  PALATE_ASSIGN_OR_RETURN(const auto by_id, DecoderById(tokenizer_config));
  const std::set<std::string> named = NamedTokens(tokenizer_config);
  nlohmann::json tokens = nlohmann::json::array();
  std::set<std::string> listed;

  for (const auto& [id, token] : by_id) {
    const std::string source =
        absl::StrCat(tokenizer_config.source(), ": added_tokens_decoder ", id);
    PALATE_ASSIGN_OR_RETURN(nlohmann::json complete,
                            Complete(token, named.count(ContentOf(token)) > 0, source));
    listed.insert(ContentOf(token));
    tokens.push_back(std::move(complete));
  }

  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    // Some files map names to tokens there, which says nothing new about the tokens.
    if (!tokenizer_config.Has(key) || !tokenizer_config.json().at(key).is_array()) continue;
    for (const nlohmann::json& token : tokenizer_config.json().at(key)) {
      if (!listed.insert(ContentOf(token)).second) continue;
      const std::string source = absl::StrCat(tokenizer_config.source(), ": ", key);
      PALATE_ASSIGN_OR_RETURN(nlohmann::json complete, Complete(token, /*special=*/true, source));
      tokens.push_back(std::move(complete));
    }
  }
  return tokens.dump();
}

}  // namespace palate::models
