// Filter expressions over an item's attributes, as callers write them in requests.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(
//       const Filter filter,
//       Filter::Parse(R"(genres: ANY("Comedy", "Drama") AND NOT (year < 1990))", declarations));
//   const bool matches = filter.Matches(item.attributes);
//
// Grammar (AND, OR, NOT and ANY are in capitals; NOT binds tighter than AND, AND tighter than OR):
//
//   filter     = [ or ]                          an empty filter matches everything
//   or         = and { "OR" and }
//   and        = unary { "AND" unary }
//   unary      = "NOT" unary | "(" or ")" | term
//   term       = name ":" "ANY" "(" literal { "," literal } ")"
//              | name ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//   literal    = string | integer | number | "true" | "false"
//   string     = '"' ... '"' with the escapes \" \\ \/ \n \r \t \uXXXX
//   integer    = [ "+" | "-" ] digits            decimal, without leading zeros: 0x10 and 010 are
//                                                errors
//   number     = an integer with a point among, before or after its digits, and an exponent, such
//   as
//                19.99, .5 or -1e3; finite
//
// The declared type of an attribute decides which operators it allows:
//
//   string        ANY, =, !=      with strings; compared byte for byte
//   string list   ANY             with strings; true when at least one element is among them
//   int64         ANY, = ... >=   with integers
//   double        = ... >=        with integers or numbers
//   bool          =, !=           with true or false
//
// For an item without the attribute every term over it is false, also one with `!=`, and NOT of the
// term is true. There is no third value: NOT (a < 1) is true for an item without `a`, a >= 1 is
// false.
//
// Limits for hostile input: 8 KiB of UTF-8, 64 levels of nesting, 1,000 literals. The depth of
// recursion is bounded by the nesting.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "domain/attribute.h"
#include "domain/catalog.h"
#include "domain/limits.h"

namespace palate::retrieval {

inline constexpr int kMaxFilterNesting = 64;
inline constexpr int kMaxFilterLiterals = 1000;

enum class FilterOperator {
  kAny,
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual
};

// One comparison of one attribute. The elements of `values` have the declared type: string for
// kString and kStringList, int64_t, double or bool. There is exactly one, except for kAny, where
// there is at least one and they are sorted and distinct.
struct FilterTerm {
  std::string attribute;
  AttributeType type = AttributeType::kString;
  FilterOperator op = FilterOperator::kEqual;
  std::variant<std::vector<std::string>, std::vector<int64_t>, std::vector<double>,
               std::vector<bool>>
      values;
};

// A step of a filter in reverse Polish notation: kTerm pushes a truth value, kAnd and kOr pop two
// and push one, kNot pops one and pushes one.
struct FilterStep {
  enum class Kind { kTerm, kAnd, kOr, kNot };
  Kind kind = Kind::kTerm;
  size_t term = 0;  // of kTerm: the index into terms()
};

// A parsed filter: immutable, copyable, thread-safe.
class Filter {
 public:
  // Matches every item.
  Filter() = default;

  // Parses `text` against the catalog's declarations. The error is InvalidField("filter", ...). It
  // names the position, counted in characters from 1, the text there and what was expected, also
  // for attributes that are undeclared, not filterable or of another type.
  static absl::StatusOr<Filter> Parse(absl::string_view text,
                                      absl::Span<const AttributeDeclaration> declarations);

  bool Matches(const Attributes& attributes) const;

  bool matches_everything() const { return steps_.empty(); }
  // For evaluators that work on columns.
  absl::Span<const FilterStep> steps() const { return steps_; }
  absl::Span<const FilterTerm> terms() const { return terms_; }
  // The largest number of truth values on the stack while the steps run in order.
  size_t stack_depth() const { return stack_depth_; }

 private:
  friend class FilterParser;

  std::vector<FilterStep> steps_;
  std::vector<FilterTerm> terms_;
  size_t stack_depth_ = 0;
};

}  // namespace palate::retrieval
