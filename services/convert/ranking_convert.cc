#include "services/convert/ranking_convert.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::ranking::v1;

absl::Status CheckText(absl::string_view field, const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", text.size(), " bytes"), absl::StrCat("at most ", max_bytes));
}

pb::ItemFacts FactsMessage(const ranking::ItemFacts& facts) {
  pb::ItemFacts out;
  out.set_item_id(facts.item_id);
  out.set_title(facts.title);
  out.set_description(facts.description);
  ToProto(facts.attributes, *out.mutable_attributes());
  return out;
}

absl::StatusOr<ranking::ItemFacts> FactsFrom(const pb::ItemFacts& facts) {
  if (facts.item_id().empty()) return InvalidField("item_id", "is empty", absl::StrCat("of 1 to ", kMaxIdBytes, " bytes"));
  PALATE_RETURN_IF_ERROR(CheckText("item_id", facts.item_id(), kMaxIdBytes));
  PALATE_RETURN_IF_ERROR(CheckText("title", facts.title(), kMaxTitleBytes));
  PALATE_RETURN_IF_ERROR(CheckText("description", facts.description(), kMaxDescriptionBytes));
  ranking::ItemFacts out{facts.item_id(), facts.title(), facts.description(), {}};
  PALATE_ASSIGN_OR_RETURN(out.attributes, FromProto(facts.attributes()));
  return out;
}

pb::HistoryEntry EntryMessage(const ranking::HistoryEntry& entry) {
  pb::HistoryEntry out;
  *out.mutable_item() = FactsMessage(entry.item);
  out.set_event_type(entry.event_type);
  out.set_weight(entry.weight);
  *out.mutable_time() = ToProto(entry.time);
  return out;
}

absl::StatusOr<ranking::HistoryEntry> EntryFrom(const pb::HistoryEntry& entry) {
  ranking::HistoryEntry out;
  absl::StatusOr<ranking::ItemFacts> item = FactsFrom(entry.item());
  if (!item.ok()) return PrefixFields(item.status(), "item");
  out.item = *std::move(item);
  out.event_type = entry.event_type();
  out.weight = entry.weight();
  if (!std::isfinite(out.weight)) return InvalidField("weight", absl::StrCat("is ", out.weight), "finite");
  if (entry.has_time()) {
    PALATE_ASSIGN_OR_RETURN(out.time, FromProto(entry.time(), "time"));
  }
  return out;
}

absl::Status CheckSize(absl::string_view list, int size, int low, int high) {
  if (size >= low && size <= high) return absl::OkStatus();
  return InvalidField(list, absl::StrCat("has ", size, " elements"), absl::StrCat(low, " to ", high));
}

template <typename Element, typename Value>
absl::Status ConvertAll(const google::protobuf::RepeatedPtrField<Element>& elements, const std::string& list,
                        absl::StatusOr<Value> (*convert)(const Element&), std::vector<Value>& out) {
  for (int i = 0; i < elements.size(); ++i) {
    absl::StatusOr<Value> value = convert(elements[i]);
    if (!value.ok()) return PrefixFields(value.status(), absl::StrCat(list, "[", i, "]"));
    out.push_back(*std::move(value));
  }
  return absl::OkStatus();
}

pb::RankContent ContentMessage(const ranking::RankContent& content) {
  pb::RankContent out;
  out.set_text(content.text);
  for (const std::string& image : content.images) out.add_images(image);
  return out;
}

absl::StatusOr<ranking::RankContent> ContentFrom(const pb::RankContent& content) {
  PALATE_RETURN_IF_ERROR(CheckText("text", content.text(), kMaxContentBytes));
  PALATE_RETURN_IF_ERROR(CheckSize("images", content.images_size(), 0, kMaxContentImages));
  return ranking::RankContent{content.text(), {content.images().begin(), content.images().end()}};
}

absl::StatusOr<ranking::RankMode> ModeFrom(pb::RankMode mode) {
  switch (mode) {
    case pb::RANK_MODE_UNSPECIFIED:
      return ranking::RankMode::kOfModel;
    case pb::RANK_MODE_LISTWISE:
      return ranking::RankMode::kListwise;
    case pb::RANK_MODE_POINTWISE:
      return ranking::RankMode::kPointwise;
    default:
      return InvalidField("mode", absl::StrCat("is ", static_cast<int>(mode)), "a value of RankMode");
  }
}

// Candidates or documents, not both.
absl::Status CheckWhatIsRanked(const pb::RankRequest& request) {
  if (request.documents().empty()) return CheckSize("candidates", request.candidates_size(), 1, kMaxCandidates);
  PALATE_RETURN_IF_ERROR(CheckSize("documents", request.documents_size(), 1, kMaxDocuments));
  if (request.candidates().empty()) return absl::OkStatus();
  return InvalidField("candidates", absl::StrCat("has ", request.candidates_size(), " elements"), "none beside documents");
}

}  // namespace

