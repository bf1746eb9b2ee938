// Renders a model folder's chat template: Jinja with the Python string methods and helpers that
// published templates use.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto chat_template, ChatTemplate::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const std::string prompt,
//                           chat_template->Render({{.role = "user", .content = "Which mug?"}},
//                                                 /*add_generation_prompt=*/true));
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
  // tokenizer_config.json (a string, or the entry "default" of a list). The special tokens come
  // from tokenizer_config.json. NotFound when the folder has no template, InvalidArgument when it
  // does not parse.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> Load(const std::string& folder);
  // Every rendering sees `variables`, such as {"bos_token": "<s>"}.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> Parse(
      absl::string_view source, nlohmann::ordered_json variables);
  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

  // Message texts are inserted unchanged, so a text can open a new turn; callers that must prevent
  // this remove special tokens first. InvalidArgument when the template rejects the messages
  // (raise_exception).
  absl::StatusOr<std::string> Render(const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt) const;
  // The general form: `context` holds "messages" and everything else that the template reads
  // ("tools", "enable_thinking", …).
  absl::StatusOr<std::string> Render(const nlohmann::ordered_json& context) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::models
