// Filter strings over an item's attributes, as a caller writes them in a request:
//
//   genres: ANY("Comedy", "Drama") AND NOT (year < 1990) AND price <= 20.5 AND in_stock = true
//
// Grammar (keywords are written in capitals; NOT binds tighter than AND, AND tighter than OR):
//
//   filter     = [ or ]                          an empty filter matches everything
//   or         = and { "OR" and }
//   and        = unary { "AND" unary }
//   unary      = "NOT" unary | "(" or ")" | term
//   term       = name ":" "ANY" "(" literal { "," literal } ")"
//              | name ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//   literal    = string | integer | number | "true" | "false"
//   string     = '"' ... '"' with the escapes \" \\ \/ \n \r \t \uXXXX
//
// What may be asked of an attribute follows from its declared type:
//
//   string        ANY, =, !=      with strings; compared byte for byte
//   string list   ANY             with strings; true when one element is among them
//   int64         ANY, = ... >=   with integers
//   double        = ... >=        with integers or numbers
//   bool          =, !=           with true or false
//
// An item without the attribute: every term over it is false, `!=` too, and so NOT of a term is
// true. There is no third value: NOT (a < 1) holds for items without `a`, a >= 1 does not.
//
// Hostile input is bounded: 8 KiB of UTF-8, nesting of 64, 1,000 literals. Parsing and evaluation
// need stack for the nesting only.
#pragma once

#include <cstdint>
#include <memory>
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

// One comparison of one attribute. `values` holds one alternative for all its elements, that of the
// declared type: string for kString and kStringList, int64_t, double or bool; exactly one value
// except for kAny, where they are sorted and distinct.
struct FilterTerm {
  std::string attribute;
  AttributeType type = AttributeType::kString;
  FilterOperator op = FilterOperator::kEqual;
  std::variant<std::vector<std::string>, std::vector<int64_t>, std::vector<double>,
               std::vector<bool>>
      values;
};

// A filter in reverse Polish order: terms push a truth value, kAnd and kOr take two and push one,
// kNot takes one and pushes one.
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

  // Parses `text` against the catalog's declarations. The error is InvalidField("filter", ...) with
  // the position, counted in characters from 1, what stands there and what was expected: also for
  // attributes that are undeclared, not filterable or of another type.
  static absl::StatusOr<Filter> Parse(absl::string_view text,
                                      absl::Span<const AttributeDeclaration> declarations);

  bool Matches(const Attributes& attributes) const;

  bool matches_everything() const { return steps_.empty(); }
  // Steps for evaluators that work on columns.
  absl::Span<const FilterStep> steps() const { return steps_; }
  absl::Span<const FilterTerm> terms() const { return terms_; }
  // How many truth values wait at most while the steps are executed in order.
  size_t stack_depth() const { return stack_depth_; }

 private:
  friend class FilterParser;

  std::vector<FilterStep> steps_;
  std::vector<FilterTerm> terms_;
  size_t stack_depth_ = 0;
};

}  // namespace palate::retrieval