pb::RankMode ToProto(ranking::RankMode mode) {
  switch (mode) {
    case ranking::RankMode::kListwise:
      return pb::RANK_MODE_LISTWISE;
    case ranking::RankMode::kPointwise:
      return pb::RANK_MODE_POINTWISE;
    case ranking::RankMode::kOfModel:
      break;
  }
  return pb::RANK_MODE_UNSPECIFIED;
}

pb::RankRequest ToProto(const ranking::RankInput& input) {
  pb::RankRequest out;
  out.set_model(input.model);
  for (const ranking::HistoryEntry& entry : input.history) *out.add_history() = EntryMessage(entry);
  for (const ranking::ItemFacts& candidate : input.candidates) *out.add_candidates() = FactsMessage(candidate);
  out.set_instruction(input.instruction);
  out.set_mode(ToProto(input.mode));
  if (input.query.has_value()) *out.mutable_query() = ContentMessage(*input.query);
  for (const ranking::RankContent& document : input.documents) *out.add_documents() = ContentMessage(document);
  return out;
}

absl::StatusOr<ranking::RankInput> FromProto(const pb::RankRequest& request) {
  PALATE_RETURN_IF_ERROR(CheckSize("history", request.history_size(), 0, kMaxHistoryEntries));
  PALATE_RETURN_IF_ERROR(CheckWhatIsRanked(request));
  PALATE_RETURN_IF_ERROR(CheckText("instruction", request.instruction(), kMaxInstructionBytes));
  ranking::RankInput out;
  out.model = request.model();
  PALATE_RETURN_IF_ERROR(ConvertAll(request.history(), "history", EntryFrom, out.history));
  PALATE_RETURN_IF_ERROR(ConvertAll(request.candidates(), "candidates", FactsFrom, out.candidates));
  out.instruction = request.instruction();
  PALATE_ASSIGN_OR_RETURN(out.mode, ModeFrom(request.mode()));
  if (request.has_query()) {
    absl::StatusOr<ranking::RankContent> query = ContentFrom(request.query());
    if (!query.ok()) return PrefixFields(query.status(), "query");
    out.query = *std::move(query);
  }
  PALATE_RETURN_IF_ERROR(ConvertAll(request.documents(), "documents", ContentFrom, out.documents));
  return out;
}

pb::RankResponse ToProto(const ranking::RankOutput& output) {
  pb::RankResponse out;
  out.mutable_scores()->Add(output.scores.begin(), output.scores.end());
  out.set_model_fingerprint(output.model_fingerprint);
  out.set_prompt_tokens(output.prompt_tokens);
  out.set_truncated_history(output.truncated_history);
  out.set_truncated_documents(output.truncated_documents);
  out.mutable_relevance()->Add(output.relevance.begin(), output.relevance.end());
  return out;
}

ranking::RankOutput FromProto(const pb::RankResponse& response) {
  ranking::RankOutput out;
  out.scores.assign(response.scores().begin(), response.scores().end());
  out.model_fingerprint = response.model_fingerprint();
  out.prompt_tokens = response.prompt_tokens();
  out.truncated_history = response.truncated_history();
  out.truncated_documents = response.truncated_documents();
  out.relevance.assign(response.relevance().begin(), response.relevance().end());
  return out;
}

pb::ExplainRequest ToProto(const std::vector<ranking::ExplainInput>& inputs, bool stream_text) {
  pb::ExplainRequest out;
  if (!inputs.empty()) out.set_model(inputs[0].model);
  for (const ranking::ExplainInput& input : inputs) {
    pb::ExplainInput* converted = out.add_inputs();
    for (const ranking::HistoryEntry& entry : input.history) *converted->add_history() = EntryMessage(entry);
    *converted->mutable_item() = FactsMessage(input.item);
    converted->mutable_reasons()->Assign(input.reasons.begin(), input.reasons.end());
    converted->set_language(input.language);
  }
  out.set_stream_text(stream_text);
  return out;
}

absl::StatusOr<std::vector<ranking::ExplainInput>> FromProto(const pb::ExplainRequest& request) {
  PALATE_RETURN_IF_ERROR(CheckSize("inputs", request.inputs_size(), 1, kMaxExplanations));
  std::vector<ranking::ExplainInput> inputs;
  for (int i = 0; i < request.inputs_size(); ++i) {
    const pb::ExplainInput& input = request.inputs(i);
    const std::string element = absl::StrCat("inputs[", i, "]");
    PALATE_RETURN_IF_ERROR(CheckSize(element + ".history", input.history_size(), 0, kMaxHistoryEntries));
    PALATE_RETURN_IF_ERROR(CheckText(element + ".language", input.language(), kMaxLanguageBytes));
    ranking::ExplainInput out;
    out.model = request.model();
    PALATE_RETURN_IF_ERROR(PrefixFields(ConvertAll(input.history(), "history", EntryFrom, out.history), element));
    absl::StatusOr<ranking::ItemFacts> item = FactsFrom(input.item());
    if (!item.ok()) return PrefixFields(item.status(), element + ".item");
    out.item = *std::move(item);
    out.reasons.assign(input.reasons().begin(), input.reasons().end());
    out.language = input.language();
    inputs.push_back(std::move(out));
  }
  return inputs;
}

}  // namespace palate::services
