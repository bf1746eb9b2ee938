#include "retrieval/filter_parser.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::retrieval {
namespace {

constexpr absl::string_view kField = "filter";

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsWordStart(char c) { return absl::ascii_isalpha(c) || c == '_'; }
bool IsWord(char c) { return absl::ascii_isalnum(c) || c == '_'; }
bool IsNumberStart(char c) { return absl::ascii_isdigit(c) || c == '-' || c == '+' || c == '.'; }
bool IsNumber(char c) { return IsWord(c) || c == '-' || c == '+' || c == '.'; }

bool IsKeyword(absl::string_view word) {
  return word == "AND" || word == "OR" || word == "NOT" || word == "ANY" || word == "true" ||
         word == "false";
}

// Whether the text is a number as Filter's grammar writes it; an integer where `fraction` is false.
// The functions that convert it accept more: 0x10, 010, inf, nan.
bool IsDecimal(absl::string_view text, bool fraction) {
  const auto take_digits = [&text] {
    const size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(count);
    return count;
  };
  const auto take = [&text](absl::string_view any) {
    if (text.empty() || any.find(text.front()) == absl::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
  };

  take("+-");
  const bool starts_with_zero = !text.empty() && text.front() == '0';
  size_t digits = take_digits();
  if (starts_with_zero && digits > 1) return false;  // elsewhere this is an octal number
  if (fraction && take(".")) digits += take_digits();
  if (digits == 0) return false;
  if (fraction && take("eE")) {
    take("+-");
    if (take_digits() == 0) return false;
  }
  return text.empty();
}

// The position of `offset` in characters, counted from 1 as people count columns.
size_t CharacterAt(absl::string_view text, size_t offset) {
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  };
  return std::count_if(text.begin(), text.begin() + offset, starts_character) + 1;
}

void AppendUtf8(uint32_t code_point, std::string& out) {
  const auto continuation = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)));
  };

  if (code_point < 0x80) {
    out.push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
    continuation(0);
  } else if (code_point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (code_point >> 12)));
    continuation(6);
    continuation(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (code_point >> 18)));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

absl::string_view OperatorsOf(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return "\":\" with ANY, \"=\" or \"!=\" after a string attribute";
    case AttributeType::kStringList:
      return "\":\" with ANY after a string list attribute";
    case AttributeType::kInt64:
      return "\":\" with ANY, \"=\", \"!=\", \"<\", \"<=\", \">\" or \">=\" after an integer "
             "attribute";
    case AttributeType::kDouble:
      return "\"=\", \"!=\", \"<\", \"<=\", \">\" or \">=\" after a number attribute";
    case AttributeType::kBool:
      return "\"=\" or \"!=\" after a true-or-false attribute";
  }
  return "an operator";
}

bool Allows(AttributeType type, FilterOperator op) {
  const bool equality = op == FilterOperator::kEqual || op == FilterOperator::kNotEqual;
  switch (type) {
    case AttributeType::kString:
      return op == FilterOperator::kAny || equality;
    case AttributeType::kStringList:
      return op == FilterOperator::kAny;
    case AttributeType::kInt64:
      return true;
    case AttributeType::kDouble:
      return op != FilterOperator::kAny;
    case AttributeType::kBool:
      return equality;
  }
  return false;
}

