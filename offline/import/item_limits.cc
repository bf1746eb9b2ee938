#include "offline/import/item_limits.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"

namespace palate::offline {
namespace {

// Bytes beside the text of an element, of an attribute and of a string in a message.
constexpr size_t kElementBytes = 256;
constexpr size_t kPartBytes = 16;

void CutText(absl::string_view field, size_t limit, std::string& text,
             std::vector<absl::Status>& cut) {
  if (text.size() <= limit) return;
  cut.push_back(InvalidField(field, absl::StrCat("has ", text.size(), " bytes"),
                             absl::StrCat("at most ", limit, "; the rest is not imported")));
  text.resize(CutAtCharacter(text, limit).size());
}

void CutAttribute(const std::string& field, AttributeValue& value, std::vector<absl::Status>& cut) {
  if (auto* text = std::get_if<std::string>(&value)) CutText(field, kMaxAttributeBytes, *text, cut);
  auto* list = std::get_if<std::vector<std::string>>(&value);
  if (list == nullptr) return;

  if (list->size() > static_cast<size_t>(kMaxListValues)) {
    cut.push_back(
        InvalidField(field, absl::StrCat("has ", list->size(), " values"),
                     absl::StrCat("at most ", kMaxListValues, "; the rest is not imported")));
    list->resize(static_cast<size_t>(kMaxListValues));
  }
  // One report for an attribute, however many of its values are too long.
  std::vector<absl::Status> long_values;
  for (std::string& element : *list) CutText(field, kMaxAttributeBytes, element, long_values);
  if (!long_values.empty()) {
    cut.push_back(InvalidField(
        field, absl::StrCat("has ", long_values.size(), " values that are too long"),
        absl::StrCat("at most ", kMaxAttributeBytes, " bytes; the rest of them is not imported")));
  }
}

}  // namespace

size_t SizeOf(const ItemUpload& upload) {
  const Item& item = upload.item;
  size_t bytes = item.id.size() + item.title.size() + item.description.size() + kElementBytes;
  for (const std::string& image : upload.images) bytes += image.size() + kPartBytes;
  for (const auto& [name, value] : item.attributes) {
    bytes += name.size() + 2 * kPartBytes;
    if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
    if (const auto* list = std::get_if<std::vector<std::string>>(&value))
      for (const std::string& element : *list) bytes += element.size() + kPartBytes;
  }
  return bytes;
}

std::vector<absl::Status> FitToLimits(size_t max_bytes, ItemUpload& upload) {
  std::vector<absl::Status> cut;
  CutText("title", kMaxTitleBytes, upload.item.title, cut);
  CutText("description", kMaxDescriptionBytes, upload.item.description, cut);
  for (auto& [name, value] : upload.item.attributes)
    CutAttribute(absl::StrCat("attributes[", QuoteForMessage(name), "]"), value, cut);

  const size_t sent = upload.images.size();
  if (sent > static_cast<size_t>(kMaxItemImages)) {
    cut.push_back(
        InvalidField("images", absl::StrCat("has ", sent, " elements"),
                     absl::StrCat("at most ", kMaxItemImages, "; the rest is not imported")));
    upload.images.resize(static_cast<size_t>(kMaxItemImages));
  }
  while (!upload.images.empty() && SizeOf(upload) > max_bytes) {
    cut.push_back(
        InvalidField(absl::StrCat("images[", upload.PositionOf(upload.images.size() - 1), "]"),
                     absl::StrCat("makes an item of ", SizeOf(upload), " bytes"),
                     absl::StrCat("at most ", max_bytes, " with all its pictures")));
    upload.images.pop_back();
  }
  return cut;
}

}  // namespace palate::offline
