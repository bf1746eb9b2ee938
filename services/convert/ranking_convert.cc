#include "services/convert/ranking_convert.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "domain/text.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

absl::Status CheckText(absl::string_view field, const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", text.size(), " bytes"),
                      absl::StrCat("at most ", max_bytes));
}

absl::Status CheckSize(absl::string_view list, int size, int low, int high) {
  if (size >= low && size <= high) return absl::OkStatus();
  return InvalidField(list, absl::StrCat("has ", size, " elements"),
                      absl::StrCat(low, " to ", high));
}

// The request must have either candidates or documents.
absl::Status CheckWhatIsRanked(const ranking_pb::RankRequest& request) {
  if (request.documents().empty())
    return CheckSize("candidates", request.candidates_size(), 1, kMaxCandidates);
  PALATE_RETURN_IF_ERROR(CheckSize("documents", request.documents_size(), 1, kMaxDocuments));
  if (request.candidates().empty()) return absl::OkStatus();
  return InvalidField("candidates", absl::StrCat("has ", request.candidates_size(), " elements"),
                      "none beside documents");
}

}  // namespace

ranking_pb::RankMode ToProto(ranking::RankMode mode) {
  switch (mode) {
    case ranking::RankMode::kListwise:
      return ranking_pb::RANK_MODE_LISTWISE;
    case ranking::RankMode::kPointwise:
      return ranking_pb::RANK_MODE_POINTWISE;
    case ranking::RankMode::kOfModel:
      break;
  }

  return ranking_pb::RANK_MODE_UNSPECIFIED;
}

