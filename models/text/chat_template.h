// Renders a model folder's chat template (Jinja, with the Python string methods and helpers that
// published templates use).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace palate::models {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// Immutable after loading; Render is thread-safe.
class ChatTemplate {
 public:
  // Reads chat_template.jinja, else chat_template.json, else "chat_template" of
  // tokenizer_config.json (a string, or a list whose entry "default" is taken); the special tokens
  // come from tokenizer_config.json. NotFound when the folder has none, InvalidArgument when it
  // does not parse.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> Load(const std::string& folder);
  // `variables` are visible to every rendering: {"bos_token": "<s>"}.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> Parse(
      absl::string_view source, nlohmann::ordered_json variables);
  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

  // Message texts are data: they are inserted as they are, so a caller that must not let them open
  // a turn of their own removes special tokens first. InvalidArgument when the template refuses the
  // messages (raise_exception).
  absl::StatusOr<std::string> Render(const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt) const;
  // The general form: `context` holds "messages" and whatever else the template reads ("tools",
  // "enable_thinking", …).
  absl::StatusOr<std::string> Render(const nlohmann::ordered_json& context) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::models
