#include "models/text/chat_template.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/text/ffi_status.h"

namespace palate::models {
namespace {

using Json = nlohmann::ordered_json;

// tokenizer_config.json stores a special token as its text or as an object that describes it.
std::string TokenText(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string())
    return value["content"].get<std::string>();
  return std::string();
}

Json SpecialTokens(const nlohmann::json& tokenizer_config) {
  constexpr std::array<const char*, 4> kNames = {"bos_token", "eos_token", "pad_token",
                                                 "unk_token"};
  Json variables = Json::object();
  for (const char* name : kNames) {
    const auto it = tokenizer_config.find(name);
    if (it == tokenizer_config.end()) continue;
    if (std::string text = TokenText(*it); !text.empty()) variables[name] = std::move(text);
  }
  return variables;
}

// "chat_template" of tokenizer_config.json or chat_template.json: a template, or a list of named
// ones.
absl::StatusOr<std::string> TemplateOf(const JsonConfig& config) {
  if (!config.Has("chat_template"))
    return absl::NotFoundError(absl::StrCat(config.source(), " has no chat_template"));

  const nlohmann::json& value = config.json().at("chat_template");
  if (value.is_string()) return value.get<std::string>();

  if (value.is_array()) {
    for (const nlohmann::json& entry : value) {
      if (entry.is_object() && entry.value("name", nlohmann::json()) == "default" &&
          entry.contains("template") && entry["template"].is_string()) {
        return entry["template"].get<std::string>();
      }
    }
  }

  return absl::InvalidArgumentError(absl::StrCat(
      config.source(), ": chat_template is neither a string nor a list with an entry \"default\""));
}

// The template's text, from the first file of the folder that has one.
absl::StatusOr<std::string> ReadSource(const std::string& folder,
                                       const JsonConfig& tokenizer_config) {
  const std::string file = absl::StrCat(folder, "/chat_template.jinja");
  if (FileExists(file)) return ReadFileToString(file);

  const std::string older_file = absl::StrCat(folder, "/chat_template.json");
  if (!FileExists(older_file)) return TemplateOf(tokenizer_config);
  PALATE_ASSIGN_OR_RETURN(const JsonConfig older, JsonConfig::Load(older_file));
  return TemplateOf(older);
}

absl::StatusOr<std::string> Dump(const Json& json) {
  try {
    return json.dump();
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("messages are not UTF-8: ", error.what()));
  }
}

}  // namespace

struct ChatTemplate::Impl {
  explicit Impl(palate_chat_template* chat_template) : handle(chat_template) {}
  ~Impl() { palate_chat_template_free(handle); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  palate_chat_template* const handle;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<std::shared_ptr<const ChatTemplate>> ChatTemplate::Load(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config,
                          JsonConfig::Load(absl::StrCat(folder, "/tokenizer_config.json")));
  PALATE_ASSIGN_OR_RETURN(const std::string source, ReadSource(folder, config));

  auto chat_template = Parse(source, SpecialTokens(config.json()));
  if (!chat_template.ok()) return Annotate(chat_template.status(), folder, ": chat template");
  return chat_template;
}

absl::StatusOr<std::shared_ptr<const ChatTemplate>> ChatTemplate::Parse(absl::string_view source,
                                                                        Json variables) {
  PALATE_ASSIGN_OR_RETURN(const std::string variables_text, Dump(variables));

  palate_chat_template* handle = nullptr;
  palate_text_string error = {};
  PALATE_RETURN_IF_ERROR(ToStatus(
      palate_chat_template_new(ToSlice(source), ToSlice(variables_text), &handle, &error), error));
  return std::shared_ptr<const ChatTemplate>(new ChatTemplate(std::make_unique<Impl>(handle)));
}

absl::StatusOr<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                                 bool add_generation_prompt) const {
  Json context = {{"messages", Json::array()}, {"add_generation_prompt", add_generation_prompt}};
  for (const ChatMessage& message : messages)
    context["messages"].push_back({{"role", message.role}, {"content", message.content}});
  return Render(context);
}

absl::StatusOr<std::string> ChatTemplate::Render(const Json& context) const {
  PALATE_ASSIGN_OR_RETURN(const std::string text, Dump(context));

  palate_text_string out = {};
  palate_text_string error = {};
  PALATE_RETURN_IF_ERROR(
      ToStatus(palate_chat_template_render(impl_->handle, ToSlice(text), &out, &error), error));
  return TakeString(out);
}

}  // namespace palate::models