template <typename T>
void SortDistinct(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

absl::Status FilterParser::ErrorAt(size_t offset, absl::string_view found,
                                   absl::string_view expected) const {
  return InvalidField(
      kField, absl::StrCat("has ", found, " at character ", CharacterAt(text_, offset)), expected);
}

absl::Status FilterParser::Expected(absl::string_view what) const {
  const std::string found =
      token_.kind == FilterToken::Kind::kEnd ? "the end" : QuoteForMessage(token_.text);
  return ErrorAt(token_.offset, found, what);
}

absl::StatusOr<Filter> FilterParser::Parse() {
  if (text_.size() > kMaxFilterBytes) {
    return InvalidField(kField, absl::StrCat("has ", text_.size(), " bytes"),
                        absl::StrCat("at most ", kMaxFilterBytes));
  }
  if (!IsValidUtf8(text_)) return InvalidField(kField, "is not valid UTF-8", "valid UTF-8");

  PALATE_RETURN_IF_ERROR(Advance());
  if (token_.kind == FilterToken::Kind::kEnd) return std::move(filter_);
  PALATE_RETURN_IF_ERROR(ParseOr());
  if (token_.kind != FilterToken::Kind::kEnd)
    return Expected("AND, OR or the end (keywords are in capitals)");

  size_t depth = 0;
  for (const FilterStep& step : filter_.steps_) {
    if (step.kind == FilterStep::Kind::kTerm) {
      filter_.stack_depth_ = std::max(filter_.stack_depth_, ++depth);
    } else if (step.kind != FilterStep::Kind::kNot) {
      --depth;
    }
  }
  return std::move(filter_);
}

absl::Status FilterParser::Advance() {
  while (next_ < text_.size() && IsSpace(text_[next_])) ++next_;
  token_ = FilterToken();
  token_.offset = next_;
  if (next_ == text_.size()) return absl::OkStatus();

  const char first = text_[next_];
  if (first == '"') return ReadString();
  if (IsWordStart(first)) {
    ReadWord();
  } else if (IsNumberStart(first)) {
    ReadNumber();
  } else {
    ReadSymbol();
  }

  token_.text = text_.substr(token_.offset, next_ - token_.offset);
  if (token_.kind == FilterToken::Kind::kName && IsKeyword(token_.text))
    token_.kind = FilterToken::Kind::kKeyword;
  return absl::OkStatus();
}

void FilterParser::ReadWord() {
  token_.kind = FilterToken::Kind::kName;
  while (next_ < text_.size() && IsWord(text_[next_])) ++next_;
}

// Takes every character that could belong to a number, so that "12abc" is one wrong token instead
// of two correct ones.
void FilterParser::ReadNumber() {
  token_.kind = FilterToken::Kind::kNumber;
  ++next_;
  while (next_ < text_.size() && IsNumber(text_[next_])) ++next_;
}

void FilterParser::ReadSymbol() {
  token_.kind = FilterToken::Kind::kSymbol;
  const absl::string_view rest = text_.substr(next_);
  for (absl::string_view symbol : {"!=", "<=", ">="}) {
    if (rest.substr(0, 2) == symbol) {
      next_ += 2;
      return;
    }
  }

  ++next_;
  while (next_ < text_.size() && (static_cast<unsigned char>(text_[next_]) & 0xC0) == 0x80)
    ++next_;  // a whole character
}

absl::Status FilterParser::ReadString() {
  token_.kind = FilterToken::Kind::kString;
  const size_t quote = next_++;
  while (true) {
    if (next_ == text_.size()) return ErrorAt(quote, "a string without an end", "closed by \"");
    const char c = text_[next_++];
    if (c == '"') break;
    if (c == '\\') {
      PALATE_RETURN_IF_ERROR(ReadEscape(quote));
    } else {
      token_.value.push_back(c);
    }
  }

  token_.text = text_.substr(quote, next_ - quote);
  return absl::OkStatus();
}

// Reads the rest of an escape after its backslash.
absl::Status FilterParser::ReadEscape(size_t quote) {
  if (next_ == text_.size()) return ErrorAt(quote, "a string without an end", "closed by \"");

  const size_t backslash = next_ - 1;
  const char c = text_[next_++];
  switch (c) {
    case '"':
    case '\\':
    case '/':
      token_.value.push_back(c);
      return absl::OkStatus();
    case 'n':
      token_.value.push_back('\n');
      return absl::OkStatus();
    case 'r':
      token_.value.push_back('\r');
      return absl::OkStatus();
    case 't':
      token_.value.push_back('\t');
      return absl::OkStatus();
    case 'u':
      break;
    default:
      return ErrorAt(backslash, "an unknown escape", "one of \\\" \\\\ \\/ \\n \\r \\t \\uXXXX");
  }

  uint32_t code_point = 0;
  PALATE_RETURN_IF_ERROR(ReadCodePoint(code_point));

  const bool high = code_point >= 0xD800 && code_point < 0xDC00;
  if (high && text_.substr(next_, 2) == "\\u") {
    next_ += 2;
    uint32_t low = 0;
    PALATE_RETURN_IF_ERROR(ReadCodePoint(low));
    if (low >= 0xDC00 && low < 0xE000)
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code_point >= 0xD800 && code_point < 0xE000)
    return ErrorAt(backslash, "half a surrogate pair", "a whole pair of \\uXXXX");

  AppendUtf8(code_point, token_.value);
  return absl::OkStatus();
}

// Reads the four digits after \u.
absl::Status FilterParser::ReadCodePoint(uint32_t& code_point) {
  const absl::string_view digits = text_.substr(next_, 4);
  const bool all_hex = digits.size() == 4 && std::all_of(digits.begin(), digits.end(), [](char c) {
                         return absl::ascii_isxdigit(c);
                       });
  if (!all_hex || !absl::SimpleHexAtoi(digits, &code_point)) {
    return ErrorAt(next_ - 2, "a broken \\u escape", "\\u and four hexadecimal digits");
  }
  next_ += 4;
  return absl::OkStatus();
}

absl::Status FilterParser::Enter() {
  if (++nesting_ <= kMaxFilterNesting) return absl::OkStatus();
  return ErrorAt(token_.offset,
                 absl::StrCat("more than ", kMaxFilterNesting, " levels of NOT and parentheses"),
                 absl::StrCat("nested at most ", kMaxFilterNesting, " deep"));
}

absl::Status FilterParser::ParseOr() {
  PALATE_RETURN_IF_ERROR(ParseAnd());
  while (At(FilterToken::Kind::kKeyword, "OR")) {
    PALATE_RETURN_IF_ERROR(Advance());
    PALATE_RETURN_IF_ERROR(ParseAnd());
    Emit(FilterStep::Kind::kOr);
  }
  return absl::OkStatus();
}

absl::Status FilterParser::ParseAnd() {
  PALATE_RETURN_IF_ERROR(ParseUnary());
  while (At(FilterToken::Kind::kKeyword, "AND")) {
    PALATE_RETURN_IF_ERROR(Advance());
    PALATE_RETURN_IF_ERROR(ParseUnary());
    Emit(FilterStep::Kind::kAnd);
  }
  return absl::OkStatus();
}

absl::Status FilterParser::ParseUnary() {
  if (At(FilterToken::Kind::kKeyword, "NOT")) {
    PALATE_RETURN_IF_ERROR(Enter());
    PALATE_RETURN_IF_ERROR(Advance());
    PALATE_RETURN_IF_ERROR(ParseUnary());
    Emit(FilterStep::Kind::kNot);
    --nesting_;
    return absl::OkStatus();
  }
  if (At(FilterToken::Kind::kSymbol, "(")) {
    PALATE_RETURN_IF_ERROR(Enter());
    PALATE_RETURN_IF_ERROR(Advance());
    PALATE_RETURN_IF_ERROR(ParseOr());
    if (!At(FilterToken::Kind::kSymbol, ")"))
      return Expected("AND, OR or \")\" (keywords are in capitals)");
    --nesting_;
    return Advance();
  }

  return ParseTerm();
}

absl::StatusOr<const AttributeDeclaration*> FilterParser::FindDeclaration() const {
  std::vector<absl::string_view> known;
  for (const AttributeDeclaration& declaration : declarations_) {
    if (declaration.name == token_.text) {
      if (declaration.filterable) return &declaration;
      return Expected("an attribute that the catalog declares as filterable");
    }
    if (declaration.filterable) known.push_back(declaration.name);
  }

  if (known.empty()) return Expected("a filterable attribute of the catalog, which declares none");
  constexpr size_t kNamed = 16;
  const std::string more =
      known.size() > kNamed ? absl::StrCat(" and ", known.size() - kNamed, " more") : "";
  known.resize(std::min(known.size(), kNamed));
  return Expected(absl::StrCat(
      "one of the catalog's filterable attributes: ", absl::StrJoin(known, ", "), more));
}

absl::Status FilterParser::ParseTerm() {
  if (token_.kind != FilterToken::Kind::kName)
    return Expected("NOT, \"(\" or the name of an attribute");
  PALATE_ASSIGN_OR_RETURN(const AttributeDeclaration* declaration, FindDeclaration());
  FilterTerm term{.attribute = declaration->name,
                  .type = declaration->type,
                  .op = FilterOperator::kEqual,
                  .values = {}};

  PALATE_RETURN_IF_ERROR(Advance());
  PALATE_RETURN_IF_ERROR(ParseOperator(term));
  if (term.op == FilterOperator::kAny) {
    PALATE_RETURN_IF_ERROR(ParseAny(term));
  } else {
    PALATE_RETURN_IF_ERROR(ParseLiteral(term));
  }

  Emit(FilterStep::Kind::kTerm);
  filter_.terms_.push_back(std::move(term));
  return absl::OkStatus();
}

absl::Status FilterParser::ParseOperator(FilterTerm& term) {
  static constexpr std::pair<absl::string_view, FilterOperator> kOperators[] = {
      {":", FilterOperator::kAny},
      {"=", FilterOperator::kEqual},
      {"!=", FilterOperator::kNotEqual},
      {"<", FilterOperator::kLess},
      {"<=", FilterOperator::kLessOrEqual},
      {">", FilterOperator::kGreater},
      {">=", FilterOperator::kGreaterOrEqual}};

  for (const auto& [symbol, op] : kOperators) {
    if (!At(FilterToken::Kind::kSymbol, symbol)) continue;
    if (!Allows(term.type, op)) break;
    term.op = op;
    return Advance();
  }
  return Expected(OperatorsOf(term.type));
}

absl::Status FilterParser::ParseAny(FilterTerm& term) {
  if (!At(FilterToken::Kind::kKeyword, "ANY")) return Expected("ANY after \":\"");
  PALATE_RETURN_IF_ERROR(Advance());
  if (!At(FilterToken::Kind::kSymbol, "(")) return Expected("\"(\" after ANY");
  do {
    PALATE_RETURN_IF_ERROR(Advance());
    PALATE_RETURN_IF_ERROR(ParseLiteral(term));
  } while (At(FilterToken::Kind::kSymbol, ","));
  if (!At(FilterToken::Kind::kSymbol, ")")) return Expected("\",\" or \")\"");

  std::visit([](auto& values) { SortDistinct(values); }, term.values);
  return Advance();
}

// Reads one literal of the attribute's type and appends it to the term's values.
absl::Status FilterParser::ParseLiteral(FilterTerm& term) {
  if (++literals_ > kMaxFilterLiterals) {
    return ErrorAt(token_.offset, absl::StrCat("more than ", kMaxFilterLiterals, " literals"),
                   absl::StrCat("at most ", kMaxFilterLiterals));
  }

  const auto append = [&](auto value) {
    using List = std::vector<decltype(value)>;
    if (!std::holds_alternative<List>(term.values)) term.values = List();
    std::get<List>(term.values).push_back(std::move(value));
  };

  switch (term.type) {
    case AttributeType::kString:
    case AttributeType::kStringList:
      if (token_.kind != FilterToken::Kind::kString) return Expected("a string in double quotes");
      append(token_.value);
      break;
    case AttributeType::kInt64: {
      int64_t value = 0;
      if (token_.kind != FilterToken::Kind::kNumber || !IsDecimal(token_.text, false) ||
          !absl::SimpleAtoi(token_.text, &value)) {
        return Expected("an integer of 64 bits in decimal digits");
      }
      append(value);
      break;
    }
    case AttributeType::kDouble: {
      double value = 0;
      if (token_.kind != FilterToken::Kind::kNumber || !IsDecimal(token_.text, true) ||
          !absl::SimpleAtod(token_.text, &value) || !std::isfinite(value)) {
        return Expected("a finite number in decimal digits");
      }
      append(value);
      break;
    }
    case AttributeType::kBool:
      if (!At(FilterToken::Kind::kKeyword, "true") && !At(FilterToken::Kind::kKeyword, "false"))
        return Expected("true or false");
      append(token_.text == "true");
      break;
  }

  return Advance();
}

}  // namespace palate::retrieval
