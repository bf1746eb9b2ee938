#include "models/families/qwen_vl/vision_layers.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/layers/attention.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxExtent = 1 << 20;
constexpr int64_t kMaxPatch = 1024;
constexpr int64_t kMaxDepth = 1024;

// Reads the base of the wavelengths. Rotary types other than the plain two-dimensional one are not
// supported.
absl::Status ReadRope(const JsonConfig& config, double& theta) {
  if (!config.Has("rope_parameters")) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const JsonConfig rope, config.Object("rope_parameters"));
  PALATE_ASSIGN_OR_RETURN(theta, rope.DoubleOr("rope_theta", theta));
  PALATE_ASSIGN_OR_RETURN(const std::string type, rope.StringOr("rope_type", "axial"));

  if (type != "axial" && type != "default") {
    return absl::UnimplementedError(absl::StrCat(config.source(), ": vision rope type ",
                                                 QuoteForMessage(type),
                                                 " is not supported, only axial"));
  }
  if (!(theta > 1))
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": vision rope_theta is not above 1"));
  return absl::OkStatus();
}

// Both towers require RGB.
absl::Status CheckChannels(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const int64_t channels, config.IntOr("in_channels", 3));
  if (channels == 3) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(config.source(), ": ", channels, " image channels are not supported, only 3"));
}

}  // namespace

absl::StatusOr<VisionShape> VisionShape::FromJson(const JsonConfig& config) {
  VisionShape shape;
  PALATE_ASSIGN_OR_RETURN(shape.depth, config.IntIn("depth", 1, kMaxDepth));
  PALATE_ASSIGN_OR_RETURN(shape.hidden_size, config.IntIn("hidden_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(shape.intermediate_size,
                          config.IntIn("intermediate_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(shape.num_heads, config.IntIn("num_heads", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(shape.out_hidden_size, config.IntIn("out_hidden_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(shape.patch_size, config.IntIn("patch_size", 1, kMaxPatch));
  PALATE_ASSIGN_OR_RETURN(shape.temporal_patch_size,
                          config.IntIn("temporal_patch_size", 1, kMaxPatch));
  PALATE_ASSIGN_OR_RETURN(shape.merge_size, config.IntIn("spatial_merge_size", 1, kMaxPatch));

  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.String("hidden_act"));
  absl::StatusOr<Activation> known = ActivationFromName(activation);
  if (!known.ok()) return Annotate(known.status(), config.source());
  shape.activation = *known;

  PALATE_RETURN_IF_ERROR(CheckChannels(config));
  PALATE_RETURN_IF_ERROR(ReadRope(config, shape.rope_theta));

  if (shape.hidden_size % shape.num_heads != 0 || shape.head_dim() % 4 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.source(), ": vision hidden_size (", shape.hidden_size, ") in num_heads (",
        shape.num_heads, ") does not give heads of a multiple of 4"));
  }

  return shape;
}

at::Tensor BiasedLinear::operator()(const at::Tensor& x) const {
  return at::linear(x, weight, bias);
}

void BiasedLinear::List(const std::string& name, int64_t out, int64_t in, ParameterList& list) {
  list.push_back({name + ".weight", {out, in}, Init::Normal(0.02), &weight});
  list.push_back({name + ".bias", {out}, Init::Zeros(), &bias});
}

PatchGrid GridOf(absl::Span<const ImagePatches> images, int64_t merge_size) {
  std::vector<int64_t> rows;
  std::vector<int64_t> columns;
  for (const ImagePatches& image : images) {
    const int64_t frame = image.grid_h * image.grid_w;
    for (int64_t i = 0; i < image.patches(); ++i) {
      const int64_t block = i % frame / (merge_size * merge_size);
      const int64_t blocks_per_row = image.grid_w / merge_size;
      rows.push_back(block / blocks_per_row * merge_size + i / merge_size % merge_size);
      columns.push_back(block % blocks_per_row * merge_size + i % merge_size);
    }
  }

  return {.rows = at::tensor(rows, at::kLong), .columns = at::tensor(columns, at::kLong)};
}

at::Tensor StackPatches(absl::Span<const ImagePatches> images, at::ScalarType dtype,
                        const at::Device& device) {
  std::vector<at::Tensor> parts;
  for (const ImagePatches& image : images) parts.push_back(image.pixel_values);
  return (parts.size() == 1 ? parts[0] : at::cat(parts, 0)).to(device, dtype);
}

at::Tensor PatchRotation::operator()(const at::Tensor& x) const {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor turned = at::cat({-wide.narrow(-1, half, half), wide.narrow(-1, 0, half)}, -1);

  return (wide * cos + turned * sin).to(x.scalar_type());
}

PatchRotation PatchRotation::Select(const at::Tensor& order) const {
  return {.cos = cos.index_select(0, order), .sin = sin.index_select(0, order)};
}

PatchRotation RotationOf(const PatchGrid& grid, int64_t head_dim, double theta,
                         const at::Device& device) {
  // A quarter of the dimensions rotates by row and a quarter by column; the other half are their
  // counterparts.
  const double axis = static_cast<double>(head_dim) / 2;
  const at::Tensor exponents = at::arange(0, head_dim / 2, 2, at::kFloat) / axis;
  const at::Tensor frequencies = at::reciprocal(at::pow(theta, exponents));

  const auto angles = [&](const at::Tensor& positions) {
    return positions.to(at::kFloat).unsqueeze(-1) * frequencies;
  };

  // [patches, head_dim / 2]
  const at::Tensor both = at::cat({angles(grid.rows), angles(grid.columns)}, -1);
  const at::Tensor all = at::cat({both, both}, -1).unsqueeze(1);
  return {.cos = all.cos().to(device), .sin = all.sin().to(device)};
}

std::vector<int64_t> FrameLengths(absl::Span<const ImagePatches> images) {
  std::vector<int64_t> lengths;
  for (const ImagePatches& image : images)
    lengths.insert(lengths.end(), static_cast<size_t>(image.grid_t), image.grid_h * image.grid_w);
  return lengths;
}

at::Tensor AttendSegments(const at::Tensor& qkv, const PatchRotation& rotate, int64_t num_heads,
                          const std::vector<int64_t>& lengths) {
  const at::Tensor parts = qkv.view({qkv.size(0), 3, num_heads, -1});
  const at::Tensor q = rotate(parts.select(1, 0));
  const at::Tensor k = rotate(parts.select(1, 1));
  const at::Tensor v = parts.select(1, 2);

  std::vector<at::Tensor> attended;
  int64_t start = 0;
  // Adjacent segments of equal length are one batch.
  for (size_t i = 0; i < lengths.size();) {
    size_t end = i + 1;
    while (end < lengths.size() && lengths[end] == lengths[i]) ++end;
    const auto batch = static_cast<int64_t>(end - i);
    const int64_t rows = batch * lengths[i];

    const auto segments = [&](const at::Tensor& x) {
      return ByHead(x.narrow(0, start, rows), batch, lengths[i]);
    };

    const at::Tensor out = at::scaled_dot_product_attention(segments(q), segments(k), segments(v));
    attended.push_back(out.transpose(1, 2).reshape({rows, -1}));
    start += rows;
    i = end;
  }

  return attended.size() == 1 ? attended[0] : at::cat(attended, 0);
}

}  // namespace palate::models
