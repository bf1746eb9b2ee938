#include "offline/golden/compare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace palate::golden {
namespace {

constexpr size_t kShownCharacters = 60;

std::string ShapeOf(const at::Tensor& tensor) {
  return absl::StrCat("[", absl::StrJoin(tensor.sizes(), ", "), "]");
}

bool HasShapeOf(Report& report, const std::string& what, const at::Tensor& actual,
                const at::Tensor& expected) {
  if (actual.sizes() == expected.sizes()) return true;
  report.Add(false, what,
             absl::StrCat("shape ", ShapeOf(actual), " instead of ", ShapeOf(expected)));
  return false;
}

std::string Excerpt(const std::string& text, size_t from) {
  const size_t start = from < 10 ? 0 : from - 10;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(start, kShownCharacters)), "\"");
}

}  // namespace

double MaxDifference(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.sizes() != expected.sizes()) return std::numeric_limits<double>::infinity();
  if (actual.numel() == 0) return 0;
  const at::Tensor difference =
      (actual.to(at::kCPU, at::kDouble) - expected.to(at::kCPU, at::kDouble)).abs();
  return at::nan_to_num(difference, std::numeric_limits<double>::infinity()).max().item<double>();
}

void CompareTensor(Report& report, const std::string& what, const at::Tensor& actual,
                   const at::Tensor& expected, double tolerance) {
  if (!HasShapeOf(report, what, actual, expected)) return;
  report.AtMost(what, "max abs diff", MaxDifference(actual, expected), tolerance);
}

void CompareVectors(Report& report, const std::string& what, const at::Tensor& actual,
                    const at::Tensor& expected) {
  if (!HasShapeOf(report, what, actual, expected)) return;
  const at::Tensor cosines = at::cosine_similarity(actual.to(at::kCPU, at::kDouble),
                                                   expected.to(at::kCPU, at::kDouble), -1);
  const double cosine = cosines.numel() == 0 ? 1.0 : cosines.min().item<double>();
  const double difference = MaxDifference(actual, expected);
  report.Add(
      cosine >= kVectorCosine && difference <= kVectorTolerance, what,
      absl::StrFormat("cosine 1 - %.2g (at most 1 - %.2g), max abs diff %.2g (at most %.2g)",
                      std::max(0.0, 1 - cosine), 1 - kVectorCosine, difference, kVectorTolerance));
}

void CompareExact(Report& report, const std::string& what, const at::Tensor& actual,
                  const at::Tensor& expected) {
  if (!HasShapeOf(report, what, actual, expected)) return;
  const auto different =
      actual.to(at::kCPU, at::kLong).ne(expected.to(at::kLong)).sum().item<int64_t>();
  report.Add(different == 0, what,
             absl::StrCat(different, " of ", expected.numel(), " values differ (at most 0)"));
}

void CompareIds(Report& report, const std::string& what, absl::Span<const int64_t> actual,
                absl::Span<const int64_t> expected) {
  if (actual == expected) {
    report.Add(true, what, absl::StrCat("0 of ", expected.size(), " ids differ (at most 0)"));
  } else {
    report.Add(false, what, DescribeIds(actual, expected));
  }
}

void CompareText(Report& report, const std::string& what, const std::string& actual,
                 const std::string& expected) {
  report.Add(actual == expected, what,
             actual == expected ? "equal" : DescribeText(actual, expected));
}

std::string DescribeIds(absl::Span<const int64_t> actual, absl::Span<const int64_t> expected) {
  const size_t common = std::min(actual.size(), expected.size());
  size_t first = 0;
  while (first < common && actual[first] == expected[first]) ++first;
  const auto shown = [&](absl::Span<const int64_t> ids) {
    return absl::StrJoin(ids.subspan(std::min(first, ids.size()), 5), " ");
  };
  return absl::StrCat(actual.size(), " ids instead of ", expected.size(), ", from index ", first,
                      " on [", shown(actual), " …] instead of [", shown(expected), " …]");
}

std::string DescribeText(const std::string& actual, const std::string& expected) {
  const size_t common = std::min(actual.size(), expected.size());
  size_t first = 0;
  while (first < common && actual[first] == expected[first]) ++first;
  return absl::StrCat("at byte ", first, " ", Excerpt(actual, first), " instead of ",
                      Excerpt(expected, first));
}

at::Tensor IdTensor(absl::Span<const int64_t> ids) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

std::vector<int64_t> IdVector(const at::Tensor& tensor) {
  const at::Tensor ids = tensor.to(at::kCPU, at::kLong).contiguous();
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

}  // namespace palate::golden
