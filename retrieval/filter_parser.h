// The parser behind Filter::Parse: recursive descent in one pass, within the limits of
// retrieval/filter.h.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "domain/catalog.h"
#include "retrieval/filter.h"

namespace palate::retrieval {

struct FilterToken {
  enum class Kind { kName, kKeyword, kString, kNumber, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  size_t offset = 0;       // of the first byte in the text
  absl::string_view text;  // as written
  std::string value;       // of kString: without quotes and escapes
};

// Parses one text. Not thread-safe. Borrows `text` and `declarations`, which must outlive it.
class FilterParser {
 public:
  FilterParser(absl::string_view text, absl::Span<const AttributeDeclaration> declarations)
      : text_(text), declarations_(declarations) {}

  absl::StatusOr<Filter> Parse();

 private:
  using Values = decltype(FilterTerm::values);

  absl::Status Advance();
  absl::Status ReadString();
  absl::Status ReadEscape(size_t quote);
  absl::Status ReadCodePoint(uint32_t& code_point);
  void ReadNumber();
  void ReadWord();
  void ReadSymbol();

  absl::Status ParseOr();
  absl::Status ParseAnd();
  absl::Status ParseUnary();
  absl::Status ParseTerm();
  absl::Status ParseAny(FilterTerm& term);
  absl::Status ParseOperator(FilterTerm& term);
  absl::Status ParseLiteral(FilterTerm& term);

  absl::StatusOr<const AttributeDeclaration*> FindDeclaration() const;
  absl::Status Enter();
  void Emit(FilterStep::Kind kind) {
    filter_.steps_.push_back({.kind = kind, .term = filter_.terms_.size()});
  }
  bool At(FilterToken::Kind kind, absl::string_view text) const {
    return token_.kind == kind && token_.text == text;
  }

  // The error that the current token is not `what`.
  absl::Status Expected(absl::string_view what) const;
  absl::Status ErrorAt(size_t offset, absl::string_view found, absl::string_view expected) const;

  const absl::string_view text_;
  const absl::Span<const AttributeDeclaration> declarations_;
  size_t next_ = 0;  // the first byte after token_
  FilterToken token_;
  int nesting_ = 0;
  int literals_ = 0;
  Filter filter_;
};

}  // namespace palate::retrieval
