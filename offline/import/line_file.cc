#include "offline/import/line_file.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::offline {
namespace {

using Json = nlohmann::json;

// Above what the attributes of one item may hold: 64 lists of 256 texts of 4,096 bytes.
constexpr size_t kMaxLineBytes = 80 << 20;
constexpr size_t kHeadBytes = 4096;
constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";

// Receives only where the parser stops.
struct FaultFinder : nlohmann::json_sax<Json> {
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::detail::exception&) override {
    end = position;
    token = last_token;
    return false;
  }

  size_t end = 0;  // bytes that were read
  std::string token;
};

// Bytes of `text` that are UTF-8.
size_t Utf8Prefix(absl::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    size_t length = 1;
    while (length <= 4 && at + length <= text.size() && !IsValidUtf8(text.substr(at, length)))
      ++length;
    if (length > 4 || at + length > text.size()) break;
    at += length;
  }
  return at;
}

// The value of the four digits of "\uXXXX" at `at`; -1 when there is no such escape.
int EscapedUnit(absl::string_view text, size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return -1;
  int unit = 0;
  for (const char digit : text.substr(at + 2, 4)) {
    if (!absl::ascii_isxdigit(digit)) return -1;
    unit = unit * 16 + (absl::ascii_isdigit(digit) ? digit - '0' : (digit | 32) - 'a' + 10);
  }
  return unit;
}

// Where an escape is half a surrogate pair; npos when none is.
size_t FindLoneSurrogate(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') continue;
    const int unit = EscapedUnit(text, i);
    if (unit < 0xD800 || unit > 0xDFFF) {
      ++i;  // the escaped character
      continue;
    }
    const int low = EscapedUnit(text, i + 6);
    if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF) return i;
    i += 11;
  }
  return absl::string_view::npos;
}

// The word around `at`: letters, digits, signs and dots.
std::pair<size_t, absl::string_view> WordAt(absl::string_view text, size_t at) {
  const auto inside = [&](size_t i) {
    return absl::ascii_isalnum(text[i]) || text[i] == '-' || text[i] == '+' || text[i] == '.';
  };
  size_t begin = std::min(at, text.size());
  while (begin > 0 && inside(begin - 1)) --begin;
  size_t end = begin;
  while (end < text.size() && inside(end)) ++end;
  return {begin, text.substr(begin, end - begin)};
}

JsonFault SyntaxFault(absl::string_view line, size_t read) {
  const size_t surrogate = FindLoneSurrogate(line.substr(0, std::min(line.size(), read + 6)));
  if (surrogate != absl::string_view::npos) {
    return {surrogate, absl::StrCat(line.substr(surrogate, 6),
                                    " is half a surrogate pair; the text was cut in a character")};
  }

  const size_t last = read > 0 ? std::min(read, line.size()) - (read <= line.size() ? 1 : 0) : 0;
  const auto [begin, word] = WordAt(line, last);
  const absl::string_view name = absl::StripPrefix(absl::StripPrefix(word, "-"), "+");
  if (absl::EqualsIgnoreCase(name, "nan") || absl::EqualsIgnoreCase(name, "inf") ||
      absl::EqualsIgnoreCase(name, "infinity")) {
    return {begin, absl::StrCat(word, " is no JSON number; leave the key out, or write null")};
  }
  if (!word.empty() && (absl::ascii_isdigit(name[0]) || word.size() > name.size()))
    return {begin, absl::StrCat(QuoteForMessage(word), " is no number that JSON can hold")};

  if (read > line.size() || last >= line.size())
    return {line.size(), "ends inside a value: a quote, brace or bracket is not closed"};
  if (!word.empty())
    return {begin, absl::StrCat(QuoteForMessage(word), " is no JSON value; texts need quotes")};
  return {last, absl::StrCat(QuoteForMessage(line.substr(last, 1)), " is not expected here")};
}

// Why no line of a file that begins with `head` can be understood; empty when one may be.
std::string WrongKind(absl::string_view head) {
  const auto byte = [&](size_t i) { return i < head.size() ? uint8_t(head[i]) : 1; };
  if ((byte(0) == 0xFF && byte(1) == 0xFE) || (byte(0) == 0xFE && byte(1) == 0xFF) ||
      (head.size() >= 2 && (byte(0) == 0 || byte(1) == 0)))
    return "is UTF-16 or UTF-32; save it as UTF-8";

  absl::ConsumePrefix(&head, kByteOrderMark);
  if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(head), "[")) {
    return "begins a JSON array; must be JSON lines: one object per line, without brackets and "
           "commas around them (jq -c '.[]' converts an array)";
  }
  return "";
}

// The field without the place of its element in a batch.
absl::string_view LineField(absl::string_view field) {
  for (const absl::string_view list : {"writes[", "events["}) {
    if (!absl::ConsumePrefix(&field, list)) continue;
    const size_t end = field.find(']');
    field.remove_prefix(end == absl::string_view::npos ? field.size() : end + 1);
    absl::ConsumePrefix(&field, ".");
  }
  absl::ConsumePrefix(&field, "item.");
  return field;
}

