#include "embedding/encoders/chat_prompt.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "embedding/encoders/unicode.h"
#include "nlohmann/json.hpp"

namespace palate::embedding {
namespace {

// Placeholder for the text while we render the template to learn what it writes before and after
// the text. No template writes control characters.
constexpr char kMarker[] = "\x01text\x02";
constexpr char kNothing[] = "NULL";

// All control tokens of the supported families contain this sequence.
bool MaySpellControlTokens(absl::string_view text) { return absl::StrContains(text, "<|"); }

nlohmann::ordered_json TextPart(absl::string_view text) {
  return {{"type", "text"}, {"text", std::string(text)}};
}

}  // namespace

std::string NormalizeInstruction(absl::string_view instruction) {
  const absl::string_view stripped = StripUnicodeWhitespace(instruction);
  if (stripped.empty()) return kDefaultVlInstruction;
  return EndsWithPunctuation(stripped) ? std::string(stripped) : absl::StrCat(stripped, ".");
}

absl::StatusOr<ChatPrompt> ChatPrompt::Create(std::shared_ptr<const models::CausalLm> lm) {
  if (lm->chat_template() == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(lm->folder(), " has no chat template, which is needed to build prompts"));
  }

  ChatPrompt prompt(std::move(lm));
  const std::string awkward = " \n{{ text }} <b>\"&\\n";
  PALATE_ASSIGN_OR_RETURN(const auto frame, prompt.Frame(kDefaultVlInstruction, 1));
  PALATE_ASSIGN_OR_RETURN(const std::string rendered,
                          prompt.Render(awkward, kDefaultVlInstruction, 1));
  if (rendered != absl::StrCat(frame.first, awkward, frame.second)) {
    return absl::InvalidArgumentError(
        absl::StrCat(prompt.lm_->folder(), ": the chat template alters the text"));
  }

  PALATE_RETURN_IF_ERROR(prompt.LearnAddedTokens());
  return prompt;
}

absl::Status ChatPrompt::LearnAddedTokens() {
  PALATE_ASSIGN_OR_RETURN(const models::EncodedText with, lm_->tokenizer().Encode("a"));
  PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> without,
                          Tokens("a", /*parse_control_tokens=*/true));
  const auto at = std::search(with.ids.begin(), with.ids.end(), without.begin(), without.end());
  if (at == with.ids.end())
    return absl::InvalidArgumentError(
        absl::StrCat(lm_->folder(), ": the tokenizer changes a text when it adds special tokens"));

  leading_.assign(with.ids.begin(), at);
  trailing_.assign(at + static_cast<ptrdiff_t>(without.size()), with.ids.end());
  return absl::OkStatus();
}

absl::StatusOr<std::string> ChatPrompt::Render(absl::string_view text,
                                               absl::string_view instruction, size_t images) const {
  nlohmann::ordered_json content = nlohmann::ordered_json::array();
  for (size_t i = 0; i < images; ++i)
    content.push_back({{"type", "image"}, {"image", absl::StrCat("image ", i)}});
  if (!text.empty()) content.push_back(TextPart(text));
  if (content.empty()) content.push_back(TextPart(kNothing));

  nlohmann::ordered_json system = nlohmann::ordered_json::array();
  system.push_back(TextPart(instruction));
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  messages.push_back({{"role", "system"}, {"content", std::move(system)}});
  messages.push_back({{"role", "user"}, {"content", std::move(content)}});

  return lm_->chat_template()->Render(
      {{"messages", std::move(messages)}, {"add_generation_prompt", true}});
}

absl::StatusOr<std::pair<std::string, std::string>> ChatPrompt::Frame(absl::string_view instruction,
                                                                      size_t images) const {
  PALATE_ASSIGN_OR_RETURN(const std::string rendered, Render(kMarker, instruction, images));

  const size_t at = rendered.find(kMarker);
  if (at == std::string::npos)
    return absl::InvalidArgumentError(
        absl::StrCat(lm_->folder(), ": the chat template omits the text"));
  return std::make_pair(rendered.substr(0, at), rendered.substr(at + sizeof(kMarker) - 1));
}

absl::StatusOr<std::vector<int64_t>> ChatPrompt::Tokens(absl::string_view text,
                                                        bool parse_control_tokens) const {
  PALATE_ASSIGN_OR_RETURN(
      models::EncodedText encoded,
      lm_->tokenizer().Encode(
          text, {.add_special_tokens = false, .parse_special_tokens = parse_control_tokens}));
  return std::move(encoded.ids);
}

absl::StatusOr<std::vector<int64_t>> ChatPrompt::Body(
    absl::string_view before, absl::string_view text,
    absl::Span<const models::ImagePatches> images) const {
  std::vector<int64_t> ids;
  if (MaySpellControlTokens(text)) {
    PALATE_ASSIGN_OR_RETURN(ids, Tokens(before, /*parse_control_tokens=*/true));
    PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> data,
                            Tokens(text, /*parse_control_tokens=*/false));
    ids.insert(ids.end(), data.begin(), data.end());
  } else {
    // Tokenize prefix and text together, as the reference does, because a token may span their
    // boundary.
    PALATE_ASSIGN_OR_RETURN(ids, Tokens(absl::StrCat(before, text), /*parse_control_tokens=*/true));
  }

  return lm_->ExpandImages(ids, images);
}

absl::StatusOr<ChatPrompt::Encoded> ChatPrompt::Encode(
    absl::string_view text, absl::string_view instruction,
    absl::Span<const models::ImagePatches> images, int64_t max_tokens) const {
  if (MaySpellControlTokens(instruction)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has the instruction ", QuoteForMessage(instruction), ", which spells a control token"));
  }
  if (text.empty() && images.empty()) text = kNothing;

  PALATE_ASSIGN_OR_RETURN(const auto frame,
                          Frame(NormalizeInstruction(instruction), images.size()));
  PALATE_ASSIGN_OR_RETURN(std::vector<int64_t> body, Body(frame.first, text, images));
  PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> after,
                          Tokens(frame.second, /*parse_control_tokens=*/true));

  Encoded encoded;
  const auto around = static_cast<int64_t>(leading_.size() + after.size() + trailing_.size());
  const int64_t excess = around + static_cast<int64_t>(body.size()) - max_tokens;
  if (excess > 0) {
    PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> kept, Body(frame.first, "", images));
    if (static_cast<int64_t>(body.size()) - excess < static_cast<int64_t>(kept.size())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "needs ", around + static_cast<int64_t>(kept.size()),
          " tokens for the instruction and its pictures alone; the limit is ", max_tokens));
    }
    body.resize(body.size() - static_cast<size_t>(excess));
    encoded.truncated_tokens = excess;
  }

  for (const std::vector<int64_t>* part : {&leading_, &std::as_const(body), &after, &trailing_}) {
    encoded.ids.insert(encoded.ids.end(), part->begin(), part->end());
  }
  return encoded;
}

}  // namespace palate::embedding
