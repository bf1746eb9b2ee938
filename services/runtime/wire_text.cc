#include "services/runtime/wire_text.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"

namespace palate::services {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

// Deeper than any message of ours; protobuf's own limit is 100.
constexpr int kMaxDepth = 32;

// One step from a message to a field: the field, and the index if it is repeated. Entries of a map
// are identified by their key.
struct Step {
  const FieldDescriptor* field;
  int index;
  std::string map_key;
};

struct BadText {
  std::vector<Step> path;
  std::string text;
};

std::string ReplaceInvalid(const std::string& text) {
  std::string out;
  size_t start = 0;

  while (start < text.size()) {
    size_t length = std::min<size_t>(4, text.size() - start);
    while (length > 0 && !IsValidUtf8(absl::string_view(text).substr(start, length))) --length;
    if (length > 0) {
      out.append(text, start, length);
      start += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++start;
    }
  }
  return out;
}

// Copies a message's wire format without its invalid strings, and records them with their paths.
class Cleaner {
 public:
  // Returns false when the bytes are not a message.
  bool Clean(const std::string& bytes, const Descriptor* type, std::string& out) {
    if (path_.size() > kMaxDepth) return false;
    CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                        static_cast<int>(bytes.size()));
    std::map<int, int> counts;
    std::string map_key;

    while (const uint32_t tag = in.ReadTag()) {
      const FieldDescriptor* field =
          type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        StringOutputStream raw(&out);
        CodedOutputStream coded(&raw);
        if (!WireFormatLite::SkipField(&in, tag, &coded)) return false;
        continue;
      }

      uint32_t length = 0;
      std::string value;
      if (!in.ReadVarint32(&length) || !in.ReadString(&value, static_cast<int>(length)))
        return false;
      if (field != nullptr && !CleanValue(field, type, counts, map_key, value)) return false;
      Append(tag, value, out);
    }
    return in.ConsumedEntireMessage();
  }

  const std::vector<BadText>& found() const { return found_; }

 private:
  static void Append(uint32_t tag, const std::string& value, std::string& out) {
    StringOutputStream raw(&out);
    CodedOutputStream coded(&raw);
    coded.WriteTag(tag);
    coded.WriteVarint32(static_cast<uint32_t>(value.size()));
    coded.WriteString(value);
  }

  bool CleanValue(const FieldDescriptor* field, const Descriptor* type, std::map<int, int>& counts,
                  std::string& map_key, std::string& value) {
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      const bool is_map_key = type->options().map_entry() && field->number() == 1;
      if (!IsValidUtf8(value)) {
        if (is_map_key) {
          value = ReplaceInvalid(value);
        } else {
          Push(field, counts, map_key);
          found_.push_back({path_, std::move(value)});
          path_.pop_back();
          value.clear();
        }
      } else if (field->is_repeated()) {
        ++counts[field->number()];
      }
      if (is_map_key) map_key = value;
      return true;
    }

    if (field->type() != FieldDescriptor::TYPE_MESSAGE) return true;
    Push(field, counts, map_key);
    std::string cleaned;
    const bool ok = Clean(value, field->message_type(), cleaned);
    path_.pop_back();
    value = std::move(cleaned);
    return ok;
  }

  void Push(const FieldDescriptor* field, std::map<int, int>& counts, const std::string& map_key) {
    path_.push_back({field, field->is_repeated() ? counts[field->number()]++ : -1, map_key});
  }

  std::vector<Step> path_;
  std::vector<BadText> found_;
};

// The entry of a map field with this key; null when a later entry replaced it.
Message* FindMapEntry(Message* message, const FieldDescriptor* field, const std::string& key) {
  const Reflection* reflection = message->GetReflection();
  for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
    Message* entry = reflection->MutableRepeatedMessage(message, field, i);
    const FieldDescriptor* key_field = entry->GetDescriptor()->map_key();
    if (entry->GetReflection()->GetString(*entry, key_field) == key) return entry;
  }
  return nullptr;
}

void PutBack(const BadText& bad, Message* message) {
  for (size_t i = 0; i < bad.path.size(); ++i) {
    const Step& step = bad.path[i];
    const Reflection* reflection = message->GetReflection();

    if (i + 1 == bad.path.size()) {
      if (step.index >= 0) {
        reflection->SetRepeatedString(message, step.field, step.index, bad.text);
      } else {
        reflection->SetString(message, step.field, bad.text);
      }
    } else if (step.field->is_map()) {
      message = FindMapEntry(message, step.field, bad.path[i + 1].map_key);
      if (message == nullptr) return;
    } else {
      message = step.index >= 0
                    ? reflection->MutableRepeatedMessage(message, step.field, step.index)
                    : reflection->MutableMessage(message, step.field);
    }
  }
}

}  // namespace

absl::Status ParseTolerantly(const std::string& bytes, Message& message) {
  if (message.ParseFromString(bytes)) return absl::OkStatus();

  Cleaner cleaner;
  std::string cleaned;
  if (!cleaner.Clean(bytes, message.GetDescriptor(), cleaned) ||
      !message.ParseFromString(cleaned)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request is not a message of type ", message.GetTypeName()));
  }

  for (const BadText& bad : cleaner.found()) PutBack(bad, &message);
  return absl::OkStatus();
}

}  // namespace palate::services