// The keys that a field of a line or of the public API names.
std::vector<std::string> KeysOf(absl::string_view field) {
  field = LineField(field);
  std::vector<std::string> keys;
  if (absl::ConsumePrefix(&field, "attributes")) {
    keys.push_back("attributes");
    if (absl::ConsumePrefix(&field, "[")) absl::ConsumeSuffix(&field, "]");
    absl::ConsumePrefix(&field, ".");
  } else if (field == "event_time" || field == "event_type") {
    field.remove_prefix(sizeof("event_") - 1);
  } else {
    field = field.substr(0, field.find('['));
  }
  if (absl::ConsumePrefix(&field, "\"")) absl::ConsumeSuffix(&field, "\"");
  if (!field.empty()) keys.emplace_back(field);
  return keys;
}

// Where the value of the innermost of `keys` that the object has is named; npos when it has none.
size_t FindKey(absl::string_view line, const std::vector<std::string>& keys) {
  size_t found = absl::string_view::npos;
  size_t matched = 0;
  size_t depth = 0;
  for (size_t i = 0; i < line.size() && matched < keys.size(); ++i) {
    if (line[i] == '{' || line[i] == '[') ++depth;
    if ((line[i] == '}' || line[i] == ']') && (depth == 0 || --depth <= matched)) break;
    if (line[i] != '"') continue;

    const size_t begin = i;
    while (++i < line.size() && line[i] != '"') i += line[i] == '\\';
    if (i >= line.size()) break;
    const absl::string_view text = line.substr(begin + 1, i - begin - 1);
    const absl::string_view rest = absl::StripLeadingAsciiWhitespace(line.substr(i + 1));
    if (!absl::StartsWith(rest, ":") || depth != matched + 1 || text != keys[matched]) continue;
    found = begin;
    ++matched;
  }
  return found;
}

int64_t CharactersBefore(absl::string_view line, size_t offset) {
  const absl::string_view before = line.substr(0, offset);
  return std::count_if(before.begin(), before.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

}  // namespace

absl::StatusOr<LineFile> LineFile::Open(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return absl::FailedPreconditionError(absl::StrCat(path, " is a folder; must be a file"));

  LineFile file;
  file.path_ = path;
  file.stream_.open(path, std::ios::binary);
  if (!file.stream_) return absl::NotFoundError(absl::StrCat("cannot read ", path));

  std::string head(kHeadBytes, '\0');
  file.stream_.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(file.stream_.gcount()));
  if (const std::string wrong = WrongKind(head); !wrong.empty())
    return absl::FailedPreconditionError(absl::StrCat(path, " line 1, column 1: ", wrong));

  file.stream_.clear();
  file.stream_.seekg(0);
  std::string line;
  while (std::getline(file.stream_, line)) ++file.count_;
  file.stream_.clear();
  file.stream_.seekg(0);
  return file;
}

bool LineFile::Next(std::string& line) {
  while (std::getline(stream_, line)) {
    ++number_;
    if (number_ == 1 && absl::StartsWith(line, kByteOrderMark)) line.erase(0, 3);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) return true;
  }
  return false;
}

absl::Status LineFile::status() const {
  if (!stream_.bad()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("cannot read all of ", path_));
}

std::optional<JsonFault> FindJsonFault(const std::string& line) {
  if (line.size() > kMaxLineBytes) {
    return JsonFault{kMaxLineBytes,
                     absl::StrCat("has ", line.size(), " bytes, the limit is ", kMaxLineBytes)};
  }
  if (const size_t nul = line.find('\0'); nul != std::string::npos)
    return JsonFault{nul, "holds a zero byte: it is UTF-16 or binary; save it as UTF-8"};
  if (const size_t valid = Utf8Prefix(line); valid < line.size()) {
    return JsonFault{valid, absl::StrFormat("is not UTF-8 (byte 0x%02X; Latin-1 or Windows-1252?); "
                                            "save it as UTF-8",
                                            static_cast<uint8_t>(line[valid]))};
  }

  FaultFinder finder;
  if (!Json::sax_parse(line, &finder)) return SyntaxFault(line, finder.end);
  const size_t begin = line.find_first_not_of(" \t");
  if (begin != std::string::npos && line[begin] == '{') return std::nullopt;
  return JsonFault{begin, "is not a JSON object"};
}

int64_t ColumnOf(const std::string& line, const absl::Status& error) {
  const std::vector<FieldViolation> violations = FieldViolations(error);
  if (violations.empty()) {
    const std::optional<JsonFault> fault = FindJsonFault(line);
    return fault.has_value() ? CharactersBefore(line, fault->offset) + 1 : 0;
  }
  const size_t key = FindKey(line, KeysOf(violations.front().field));
  return key == absl::string_view::npos ? 0 : CharactersBefore(line, key) + 1;
}

absl::Status WithoutBatch(const absl::Status& error) {
  return MapFields(error, [](const std::string& path) { return std::string(LineField(path)); });
}

}  // namespace palate::offline
