// The conversation in which a vision-language embedding model reads one input (Qwen3-VL-Embedding's
// protocol).
//
//   system     the instruction: without whitespace at its ends, and with "." behind it unless it
//   ends with punctuation (Unicode P*); where
//              nothing is left, the default
//   user       the pictures, then the text; "NULL" when there is neither
//   and the template's opening of an answer (add_generation_prompt). The checkpoint's chat template
//   renders it, and the tokenizer's post-processor decides whether an end token follows.
//
// A prompt that is too long loses the end of its text: never a picture's placeholder, and nothing
// of what follows the text, since the last token is what becomes the vector.
//
// Control tokens spelled in a text are ordinary characters. (The reference lets them through;
// without them the ids are equal.)
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

// As the system message says it.
std::string NormalizeInstruction(absl::string_view instruction);

// Immutable; thread-safe.
class ChatPrompt {
 public:
  // InvalidArgument when the folder has no chat template, or one that does not keep a text as it
  // is.
  static absl::StatusOr<ChatPrompt> Create(std::shared_ptr<const models::CausalLm> lm);

  struct Encoded {
    std::vector<int64_t> ids;  // pictures' placeholders expanded
    int64_t truncated_tokens = 0;
  };
  // InvalidArgument when the instruction spells a control token, or when the prompt does not fit
  // even without its text.
  absl::StatusOr<Encoded> Encode(absl::string_view text, absl::string_view instruction,
                                 absl::Span<const models::ImagePatches> images,
                                 int64_t max_tokens) const;

  // What stands around the text of a prompt with so many pictures, with `instruction` in its place:
  // before and after.
  absl::StatusOr<std::pair<std::string, std::string>> Frame(absl::string_view instruction,
                                                            size_t images) const;

 private:
  explicit ChatPrompt(std::shared_ptr<const models::CausalLm> lm) : lm_(std::move(lm)) {}
  absl::StatusOr<std::string> Render(absl::string_view text, absl::string_view instruction,
                                     size_t images) const;
  absl::StatusOr<std::vector<int64_t>> Tokens(absl::string_view text,
                                              bool parse_control_tokens) const;
  // Tokens of what stands before the text, and of the text.
  absl::StatusOr<std::vector<int64_t>> Body(absl::string_view before, absl::string_view text,
                                            absl::Span<const models::ImagePatches> images) const;
  absl::Status LearnAddedTokens();

  const std::shared_ptr<const models::CausalLm> lm_;
  // What the tokenizer's post-processor puts around any text.
  std::vector<int64_t> leading_;
  std::vector<int64_t> trailing_;
};

}  // namespace palate::embedding
