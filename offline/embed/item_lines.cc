#include "offline/embed/item_lines.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/embedding_worker.h"
#include "nlohmann/json.hpp"
#include "offline/import/jsonl_reader.h"

namespace palate::offline {
namespace {

using Json = nlohmann::json;

struct ParsedLine {
  std::string id;
  std::vector<std::string> texts;
  std::vector<std::string> images;  // file names
};

absl::StatusOr<std::vector<std::string>> ReadStrings(const std::string& key, const Json& value) {
  std::vector<std::string> strings;
  for (const Json& element : value.is_array() ? value : Json::array({value})) {
    if (!element.is_string())
      return InvalidField(key, absl::StrCat("holds a JSON ", element.type_name()), "strings");
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

absl::StatusOr<ParsedLine> ParsePlain(const Json& object) {
  ParsedLine line;
  if (!object.contains("id") || !object["id"].is_string())
    return InvalidField("id", "is missing or not a string", "a string");
  line.id = object["id"].get<std::string>();

  for (const auto& [key, value] : object.items()) {
    if (key == "id" || value.is_null()) continue;
    if (key != "text" && key != "images")
      return InvalidField(QuoteForMessage(key), "is unknown",
                          "id, text or images, because the line has \"text\"");
    PALATE_ASSIGN_OR_RETURN((key == "text" ? line.texts : line.images), ReadStrings(key, value));
  }
  return line;
}

absl::StatusOr<ParsedLine> ParseLine(const std::string& text) {
  if (const std::optional<JsonFault> fault = FindJsonFault(text); fault.has_value())
    return absl::InvalidArgumentError(fault->reason);
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (object.is_object() && object.contains("text")) return ParsePlain(object);
  PALATE_ASSIGN_OR_RETURN(ItemLine item, ParseItemLine(text));

  ParsedLine line;
  line.id = item.item.id;
  line.images = std::move(item.images);
  std::string title = featurestore::TitleField(item.item);
  if (!title.empty()) line.texts.push_back(std::move(title));
  if (!item.item.description.empty()) line.texts.push_back(std::move(item.item.description));
  return line;
}

}  // namespace

absl::StatusOr<EmbedLineReader> EmbedLineReader::Open(const std::string& path,
                                                      const std::string& images_folder,
                                                      SourceReport& report) {
  PALATE_ASSIGN_OR_RETURN(LineFile file, LineFile::Open(path));
  return EmbedLineReader(std::move(file), images_folder, report);
}

absl::StatusOr<EmbedLine> EmbedLineReader::Parse(const std::string& text) {
  PALATE_ASSIGN_OR_RETURN(ParsedLine parsed, ParseLine(text));
  if (!ids_.insert(parsed.id).second) {
    return absl::InvalidArgumentError(
        absl::StrCat("id ", QuoteForMessage(parsed.id), " is used in an earlier line"));
  }

  EmbedLine line = {.line = number(),
                    .id = std::move(parsed.id),
                    .input = {.fields = std::move(parsed.texts), .images = {}}};

  for (const std::string& name : parsed.images) {
    absl::StatusOr<std::string> image = ReadNamedImage(images_folder_, name);
    if (image.ok()) {
      line.input.images.push_back(*std::move(image));
    } else {
      report_->AddMalformed(file_.path(), number(), std::string(image.status().message()));
    }
  }

  ++report_->items;
  report_->without_image += line.input.images.empty();
  return line;
}

std::optional<EmbedLine> EmbedLineReader::Next() {
  std::string text;
  while (file_.Next(text)) {
    absl::StatusOr<EmbedLine> line = Parse(text);
    if (line.ok()) return *std::move(line);
    report_->AddMalformed(file_.path(), number(), std::string(line.status().message()),
                          ColumnOf(text, line.status()));
  }
  return std::nullopt;
}

}  // namespace palate::offline
