// The conversation that a vision-language embedding model reads for one input (the protocol of
// Qwen3-VL-Embedding).
//
//   system     the instruction, without whitespace at either end, and with "." appended unless it
//              ends with punctuation (Unicode P*); the default instruction if nothing is left
//   user       the images, then the text; "NULL" when there is neither
//
// The template then opens the assistant's turn (add_generation_prompt). The checkpoint's chat
// template renders the conversation, and the tokenizer's post-processor decides whether an end
// token follows.
//
// A prompt that is too long is cut at the end of its text. Image placeholders and everything after
// the text are kept, because the last token becomes the vector.
//
// Control tokens inside a text are encoded as ordinary characters. (The reference interprets them;
// for texts without them the ids are equal.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/causal_lm/causal_lm.h"

namespace palate::embedding {

inline constexpr char kDefaultVlInstruction[] = "Represent the user's input.";

// The instruction as it appears in the system message.
std::string NormalizeInstruction(absl::string_view instruction);

// Immutable; thread-safe.
class ChatPrompt {
 public:
  // InvalidArgument when the folder has no chat template, or one that alters the text.
  static absl::StatusOr<ChatPrompt> Create(std::shared_ptr<const models::CausalLm> lm);

  struct Encoded {
    std::vector<int64_t> ids;  // image placeholders are expanded
    int64_t truncated_tokens = 0;
  };
  // InvalidArgument when the instruction contains a control token, or when the prompt does not fit
  // even without its text.
  absl::StatusOr<Encoded> Encode(absl::string_view text, absl::string_view instruction,
                                 absl::Span<const models::ImagePatches> images,
                                 int64_t max_tokens) const;

  // The rendered prompt before and after the text, for `images` images and this instruction.
  absl::StatusOr<std::pair<std::string, std::string>> Frame(absl::string_view instruction,
                                                            size_t images) const;

 private:
  explicit ChatPrompt(std::shared_ptr<const models::CausalLm> lm) : lm_(std::move(lm)) {}
  absl::StatusOr<std::string> Render(absl::string_view text, absl::string_view instruction,
                                     size_t images) const;
  absl::StatusOr<std::vector<int64_t>> Tokens(absl::string_view text,
                                              bool parse_control_tokens) const;
  // Token ids of the prompt up to the text, and of the text.
  absl::StatusOr<std::vector<int64_t>> Body(absl::string_view before, absl::string_view text,
                                            absl::Span<const models::ImagePatches> images) const;
  absl::Status LearnAddedTokens();

  const std::shared_ptr<const models::CausalLm> lm_;
  // Tokens that the tokenizer's post-processor adds before and after every text.
  std::vector<int64_t> leading_;
  std::vector<int64_t> trailing_;
};

}  // namespace palate::embedding
