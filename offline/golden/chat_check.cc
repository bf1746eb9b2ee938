#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"

namespace palate::golden {
namespace {

// The variables of the template: messages, the keyword arguments, and all other keys of the case
// (tools, documents).
Json Context(const Json& chat) {
  Json context = chat.contains("kwargs") ? chat["kwargs"] : Json::object();
  for (const auto& [key, value] : chat.items()) {
    if (key != "name" && key != "kwargs") context[key] = value;
  }
  return context;
}

}  // namespace

absl::Status CheckChat(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto chat_template, fixture.ChatTemplate());
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, fixture.Tokenizer());
  PALATE_ASSIGN_OR_RETURN(const auto chats, fixture.inputs().List("chat"));
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("chat"));

  if (chats.size() != answers.size())
    return absl::InvalidArgumentError("expected.json: chat answers another number of cases");

  Tally rendered_tally, ids_tally;
  for (size_t i = 0; i < chats.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const std::string name, answers[i].String("name"));
    PALATE_ASSIGN_OR_RETURN(const std::string expected, answers[i].String("rendered"));
    PALATE_ASSIGN_OR_RETURN(const auto expected_ids, answers[i].Ids("input_ids"));
    PALATE_ASSIGN_OR_RETURN(const std::string rendered,
                            chat_template->Render(Context(chats[i].Take())));
    PALATE_ASSIGN_OR_RETURN(const auto encoded,
                            tokenizer->Encode(rendered, {.add_special_tokens = false}));

    rendered_tally.Add(rendered == expected,
                       absl::StrCat(name, ": ", DescribeText(rendered, expected)));
    ids_tally.Add(encoded.ids == expected_ids,
                  absl::StrCat(name, ": ", DescribeIds(encoded.ids, expected_ids)));
  }

  rendered_tally.AddTo(report, "chat rendered");
  ids_tally.AddTo(report, "chat input_ids");
  return absl::OkStatus();
}

}  // namespace palate::golden
