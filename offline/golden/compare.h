// Comparisons with reference values, and the tolerances of the fixture format.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "offline/golden/report.h"

namespace palate::golden {

inline constexpr double kStateTolerance = 1e-4;    // logits, hidden states, log-probabilities
inline constexpr double kScoreTolerance = 1e-5;    // reranker scores
inline constexpr double kRoundedTolerance = 1e-6;  // numbers that the reference wrote as text
inline constexpr double kVectorTolerance = 1e-4;   // embeddings, and also:
inline constexpr double kVectorCosine = 0.99999;
inline constexpr double kPixelTolerance = 1e-5;  // processed pixels
// If the two largest logits are closer than this (twice the tolerance of a logit), greedy decoding
// may choose either token.
inline constexpr double kReliableGap = 2 * kStateTolerance;

// Largest absolute difference. Infinite if any difference is not a number, or if the shapes differ.
double MaxDifference(const at::Tensor& actual, const at::Tensor& expected);

// Each adds one check to the report.
void CompareTensor(Report& report, const std::string& what, const at::Tensor& actual,
                   const at::Tensor& expected, double tolerance);
// Checks the lowest cosine of the rows (the last dimension) and the largest difference.
void CompareVectors(Report& report, const std::string& what, const at::Tensor& actual,
                    const at::Tensor& expected);
// Checks that all values are equal; for ids, masks, grids and positions.
void CompareExact(Report& report, const std::string& what, const at::Tensor& actual,
                  const at::Tensor& expected);
void CompareIds(Report& report, const std::string& what, absl::Span<const int64_t> actual,
                absl::Span<const int64_t> expected);
void CompareText(Report& report, const std::string& what, const std::string& actual,
                 const std::string& expected);

// A short description of the first difference, for Tally::Add().
std::string DescribeIds(absl::Span<const int64_t> actual, absl::Span<const int64_t> expected);
std::string DescribeText(const std::string& actual, const std::string& expected);

// int64 [ids.size()] that owns its memory.
at::Tensor IdTensor(absl::Span<const int64_t> ids);
std::vector<int64_t> IdVector(const at::Tensor& tensor);

}  // namespace palate::golden
