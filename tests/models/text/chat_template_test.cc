#include "models/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/text/tokenizer.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class GoldenChatTemplateTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenChatTemplateTest, RendersAsTheReference) {
  const Golden golden(GetParam());
  PALATE_SKIP_WITHOUT(golden);
  const auto chat_template = ChatTemplate::Load(golden.checkpoint());
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();

  const auto tokenizer = Tokenizer::Load(golden.checkpoint());
  ASSERT_TRUE(tokenizer.ok());

  const Json inputs = golden.inputs()["chat"];
  const Json expected = golden.expected()["chat"];
  ASSERT_EQ(inputs.size(), expected.size());

  for (size_t i = 0; i < inputs.size(); ++i) {
    Json context = inputs[i]["kwargs"];
    context["messages"] = inputs[i]["messages"];
    if (inputs[i].contains("tools")) context["tools"] = inputs[i]["tools"];

    const auto rendered = (*chat_template)->Render(context);
    ASSERT_TRUE(rendered.ok()) << rendered.status() << " " << inputs[i]["name"];
    EXPECT_EQ(*rendered, expected[i]["rendered"].get<std::string>()) << inputs[i]["name"];
    EXPECT_EQ((*tokenizer)->Encode(*rendered, {.add_special_tokens = false})->ids,
              expected[i]["input_ids"].get<std::vector<int64_t>>());
  }
}

INSTANTIATE_TEST_SUITE_P(Qwen3, GoldenChatTemplateTest,
                         ::testing::Values("qwen3-gqa", "qwen3-yarn"));

constexpr char kSimple[] =
    "{% for message in messages %}<{{ message.role }}>{{ message['content'].strip() }}{{ eos_token "
    "}}\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

TEST(ChatTemplateTest, RendersMessagesWithVariablesAndPythonMethods) {
  const auto chat_template = ChatTemplate::Parse(kSimple, Json{{"eos_token", "</s>"}});
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();

  EXPECT_EQ(*(*chat_template)->Render({{"system", " Be brief. "}, {"user", "Hi & <b>"}}, true),
            "<system>Be brief.</s>\n<user>Hi & <b></s>\n<assistant>");
}

TEST(ChatTemplateTest, ReportsASyntaxErrorWithItsLine) {
  const auto chat_template = ChatTemplate::Parse("ok\n{% if %}", Json::object());
  EXPECT_EQ(chat_template.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(chat_template.status().message()), HasSubstr("line 2"));
}

TEST(ChatTemplateTest, RendersTheContentOfAGenerationBlockInEverySpelling) {
  for (const auto& [open, close] : std::vector<std::pair<std::string, std::string>>{
           {"{% generation %}", "{% endgeneration %}"},
           {"{%- generation -%}", "{%- endgeneration -%}"},
           {"{%generation%}", "{%endgeneration%}"},
           {"{%-  generation %}", "{%+ endgeneration  -%}"}}) {
    const auto chat_template = ChatTemplate::Parse(
        "{% for message in messages %}<" + open + "{{ message.content }}" + close + ">{% endfor %}",
        Json::object());
    ASSERT_TRUE(chat_template.ok()) << open << " " << chat_template.status();
    EXPECT_EQ(*(*chat_template)->Render({{"user", "a"}, {"assistant", "b"}}, false), "<a><b>")
        << open;
  }
}

TEST(ChatTemplateTest, AssignmentsInAGenerationBlockStayInIt) {
  const auto chat_template = ChatTemplate::Parse(
      "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
      Json::object());
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();
  EXPECT_EQ(*(*chat_template)->Render(Json::object()), "21");
}

TEST(ChatTemplateTest, TheWordGenerationElsewhereIsUntouched) {
  constexpr char kOther[] =
      "{% if add_generation_prompt %}generation {{ 'endgeneration' }}{% endif %}"
      "{% set generation = 'g' %}{{ generation }}";
  const auto chat_template = ChatTemplate::Parse(kOther, Json::object());
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();
  EXPECT_EQ(*(*chat_template)->Render({{"user", "x"}}, true), "generation endgenerationg");
}

TEST(ChatTemplateTest, PassesOnWhatTheTemplateRaises) {
  const auto chat_template =
      ChatTemplate::Parse("{{ raise_exception('roles must alternate') }}", Json::object());
  const auto rendered = (*chat_template)->Render({{"user", "x"}}, false);

  EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(rendered.status().message()), HasSubstr("roles must alternate"));
}

TEST(ChatTemplateTest, WritesJsonAsPythonDoes) {
  const auto chat_template = ChatTemplate::Parse("{{ tool | tojson }}", Json::object());
  const Json context = {{"tool", {{"name", "f\"é<"}, {"n", {1, 2.5, true, nullptr}}}}};
  EXPECT_EQ(*(*chat_template)->Render(context), R"({"name": "f\"é<", "n": [1, 2.5, true, null]})");
}

TEST(ChatTemplateTest, RefusesMessagesThatAreNotUtf8) {
  const auto chat_template = ChatTemplate::Parse(kSimple, Json::object());
  EXPECT_EQ((*chat_template)->Render({{"user", "\xff"}}, false).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ChatTemplateTest, SaysWhenAFolderHasNone) {
  const TempFolder folder;
  WriteAll(folder.file("tokenizer_config.json"), "{}");
  EXPECT_TRUE(absl::IsNotFound(ChatTemplate::Load(folder.path()).status()));
}

TEST(ChatTemplateTest, PrefersTheProcessorsFilesToTheTokenizers) {
  const TempFolder folder;
  WriteAll(folder.file("tokenizer_config.json"), R"({"chat_template": "tokenizer"})");
  WriteAll(folder.file("chat_template.json"), R"({"chat_template": "older file"})");
  const auto render = [&] { return *(*ChatTemplate::Load(folder.path()))->Render(Json::object()); };
  EXPECT_EQ(render(), "older file");

  WriteAll(folder.file("chat_template.jinja"), "file");
  EXPECT_EQ(render(), "file");
}

TEST(ChatTemplateTest, TakesTheDefaultOfNamedTemplatesAndTokensGivenAsObjects) {
  const TempFolder folder;
  WriteAll(
      folder.file("tokenizer_config.json"),
      R"({"eos_token": {"content": "<e>"}, "chat_template": [{"name": "tool", "template": "no"},
               {"name": "default", "template": "yes{{ eos_token }}"}]})");
  const auto chat_template = ChatTemplate::Load(folder.path());
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();

  EXPECT_EQ(*(*chat_template)->Render(std::vector<ChatMessage>{}, false), "yes<e>");
}

}  // namespace
}  // namespace palate::models
