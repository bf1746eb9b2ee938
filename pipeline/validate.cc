#include "pipeline/validate.h"

#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/attribute.h"
#include "domain/limits.h"
#include "domain/text.h"

namespace palate::pipeline {
namespace {

absl::Status CheckId(absl::string_view field, const std::string& id) {
  if (id.empty())
    return InvalidField(field, "is empty", absl::StrCat("1 to ", kMaxIdBytes, " bytes of UTF-8"));
  if (id.size() > kMaxIdBytes) {
    return InvalidField(field, absl::StrCat(QuoteForMessage(id), " has ", id.size(), " bytes"),
                        absl::StrCat("at most ", kMaxIdBytes));
  }
  if (!IsValidUtf8(id))
    return InvalidField(field, absl::StrCat(QuoteForMessage(id), " is not UTF-8"), "valid UTF-8");

  if (HasControlCharacter(id)) {
    return InvalidField(field, absl::StrCat(QuoteForMessage(id), " has a control character"),
                        "without control characters");
  }
  return absl::OkStatus();
}

absl::Status CheckOptionalId(absl::string_view field, const std::string& id) {
  return id.empty() ? absl::OkStatus() : CheckId(field, id);
}

absl::Status CheckText(absl::string_view field, const std::string& text, size_t limit) {
  if (text.size() > limit)
    return InvalidField(field, absl::StrCat("has ", text.size(), " bytes"),
                        absl::StrCat("at most ", limit));
  if (!IsValidUtf8(text))
    return InvalidField(field, absl::StrCat(QuoteForMessage(text), " is not UTF-8"), "valid UTF-8");
  if (const size_t nul = text.find('\0'); nul != std::string::npos) {
    return InvalidField(field, absl::StrCat("has a NUL character at byte ", nul + 1),
                        "without NUL");
  }
  return absl::OkStatus();
}

absl::Status CheckLanguage(const std::string& language) {
  PALATE_RETURN_IF_ERROR(CheckText("language", language, kMaxLanguageBytes));
  if (language.empty() || IsLanguageTag(language)) return absl::OkStatus();
  return InvalidField("language", absl::StrCat("is ", QuoteForMessage(language)),
                      "a BCP 47 language tag");
}

absl::Status CheckIds(absl::string_view field, const std::vector<std::string>& ids, int limit) {
  if (static_cast<int>(ids.size()) > limit) {
    return InvalidField(field, absl::StrCat("has ", ids.size(), " entries"),
                        absl::StrCat("at most ", limit));
  }
  for (size_t i = 0; i < ids.size(); ++i)
    PALATE_RETURN_IF_ERROR(CheckId(absl::StrCat(field, "[", i, "]"), ids[i]));
  return absl::OkStatus();
}

absl::Status CheckCount(absl::string_view field, int count) {
  if (count < 1 || count > kMaxResults)
    return InvalidField(field, absl::StrCat("is ", count), absl::StrCat("1 to ", kMaxResults));
  return absl::OkStatus();
}

absl::Status CheckShare(absl::string_view field, double value, double limit) {
  if (!(value >= 0 && value <= limit))
    return InvalidField(field, absl::StrCat("is ", NumberText(value)),
                        absl::StrCat("0 to ", NumberText(limit)));
  return absl::OkStatus();
}

absl::Status CheckTime(absl::Time time) {
  if (time < absl::UnixEpoch())
    return InvalidField("request_time", absl::FormatTime(time, absl::UTCTimeZone()),
                        "1970 or later");
  return absl::OkStatus();
}

absl::Status CheckSearchInput(absl::string_view field, const SearchInput& input) {
  PALATE_RETURN_IF_ERROR(CheckText(absl::StrCat(field, ".text"), input.text, kMaxQueryBytes));
  if (input.image.size() > kMaxImageBytes) {
    return InvalidField(absl::StrCat(field, ".image"),
                        absl::StrCat("has ", input.image.size(), " bytes"),
                        absl::StrCat("at most ", kMaxImageBytes));
  }
  return absl::OkStatus();
}

absl::Status CheckSessionEvents(const std::vector<Event>& events, absl::Time now) {
  if (static_cast<int>(events.size()) > kMaxSessionEvents) {
    return InvalidField("session_events", absl::StrCat("has ", events.size(), " entries"),
                        absl::StrCat("at most ", kMaxSessionEvents));
  }

  for (size_t i = 0; i < events.size(); ++i) {
    const std::string field = absl::StrCat("session_events[", i, "]");
    PALATE_RETURN_IF_ERROR(CheckId(absl::StrCat(field, ".item_id"), events[i].item_id));
    PALATE_RETURN_IF_ERROR(CheckOptionalId(absl::StrCat(field, ".event_id"), events[i].event_id));
    PALATE_RETURN_IF_ERROR(CheckOptionalId(absl::StrCat(field, ".user_id"), events[i].user_id));
    PALATE_RETURN_IF_ERROR(
        CheckOptionalId(absl::StrCat(field, ".session_id"), events[i].session_id));
    PALATE_RETURN_IF_ERROR(
        CheckOptionalId(absl::StrCat(field, ".recommendation_id"), events[i].recommendation_id));
    if (events[i].value.has_value() && !std::isfinite(*events[i].value)) {
      return InvalidField(absl::StrCat(field, ".value"),
                          absl::StrCat("is ", NumberText(*events[i].value)), "finite");
    }
    if (events[i].time < absl::UnixEpoch())
      return InvalidField(absl::StrCat(field, ".event_time"), "is before 1970", "1970 or later");
    if (events[i].time > now + kMaxSessionEventLead) {
      return InvalidField(
          absl::StrCat(field, ".event_time"),
          absl::StrCat("is ", absl::FormatTime(events[i].time, absl::UTCTimeZone())),
          "at most 24 hours ahead of the server's clock");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDiversity(const Diversity& diversity) {
  PALATE_RETURN_IF_ERROR(CheckShare("diversity.mmr_lambda", diversity.mmr_lambda, 1));
  PALATE_RETURN_IF_ERROR(
      CheckShare("diversity.exploration_share", diversity.exploration_share, kMaxExplorationShare));

  if (diversity.attribute_caps.size() > kMaxAttributeCaps) {
    return InvalidField("diversity.attribute_caps",
                        absl::StrCat("has ", diversity.attribute_caps.size(), " entries"),
                        absl::StrCat("at most ", kMaxAttributeCaps));
  }
  for (const auto& [name, cap] : diversity.attribute_caps) {
    if (cap >= 1 && cap <= kMaxCappedResults) continue;
    return InvalidField(absl::StrCat("diversity.attribute_caps[", QuoteForMessage(name), "]"),
                        absl::StrCat("is ", cap), absl::StrCat("1 to ", kMaxCappedResults));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const RecommendQuery& query, absl::Time now) {
  PALATE_RETURN_IF_ERROR(CheckId("catalog", query.catalog));
  PALATE_RETURN_IF_ERROR(CheckOptionalId("user_id", query.user_id));
  // As the feature store checks it, which would refuse the impression when nobody waits for it.
  PALATE_RETURN_IF_ERROR(CheckOptionalId("scenario", query.scenario));
  PALATE_RETURN_IF_ERROR(CheckLanguage(query.language));
  PALATE_RETURN_IF_ERROR(CheckText("instruction", query.instruction, kMaxInstructionBytes));
  PALATE_RETURN_IF_ERROR(CheckText("filter", query.filter, kMaxFilterBytes));
  PALATE_RETURN_IF_ERROR(CheckSessionEvents(query.session_events, now));
  PALATE_RETURN_IF_ERROR(CheckIds("context_item_ids", query.context_item_ids, kMaxContextItems));
  PALATE_RETURN_IF_ERROR(CheckIds("exclude_item_ids", query.exclude_item_ids, kMaxExcludedItems));
  PALATE_RETURN_IF_ERROR(CheckSearchInput("query", query.query));
  PALATE_RETURN_IF_ERROR(CheckCount("num_results", query.num_results));
  PALATE_RETURN_IF_ERROR(CheckDiversity(query.diversity));
  return CheckTime(query.request_time);
}

absl::Status Validate(const SearchQuery& query) {
  PALATE_RETURN_IF_ERROR(CheckId("catalog", query.catalog));
  PALATE_RETURN_IF_ERROR(CheckOptionalId("user_id", query.user_id));

  if (query.query.empty())
    return InvalidField("query", "has neither text nor image", "a text, an image or both");

  PALATE_RETURN_IF_ERROR(CheckSearchInput("query", query.query));
  PALATE_RETURN_IF_ERROR(CheckText("filter", query.filter, kMaxFilterBytes));
  PALATE_RETURN_IF_ERROR(CheckIds("exclude_item_ids", query.exclude_item_ids, kMaxExcludedItems));
  PALATE_RETURN_IF_ERROR(CheckCount("num_results", query.num_results));
  return CheckTime(query.request_time);
}

absl::Status Validate(const SimilarQuery& query) {
  PALATE_RETURN_IF_ERROR(CheckId("catalog", query.catalog));
  PALATE_RETURN_IF_ERROR(CheckId("item_id", query.item_id));
  PALATE_RETURN_IF_ERROR(CheckText("filter", query.filter, kMaxFilterBytes));
  PALATE_RETURN_IF_ERROR(CheckIds("exclude_item_ids", query.exclude_item_ids, kMaxExcludedItems));
  PALATE_RETURN_IF_ERROR(CheckCount("num_results", query.num_results));
  return CheckTime(query.request_time);
}

absl::Status Validate(const RankQuery& query, absl::Time now) {
  PALATE_RETURN_IF_ERROR(CheckId("catalog", query.catalog));
  PALATE_RETURN_IF_ERROR(CheckOptionalId("user_id", query.user_id));
  if (query.item_ids.empty())
    return InvalidField("item_ids", "is empty", absl::StrCat("1 to ", kMaxRankedItems, " ids"));
  PALATE_RETURN_IF_ERROR(CheckIds("item_ids", query.item_ids, kMaxRankedItems));

  std::set<std::string> distinct;
  for (size_t i = 0; i < query.item_ids.size(); ++i) {
    if (!distinct.insert(query.item_ids[i]).second) {
      return InvalidField(absl::StrCat("item_ids[", i, "]"),
                          absl::StrCat(QuoteForMessage(query.item_ids[i]), " is duplicated"),
                          "distinct");
    }
  }

  PALATE_RETURN_IF_ERROR(CheckSessionEvents(query.session_events, now));
  PALATE_RETURN_IF_ERROR(CheckText("filter", query.filter, kMaxFilterBytes));
  PALATE_RETURN_IF_ERROR(CheckLanguage(query.language));
  PALATE_RETURN_IF_ERROR(CheckText("instruction", query.instruction, kMaxInstructionBytes));
  return CheckTime(query.request_time);
}

}  // namespace palate::pipeline
