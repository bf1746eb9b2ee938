#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <numeric>

#include "models/layers/attention.h"
#include "tests/models/golden_tensors.h"

namespace palate::models {
namespace {

// Attends one sequence at a time, in double precision.
at::Tensor Reference(const at::Tensor& qkv, const std::vector<int64_t>& lengths,
                     int64_t num_heads) {
  std::vector<at::Tensor> rows;
  int64_t start = 0;

  for (int64_t length : lengths) {
    const at::Tensor parts = qkv.narrow(0, start, length)
                                 .to(at::kDouble)
                                 .view({length, 3, num_heads, -1})
                                 .permute({1, 2, 0, 3});

    const at::Tensor scores = at::matmul(parts[0], parts[1].transpose(1, 2)) /
                              std::sqrt(static_cast<double>(parts.size(3)));
    rows.push_back(
        at::matmul(at::softmax(scores, 2), parts[2]).transpose(0, 1).reshape({length, -1}));

    start += length;
  }
  return at::cat(rows);
}

struct Shape {
  int64_t heads;
  int64_t head_dim;
  std::vector<int64_t> lengths;
};

class PackedAttentionTest : public ::testing::TestWithParam<Shape> {};

TEST_P(PackedAttentionTest, EqualsTheDefinition) {
  const c10::InferenceMode inference;
  const Shape& shape = GetParam();
  at::manual_seed(3);
  const int64_t tokens = std::accumulate(shape.lengths.begin(), shape.lengths.end(), int64_t{0});

  // Large enough for weights that differ by orders of magnitude.
  const at::Tensor qkv = at::randn({tokens, 3 * shape.heads * shape.head_dim}) * 2;

  ExpectClose(PackedAttention(qkv, shape.lengths, shape.heads),
              Reference(qkv, shape.lengths, shape.heads), 2e-5, "attention");
}

TEST_P(PackedAttentionTest, Bfloat16DiffersByItsRoundingOnly) {
  const c10::InferenceMode inference;
  const Shape& shape = GetParam();
  at::manual_seed(4);
  const int64_t tokens = std::accumulate(shape.lengths.begin(), shape.lengths.end(), int64_t{0});
  const at::Tensor qkv = at::randn({tokens, 3 * shape.heads * shape.head_dim}).to(at::kBFloat16);

  const at::Tensor mixed = PackedAttention(qkv, shape.lengths, shape.heads);
  EXPECT_EQ(mixed.scalar_type(), at::kBFloat16);
  // Half a unit in the last of eight bits, for values up to 4. Other processors also round
  // intermediate results.
  ExpectClose(mixed, Reference(qkv, shape.lengths, shape.heads), 0.05, "attention");
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PackedAttentionTest,
    ::testing::Values(Shape{12, 32, {256, 97, 64, 33, 32, 31, 17, 16, 9, 8, 7, 1}},
                      Shape{3, 64, {40, 40, 5}}, Shape{2, 16, {1, 2, 100}}, Shape{1, 48, {70}},
                      Shape{4, 12, {20, 20, 3}}, Shape{2, 32, std::vector<int64_t>(70, 6)}));

TEST(PackedAttentionMaskTest, IgnoresHugeScoresOfOtherSequences) {
  const c10::InferenceMode inference;
  at::Tensor qkv = at::randn({30, 3 * 32});
  const at::Tensor before = PackedAttention(qkv, {10, 20}, 1);

  qkv.narrow(0, 10, 20).fill_(1e30);
  const at::Tensor after = PackedAttention(qkv, {10, 20}, 1);

  EXPECT_EQ(MaxDifference(before.narrow(0, 0, 10), after.narrow(0, 0, 10)), 0);
}

}  // namespace
}  // namespace palate::models
