#include "offline/golden/json_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"

namespace palate::golden {
namespace {

bool IsText(const Json& json) { return json.is_string(); }
bool IsInteger(const Json& json) { return json.is_number_integer(); }
bool IsNumber(const Json& json) { return json.is_number(); }
bool IsBool(const Json& json) { return json.is_boolean(); }
bool IsIntegers(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(), IsInteger);
}
bool IsTexts(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(), IsText);
}

// Whether reads of the parts of the value are recorded separately.
bool HasParts(const Json& json) {
  if (json.is_object()) return !json.empty();
  return json.is_array() && std::any_of(json.begin(), json.end(),
                                        [](const Json& element) { return element.is_object(); });
}

}  // namespace

JsonNode::JsonNode(Json document, std::string source)
    : document_(std::make_shared<Document>(Document{std::move(document), std::move(source), {}})),
      json_(&document_->json) {}

JsonNode::JsonNode(std::shared_ptr<Document> document, const Json* json, std::string path)
    : document_(std::move(document)), json_(json), path_(std::move(path)) {}

absl::StatusOr<JsonNode> JsonNode::Load(const std::string& path, const std::string& source) {
  PALATE_ASSIGN_OR_RETURN(const std::string text, models::ReadFileToString(path));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return absl::InvalidArgumentError(absl::StrCat(source, " is no JSON object"));
  return JsonNode(std::move(json), source);
}

bool JsonNode::Has(absl::string_view key) const {
  return json_->is_object() && json_->contains(std::string(key));
}

std::vector<std::string> JsonNode::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json_->items()) keys.push_back(key);
  return keys;
}

absl::StatusOr<JsonNode> JsonNode::At(absl::string_view key) const {
  if (!Has(key))
    return absl::NotFoundError(
        absl::StrCat(document_->source, ": ", path_, "/ has no key \"", key, "\""));
  return JsonNode(document_, &json_->at(std::string(key)), absl::StrCat(path_, "/", key));
}

absl::StatusOr<std::vector<JsonNode>> JsonNode::List(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode list,
                          Typed(
                              key, [](const Json& json) { return json.is_array(); }, "a list"));

  std::vector<JsonNode> nodes;
  if (!HasParts(*list.json_)) list.Take();
  for (size_t i = 0; i < list.json_->size(); ++i)
    nodes.push_back(JsonNode(document_, &(*list.json_)[i], absl::StrCat(list.path_, "/", i)));
  return nodes;
}

absl::StatusOr<JsonNode> JsonNode::Typed(absl::string_view key, bool (*fits)(const Json&),
                                         absl::string_view type) const {
  PALATE_ASSIGN_OR_RETURN(JsonNode node, At(key));
  if (!fits(*node.json_))
    return absl::InvalidArgumentError(
        absl::StrCat(document_->source, ": ", node.path_, " is not ", type));
  return node;
}

absl::StatusOr<std::string> JsonNode::String(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode node, Typed(key, IsText, "a text"));
  return node.Take().get<std::string>();
}

absl::StatusOr<int64_t> JsonNode::Int(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode node, Typed(key, IsInteger, "an integer"));
  return node.Take().get<int64_t>();
}

absl::StatusOr<double> JsonNode::Double(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode node, Typed(key, IsNumber, "a number"));
  return node.Take().get<double>();
}

absl::StatusOr<bool> JsonNode::Bool(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode node, Typed(key, IsBool, "true or false"));
  return node.Take().get<bool>();
}

absl::StatusOr<std::vector<int64_t>> JsonNode::Ids(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode node, Typed(key, IsIntegers, "a list of integers"));
  return node.Take().get<std::vector<int64_t>>();
}

absl::StatusOr<std::vector<std::string>> JsonNode::Strings(absl::string_view key) const {
  PALATE_ASSIGN_OR_RETURN(const JsonNode node, Typed(key, IsTexts, "a list of texts"));
  return node.Take().get<std::vector<std::string>>();
}

const Json& JsonNode::Take() const {
  document_->read.insert(json_);
  return *json_;
}

void JsonNode::Ignore(absl::string_view key) const {
  if (Has(key)) document_->read.insert(&json_->at(std::string(key)));
}

std::vector<std::string> JsonNode::Unread() const {
  std::vector<std::string> places;
  if (json_->empty()) return places;
  AppendUnread(*json_, path_, places);
  return places;
}

void JsonNode::AppendUnread(const Json& json, const std::string& path,
                            std::vector<std::string>& places) const {
  if (document_->read.count(&json) > 0) return;

  if (!HasParts(json)) {
    places.push_back(absl::StrCat(document_->source, ": ", path));
    return;
  }

  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      AppendUnread(value, absl::StrCat(path, "/", key), places);
    return;
  }

  for (size_t i = 0; i < json.size(); ++i)
    AppendUnread(json[i], absl::StrCat(path, "/", i), places);
}

}  // namespace palate::golden
