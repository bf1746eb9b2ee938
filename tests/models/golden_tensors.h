// Comparisons with reference tensors.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "models/checkpoint/parameters.h"
#include "models/image/image.h"
#include "tests/models/golden.h"

namespace palate::models {

using TensorMap = std::map<std::string, at::Tensor>;

inline TensorMap ReferenceTensors(const Golden& golden) {
  auto tensors = LoadTensors(golden.tensors());
  EXPECT_TRUE(tensors.ok()) << tensors.status();
  return tensors.ok() ? *std::move(tensors) : TensorMap();
}

inline at::Tensor Unit(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, /*keepdim=*/true);
}

// A decoded image of the goldens, uint8 [height, width, 3].
inline Image ImageOf(const at::Tensor& pixels) {
  const at::Tensor flat = pixels.contiguous();
  Image image{.width = pixels.size(1), .height = pixels.size(0)};
  image.rgb.assign(flat.const_data_ptr<uint8_t>(), flat.const_data_ptr<uint8_t>() + flat.numel());
  return image;
}

inline double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

inline void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  EXPECT_LE(MaxDifference(actual, expected), tolerance) << what;
}

// The goldens' tolerance for embeddings, per row: a cosine of at least 0.99999 and differences of
// at most 1e-4.
inline void ExpectSameEmbeddings(const at::Tensor& actual, const at::Tensor& expected,
                                 const std::string& what) {
  ExpectClose(actual, expected, 1e-4, what);
  const at::Tensor cosine =
      at::cosine_similarity(actual.to(at::kDouble), expected.to(at::kDouble), 1);
  EXPECT_GE(cosine.min().item<double>(), 0.99999) << what;
}

inline std::vector<int64_t> Ids(const nlohmann::ordered_json& json) {
  return json.get<std::vector<int64_t>>();
}

inline std::vector<int64_t> Ids(const at::Tensor& tensor) {
  const at::Tensor ids = tensor.to(at::kLong).contiguous();
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

}  // namespace palate::models
