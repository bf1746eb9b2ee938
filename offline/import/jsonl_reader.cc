#include "offline/import/jsonl_reader.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "offline/import/line_file.h"
#include "offline/import/text_files.h"

namespace palate::offline {
namespace {

using Json = nlohmann::json;

absl::Status WrongType(absl::string_view key, const Json& value, absl::string_view wanted) {
  return InvalidField(key, absl::StrCat("is a JSON ", value.type_name()), wanted);
}

absl::Status ReadString(absl::string_view key, const Json& value, std::string& out) {
  if (!value.is_string()) return WrongType(key, value, "a string");
  out = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadTime(absl::string_view key, const Json& value, absl::Time& out) {
  if (value.is_number()) {
    out = absl::UnixEpoch() + absl::Seconds(value.get<double>());
    return absl::OkStatus();
  }
  std::string error;
  if (!value.is_string() ||
      !absl::ParseTime(absl::RFC3339_full, value.get<std::string>(), &out, &error)) {
    return InvalidField(
        key, value.is_string() ? QuoteForMessage(value.get<std::string>()) : "is not a string",
        "an RFC 3339 time or a number of seconds");
  }
  return absl::OkStatus();
}

absl::Status ReadAttribute(absl::string_view key, const Json& value, AttributeValue& out) {
  if (value.is_boolean()) {
    out = value.get<bool>();
  } else if (value.is_number_integer()) {
    // The parser holds what lies above the range of int64 as unsigned, and would convert it to a
    // negative number.
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    if (value.is_number_unsigned() && value.get<uint64_t>() > kMax) {
      return InvalidField(key, absl::StrCat("is ", value.get<uint64_t>()),
                          absl::StrCat("at most ", kMax, ", or written with a point as a double"));
    }
    out = value.get<int64_t>();
  } else if (value.is_number()) {
    out = value.get<double>();
  } else if (value.is_string()) {
    out = value.get<std::string>();
  } else if (value.is_array()) {
    std::vector<std::string> list;
    for (const Json& element : value) {
      if (!element.is_string()) return WrongType(key, element, "a list of strings");
      list.push_back(element.get<std::string>());
    }
    out = std::move(list);
  } else {
    return WrongType(key, value, "a string, a list of strings, a number or a boolean");
  }

  return absl::OkStatus();
}

absl::StatusOr<Json> ParseObject(const std::string& line) {
  if (const std::optional<JsonFault> fault = FindJsonFault(line); fault.has_value())
    return absl::InvalidArgumentError(fault->reason);
  return Json::parse(line, nullptr, /*allow_exceptions=*/false);
}

using KeyReader = std::function<absl::Status(absl::string_view key, const Json& value)>;

// Passes each value to the reader of its key. Unknown keys are errors, so that a misspelled key is
// not lost silently.
absl::Status ReadKeys(const Json& object, const std::map<std::string, KeyReader>& readers,
                      const std::set<std::string>& required) {
  for (const std::string& key : required) {
    if (!object.contains(key)) return InvalidField(key, "is missing", "present");
  }

  for (const auto& [key, value] : object.items()) {
    const auto reader = readers.find(key);
    if (reader == readers.end())
      return InvalidField(QuoteForMessage(key), "is unknown", "a documented key");
    if (!value.is_null()) PALATE_RETURN_IF_ERROR(reader->second(key, value));
  }
  return absl::OkStatus();
}

KeyReader Into(std::string& out) {
  return [&out](absl::string_view key, const Json& value) { return ReadString(key, value, out); };
}

absl::StatusOr<Event> ParseEvent(const std::string& text) {
  PALATE_ASSIGN_OR_RETURN(const Json object, ParseObject(text));
  Event event;

  const KeyReader value = [&](absl::string_view key, const Json& json) -> absl::Status {
    if (!json.is_number()) return WrongType(key, json, "a number");
    event.value = json.get<double>();
    return absl::OkStatus();
  };
  const KeyReader time = [&](absl::string_view key, const Json& json) {
    return ReadTime(key, json, event.time);
  };

  PALATE_RETURN_IF_ERROR(ReadKeys(object,
                                  {{"user_id", Into(event.user_id)},
                                   {"item_id", Into(event.item_id)},
                                   {"type", Into(event.type)},
                                   {"value", value},
                                   {"time", time},
                                   {"event_id", Into(event.event_id)},
                                   {"session_id", Into(event.session_id)},
                                   {"recommendation_id", Into(event.recommendation_id)}},
                                  {"user_id", "item_id", "type", "time"}));
  return event;
}

// Reports that `line`, the last of `file`, is wrong.
void ReportLine(const LineFile& file, const std::string& line, const absl::Status& wrong,
                SourceReport& report) {
  report.AddMalformed(file.path(), file.number(), std::string(wrong.message()),
                      ColumnOf(line, wrong));
}

class JsonItemReader final : public ItemReader {
 public:
  JsonItemReader(LineFile file, std::string images_folder, SourceReport& report)
      : file_(std::move(file)), images_folder_(std::move(images_folder)), report_(report) {}

  absl::StatusOr<std::optional<ItemUpload>> Next() override {
    while (file_.Next(text_)) {
      absl::StatusOr<ItemLine> line = ParseItemLine(text_);
      if (!line.ok()) {
        ReportLine(file_, text_, line.status(), report_);
        continue;
      }
      ItemUpload upload{std::move(line->item), {}};
      for (size_t i = 0; i < line->images.size(); ++i) AddImage(line->images[i], i, upload);
      ++report_.items;
      report_.without_description += upload.item.description.empty();
      report_.without_image += upload.images.empty();
      return upload;
    }
    PALATE_RETURN_IF_ERROR(file_.status());
    return std::nullopt;
  }
  SourcePlace place() const override { return {file_.path(), file_.number(), text_}; }
  int64_t malformed() const override { return report_.malformed_count; }
  int64_t size() const override { return file_.count(); }

 private:
  // An item whose picture is missing is still an item.
  void AddImage(const std::string& name, size_t position, ItemUpload& upload) {
    absl::StatusOr<std::string> image = ReadNamedImage(images_folder_, name);
    if (image.ok()) {
      upload.images.push_back(*std::move(image));
      upload.positions.push_back(position);
    } else {
      report_.AddMalformed(file_.path(), file_.number(), std::string(image.status().message()),
                           ColumnOf(text_, InvalidField("images", "", "")));
    }
  }

  LineFile file_;
  std::string text_;  // the last line
  const std::string images_folder_;
  SourceReport& report_;
};

class JsonEventReader final : public EventReader {
 public:
  JsonEventReader(LineFile file, SourceReport& report) : file_(std::move(file)), report_(report) {}

  absl::StatusOr<std::optional<Event>> Next() override {
    while (file_.Next(text_)) {
      absl::StatusOr<Event> event = ParseEvent(text_);
      if (event.ok()) {
        ++report_.events;
        return *std::move(event);
      }
      ReportLine(file_, text_, event.status(), report_);
    }
    PALATE_RETURN_IF_ERROR(file_.status());
    return std::nullopt;
  }
  SourcePlace place() const override { return {file_.path(), file_.number(), text_}; }
  int64_t malformed() const override { return report_.malformed_count; }
  int64_t size() const override { return file_.count(); }

 private:
  LineFile file_;
  std::string text_;  // the last line
  SourceReport& report_;
};

// The type that can hold values of both types, or nothing.
std::optional<AttributeType> Widen(AttributeType a, AttributeType b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);
  if (a == AttributeType::kString && b == AttributeType::kStringList) return b;
  if (a == AttributeType::kInt64 && b == AttributeType::kDouble) return b;
  return std::nullopt;
}

// Whether values of such a name may have fractions in another file, though none had in this one.
bool IsPriceLike(absl::string_view name) {
  static constexpr absl::string_view kWords[] = {"price",  "cost",   "amount", "rating",
                                                 "score",  "fee",    "weight", "discount",
                                                 "margin", "revenue"};
  for (const absl::string_view word : absl::StrSplit(name, '_')) {
    for (const absl::string_view known : kWords)
      if (word == known || word == absl::StrCat(known, "s")) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<ItemLine> ParseItemLine(const std::string& text) {
  PALATE_ASSIGN_OR_RETURN(const Json object, ParseObject(text));
  ItemLine line;

  const KeyReader attributes = [&](absl::string_view key, const Json& value) -> absl::Status {
    if (!value.is_object()) return WrongType(key, value, "an object");
    for (const auto& [name, attribute] : value.items()) {
      if (attribute.is_null()) continue;
      PALATE_RETURN_IF_ERROR(
          ReadAttribute(absl::StrCat("attributes.", name), attribute, line.item.attributes[name]));
    }
    return absl::OkStatus();
  };

  const KeyReader images = [&](absl::string_view key, const Json& value) -> absl::Status {
    AttributeValue list;
    PALATE_RETURN_IF_ERROR(ReadAttribute(key, value, list));
    if (!std::holds_alternative<std::vector<std::string>>(list))
      return WrongType(key, value, "a list of file names");
    line.images = std::get<std::vector<std::string>>(list);
    return absl::OkStatus();
  };

  const KeyReader hidden = [&](absl::string_view key, const Json& value) -> absl::Status {
    if (!value.is_boolean()) return WrongType(key, value, "a boolean");
    line.item.hidden = value.get<bool>();
    return absl::OkStatus();
  };

  const KeyReader create = [&](absl::string_view key, const Json& value) {
    return ReadTime(key, value, line.item.create_time.emplace());
  };
  const KeyReader expire = [&](absl::string_view key, const Json& value) {
    return ReadTime(key, value, line.item.expire_time.emplace());
  };

  PALATE_RETURN_IF_ERROR(ReadKeys(object,
                                  {{"id", Into(line.item.id)},
                                   {"title", Into(line.item.title)},
                                   {"description", Into(line.item.description)},
                                   {"attributes", attributes},
                                   {"images", images},
                                   {"hidden", hidden},
                                   {"create_time", create},
                                   {"expire_time", expire}},
                                  {"id"}));
  return line;
}

absl::StatusOr<std::string> ReadNamedImage(const std::string& images_folder,
                                           const std::string& name) {
  const std::filesystem::path relative = std::filesystem::path(name).lexically_normal();
  if (relative.is_absolute() || relative.empty() || *relative.begin() == "..") {
    return absl::InvalidArgumentError(
        absl::StrCat("image ", QuoteForMessage(name), " leaves the images folder"));
  }
  return ReadFile((std::filesystem::path(images_folder) / relative).string(), kMaxImageBytes);
}

absl::StatusOr<std::unique_ptr<ItemReader>> OpenItemFile(const std::string& path,
                                                         const std::string& images_folder,
                                                         SourceReport& report) {
  PALATE_ASSIGN_OR_RETURN(LineFile file, LineFile::Open(path));
  return std::make_unique<JsonItemReader>(std::move(file), images_folder, report);
}

absl::StatusOr<std::unique_ptr<EventReader>> OpenEventFile(const std::string& path,
                                                           SourceReport& report) {
  PALATE_ASSIGN_OR_RETURN(LineFile file, LineFile::Open(path));
  return std::make_unique<JsonEventReader>(std::move(file), report);
}

absl::StatusOr<std::vector<AttributeDeclaration>> InferAttributes(
    const std::string& path, const std::map<std::string, AttributeType>& declared) {
  PALATE_ASSIGN_OR_RETURN(LineFile file, LineFile::Open(path));

  std::map<std::string, AttributeType> types = declared;
  SourceReport wrong;
  bool understood = false;
  std::string text;
  while (file.Next(text)) {
    const absl::StatusOr<ItemLine> line = ParseItemLine(text);
    if (!line.ok()) {
      ReportLine(file, text, line.status(), wrong);  // the import reports it again
      continue;
    }
    understood = true;
    for (const auto& [name, value] : line->item.attributes) {
      if (declared.count(name) > 0) continue;
      const auto [entry, fresh] = types.emplace(name, TypeOf(value));
      const std::optional<AttributeType> wide = Widen(entry->second, TypeOf(value));
      if (!wide.has_value()) {
        return absl::InvalidArgumentError(absl::StrCat(
            path, " line ", file.number(), ", column ",
            ColumnOf(text, InvalidField(absl::StrCat("attributes.", name), "", "")), ": attribute ",
            QuoteForMessage(name), " has values of incompatible types"));
      }
      entry->second = *wide;
    }
  }

  PALATE_RETURN_IF_ERROR(file.status());
  if (!understood) {
    return absl::FailedPreconditionError(
        absl::StrCat("no line of ", path, " can be imported: ",
                     wrong.malformed.empty() ? "it has none" : Describe(wrong.malformed.front())));
  }

  std::vector<AttributeDeclaration> declarations;
  for (const auto& [name, type] : types) {
    const bool fraction =
        type == AttributeType::kInt64 && declared.count(name) == 0 && IsPriceLike(name);
    declarations.push_back({name, fraction ? AttributeType::kDouble : type, true});
  }
  return declarations;
}

Catalog DefaultCatalog(const std::string& catalog_id,
                       std::vector<AttributeDeclaration> attributes) {
  Catalog catalog;
  catalog.id = catalog_id;
  catalog.display_name = catalog_id;
  catalog.attributes = std::move(attributes);

  catalog.event_types = {{"view", 0.1, false, false},  {"click", 0.3, true, false},
                         {"like", 1, true, false},     {"cart", 1, true, false},
                         {"purchase", 2, true, false}, {"rating", 1, true, true},
                         {"dislike", -1, true, false}};

  catalog.spaces = DefaultSpaces();
  return catalog;
}

}  // namespace palate::offline
