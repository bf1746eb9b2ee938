// JSON that records what was read, so that keys which no check understood can be reported.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const JsonNode inputs, JsonNode::Load(path, "inputs.json"));
//   PALATE_ASSIGN_OR_RETURN(const auto texts, inputs.Strings("texts"));
//   const std::vector<std::string> unread = inputs.Unread();
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace palate::golden {

using Json = nlohmann::ordered_json;

// A value in a document. Cheap to copy; all nodes of one document share the document and its record
// of reads. Not thread-safe.
//
// Typed getters mark what they return as read. They fail with NotFound for an absent key and
// InvalidArgument for another type, naming the document and the path.
class JsonNode {
 public:
  // An empty object, for an optional file.
  JsonNode() : JsonNode(Json::object(), "") {}
  // `source` is the name of the document in error messages.
  JsonNode(Json document, std::string source);

  // NotFound when there is no file, InvalidArgument when its text is not a JSON object.
  static absl::StatusOr<JsonNode> Load(const std::string& path, const std::string& source);

  bool Has(absl::string_view key) const;
  std::vector<std::string> Keys() const;
  absl::StatusOr<JsonNode> At(absl::string_view key) const;
  // The elements of a list.
  absl::StatusOr<std::vector<JsonNode>> List(absl::string_view key) const;

  absl::StatusOr<std::string> String(absl::string_view key) const;
  absl::StatusOr<int64_t> Int(absl::string_view key) const;
  absl::StatusOr<double> Double(absl::string_view key) const;
  absl::StatusOr<bool> Bool(absl::string_view key) const;
  absl::StatusOr<std::vector<int64_t>> Ids(absl::string_view key) const;
  absl::StatusOr<std::vector<std::string>> Strings(absl::string_view key) const;

  // The whole subtree, marked as read.
  const Json& Take() const;
  // Marks the subtree of a key as read, if there is one. For keys that a check knows and does not
  // need.
  void Ignore(absl::string_view key) const;

  // The paths below this node that were never read, in document order. A list without objects
  // counts as one value.
  std::vector<std::string> Unread() const;

 private:
  struct Document {
    Json json;
    std::string source;
    std::set<const Json*> read;
  };
  JsonNode(std::shared_ptr<Document> document, const Json* json, std::string path);
  absl::StatusOr<JsonNode> Typed(absl::string_view key, bool (*fits)(const Json&),
                                 absl::string_view type) const;
  void AppendUnread(const Json& json, const std::string& path,
                    std::vector<std::string>& places) const;

  std::shared_ptr<Document> document_;
  const Json* json_;
  std::string path_;
};

}  // namespace palate::golden
