#include "retrieval/filter.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "retrieval/filter_parser.h"

namespace palate::retrieval {
namespace {

template <typename T>
bool Compare(FilterOperator op, const T& value, const std::vector<T>& operands) {
  switch (op) {
    case FilterOperator::kAny:
      return std::binary_search(operands.begin(), operands.end(), value);
    case FilterOperator::kEqual:
      return value == operands.front();
    case FilterOperator::kNotEqual:
      return value != operands.front();
    case FilterOperator::kLess:
      return value < operands.front();
    case FilterOperator::kLessOrEqual:
      return value <= operands.front();
    case FilterOperator::kGreater:
      return value > operands.front();
    case FilterOperator::kGreaterOrEqual:
      return value >= operands.front();
  }

  return false;
}

template <typename T>
bool CompareAs(const FilterTerm& term, const AttributeValue& value) {
  const T* held = std::get_if<T>(&value);
  return held != nullptr && Compare(term.op, *held, std::get<std::vector<T>>(term.values));
}

bool Holds(const FilterTerm& term, const Attributes& attributes) {
  const auto found = attributes.find(term.attribute);
  if (found == attributes.end()) return false;

  switch (term.type) {
    case AttributeType::kString:
      return CompareAs<std::string>(term, found->second);
    case AttributeType::kStringList: {
      const auto* list = std::get_if<std::vector<std::string>>(&found->second);
      if (list == nullptr) return false;
      const auto& wanted = std::get<std::vector<std::string>>(term.values);
      return std::any_of(list->begin(), list->end(), [&](const std::string& element) {
        return std::binary_search(wanted.begin(), wanted.end(), element);
      });
    }
    case AttributeType::kInt64:
      return CompareAs<int64_t>(term, found->second);
    case AttributeType::kDouble:
      return CompareAs<double>(term, found->second);
    case AttributeType::kBool:
      return CompareAs<bool>(term, found->second);
  }
  return false;
}

}  // namespace

absl::StatusOr<Filter> Filter::Parse(absl::string_view text,
                                     absl::Span<const AttributeDeclaration> declarations) {
  return FilterParser(text, declarations).Parse();
}

bool Filter::Matches(const Attributes& attributes) const {
  if (matches_everything()) return true;
  absl::InlinedVector<bool, 16> stack;
  for (const FilterStep& step : steps_) {
    if (step.kind == FilterStep::Kind::kTerm) {
      stack.push_back(Holds(terms_[step.term], attributes));
      continue;
    }
    if (step.kind == FilterStep::Kind::kNot) {
      stack.back() = !stack.back();
      continue;
    }

    const bool right = stack.back();
    stack.pop_back();
    stack.back() =
        step.kind == FilterStep::Kind::kAnd ? stack.back() && right : stack.back() || right;
  }
  return stack.back();
}

}  // namespace palate::retrieval