absl::StatusOr<ranking::RankMode> FromProto(ranking_pb::RankMode mode) {
  switch (mode) {
    case ranking_pb::RANK_MODE_UNSPECIFIED:
      return ranking::RankMode::kOfModel;
    case ranking_pb::RANK_MODE_LISTWISE:
      return ranking::RankMode::kListwise;
    case ranking_pb::RANK_MODE_POINTWISE:
      return ranking::RankMode::kPointwise;
    case ranking_pb::RankMode_INT_MIN_SENTINEL_DO_NOT_USE_:
    case ranking_pb::RankMode_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(mode, "RankMode");
}

ranking_pb::ItemFacts ToProto(const ranking::ItemFacts& facts) {
  ranking_pb::ItemFacts out;
  out.set_item_id(facts.item_id);
  out.set_title(facts.title);
  out.set_description(facts.description);
  ToProto(facts.attributes, *out.mutable_attributes());
  return out;
}

absl::StatusOr<ranking::ItemFacts> FromProto(const ranking_pb::ItemFacts& facts) {
  if (facts.item_id().empty())
    return InvalidField("item_id", "is empty", absl::StrCat("of 1 to ", kMaxIdBytes, " bytes"));
  PALATE_RETURN_IF_ERROR(CheckText("item_id", facts.item_id(), kMaxIdBytes));
  PALATE_RETURN_IF_ERROR(CheckText("title", facts.title(), kMaxTitleBytes));
  PALATE_RETURN_IF_ERROR(CheckText("description", facts.description(), kMaxDescriptionBytes));

  ranking::ItemFacts out{facts.item_id(), facts.title(), facts.description(), {}};
  PALATE_ASSIGN_OR_RETURN(out.attributes, FromProto(facts.attributes()));
  return out;
}

ranking_pb::HistoryEntry ToProto(const ranking::HistoryEntry& entry) {
  ranking_pb::HistoryEntry out;
  *out.mutable_item() = ToProto(entry.item);
  out.set_event_type(entry.event_type);
  out.set_weight(entry.weight);
  *out.mutable_time() = ToProto(entry.time);
  return out;
}

absl::StatusOr<ranking::HistoryEntry> FromProto(const ranking_pb::HistoryEntry& entry) {
  ranking::HistoryEntry out;
  PALATE_ASSIGN_OR_RETURN(out.item, PrefixFields(FromProto(entry.item()), "item"));
  out.event_type = entry.event_type();
  out.weight = entry.weight();
  if (!std::isfinite(out.weight))
    return InvalidField("weight", absl::StrCat("is ", out.weight), "finite");
  if (entry.has_time()) {
    PALATE_ASSIGN_OR_RETURN(out.time, FromProto(entry.time(), "time"));
  }
  return out;
}

ranking_pb::RankContent ToProto(const ranking::RankContent& content) {
  ranking_pb::RankContent out;
  out.set_text(content.text);
  for (const std::string& image : content.images) out.add_images(image);
  return out;
}

absl::StatusOr<ranking::RankContent> FromProto(const ranking_pb::RankContent& content) {
  PALATE_RETURN_IF_ERROR(CheckText("text", content.text(), kMaxContentBytes));
  PALATE_RETURN_IF_ERROR(CheckSize("images", content.images_size(), 0, kMaxContentImages));
  return ranking::RankContent{content.text(), {content.images().begin(), content.images().end()}};
}

ranking_pb::RankRequest ToProto(const ranking::RankInput& input) {
  ranking_pb::RankRequest out;
  out.set_model(input.model);
  for (const ranking::HistoryEntry& entry : input.history) *out.add_history() = ToProto(entry);
  for (const ranking::ItemFacts& candidate : input.candidates)
    *out.add_candidates() = ToProto(candidate);
  out.set_instruction(input.instruction);
  out.set_mode(ToProto(input.mode));
  if (input.query.has_value()) *out.mutable_query() = ToProto(*input.query);
  for (const ranking::RankContent& document : input.documents)
    *out.add_documents() = ToProto(document);
  return out;
}

absl::StatusOr<ranking::RankInput> FromProto(const ranking_pb::RankRequest& request) {
  PALATE_RETURN_IF_ERROR(CheckSize("history", request.history_size(), 0, kMaxHistoryEntries));
  PALATE_RETURN_IF_ERROR(CheckWhatIsRanked(request));
  PALATE_RETURN_IF_ERROR(CheckText("instruction", request.instruction(), kMaxInstructionBytes));

  ranking::RankInput out;
  out.model = request.model();
  PALATE_RETURN_IF_ERROR(ConvertList(request.history(), "history", FromProto, out.history));
  PALATE_RETURN_IF_ERROR(
      ConvertList(request.candidates(), "candidates", FromProto, out.candidates));
  out.instruction = request.instruction();
  PALATE_ASSIGN_OR_RETURN(out.mode, PrefixFields(FromProto(request.mode()), "mode"));
  if (request.has_query()) {
    PALATE_ASSIGN_OR_RETURN(out.query, PrefixFields(FromProto(request.query()), "query"));
  }
  PALATE_RETURN_IF_ERROR(ConvertList(request.documents(), "documents", FromProto, out.documents));
  return out;
}

ranking_pb::RankResponse ToProto(const ranking::RankOutput& output) {
  ranking_pb::RankResponse out;
  out.mutable_scores()->Add(output.scores.begin(), output.scores.end());
  out.set_model_fingerprint(output.model_fingerprint);
  out.set_prompt_tokens(output.prompt_tokens);
  out.set_truncated_history(output.truncated_history);
  out.set_truncated_documents(output.truncated_documents);
  out.mutable_relevance()->Add(output.relevance.begin(), output.relevance.end());
  out.mutable_unused_fields()->Assign(output.unused_fields.begin(), output.unused_fields.end());
  return out;
}

ranking::RankOutput FromProto(const ranking_pb::RankResponse& response) {
  ranking::RankOutput out;
  out.scores.assign(response.scores().begin(), response.scores().end());
  out.model_fingerprint = response.model_fingerprint();
  out.prompt_tokens = response.prompt_tokens();
  out.truncated_history = response.truncated_history();
  out.truncated_documents = response.truncated_documents();
  out.relevance.assign(response.relevance().begin(), response.relevance().end());
  out.unused_fields.assign(response.unused_fields().begin(), response.unused_fields().end());
  return out;
}

ranking_pb::ExplainInput ToProto(const ranking::ExplainInput& input) {
  ranking_pb::ExplainInput out;
  for (const ranking::HistoryEntry& entry : input.history) *out.add_history() = ToProto(entry);
  *out.mutable_item() = ToProto(input.item);
  out.mutable_reasons()->Assign(input.reasons.begin(), input.reasons.end());
  out.set_language(input.language);
  if (input.age.has_value()) *out.mutable_age() = ToProto(*input.age);
  if (input.popularity.has_value()) out.set_popularity(*input.popularity);
  out.mutable_close_item_ids()->Assign(input.close_item_ids.begin(), input.close_item_ids.end());
  return out;
}

absl::StatusOr<ranking::ExplainInput> FromProto(const ranking_pb::ExplainInput& input) {
  PALATE_RETURN_IF_ERROR(CheckSize("history", input.history_size(), 0, kMaxHistoryEntries));
  PALATE_RETURN_IF_ERROR(CheckText("language", input.language(), kMaxLanguageBytes));
  if (!input.language().empty() && !IsLanguageTag(input.language())) {
    return InvalidField("language", absl::StrCat("is ", QuoteForMessage(input.language())),
                        "a BCP 47 language tag");
  }
  PALATE_RETURN_IF_ERROR(
      CheckSize("close_item_ids", input.close_item_ids_size(), 0, kMaxHistoryEntries));
  if (!std::isfinite(input.popularity()))
    return InvalidField("popularity", "is not finite", "finite");

  ranking::ExplainInput out;
  PALATE_RETURN_IF_ERROR(ConvertList(input.history(), "history", FromProto, out.history));
  PALATE_ASSIGN_OR_RETURN(out.item, PrefixFields(FromProto(input.item()), "item"));
  out.reasons.assign(input.reasons().begin(), input.reasons().end());
  out.language = input.language();
  if (input.has_age())
    out.age = absl::Seconds(input.age().seconds()) + absl::Nanoseconds(input.age().nanos());
  if (input.has_popularity()) out.popularity = input.popularity();
  out.close_item_ids.assign(input.close_item_ids().begin(), input.close_item_ids().end());
  return out;
}

ranking_pb::ExplainRequest ToProto(const std::vector<ranking::ExplainInput>& inputs,
                                   bool stream_text) {
  ranking_pb::ExplainRequest out;
  if (!inputs.empty()) out.set_model(inputs[0].model);
  for (const ranking::ExplainInput& input : inputs) *out.add_inputs() = ToProto(input);
  out.set_stream_text(stream_text);
  return out;
}

absl::StatusOr<std::vector<ranking::ExplainInput>> FromProto(
    const ranking_pb::ExplainRequest& request) {
  PALATE_RETURN_IF_ERROR(CheckSize("inputs", request.inputs_size(), 1, kMaxExplanations));
  std::vector<ranking::ExplainInput> inputs;
  PALATE_RETURN_IF_ERROR(ConvertList(request.inputs(), "inputs", FromProto, inputs));
  for (ranking::ExplainInput& input : inputs) input.model = request.model();
  return inputs;
}

}  // namespace palate::services
