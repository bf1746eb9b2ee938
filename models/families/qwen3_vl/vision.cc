#include "models/families/qwen3_vl/vision.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxPositions = 1 << 20;

absl::StatusOr<std::vector<int64_t>> ReadDeepstackLayers(const JsonConfig& config, int64_t depth) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> values,
                          config.Doubles("deepstack_visual_indexes"));

  std::vector<int64_t> layers;
  for (const double value : values) {
    const bool in_range =
        value >= 0 && value < static_cast<double>(depth) && value == std::floor(value);
    const auto layer = in_range ? static_cast<int64_t>(value) : -1;
    if (!in_range || std::find(layers.begin(), layers.end(), layer) != layers.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": deepstack_visual_indexes names layer ", value,
                       ", which is not one of ", depth, " vision layers or named twice"));
    }
    layers.push_back(layer);
  }
  return layers;
}

// The two neighbors of each position on one axis of the table, and their weights.
struct Taps {
  std::array<at::Tensor, 2> index;   // int64 [patches]
  std::array<at::Tensor, 2> weight;  // float32 [patches]
};

// `place` is the row (or column) of each patch on an axis of `extent` patches; both are int64
// [patches]. The ends of the axis map to the ends of the table.
Taps TapsOf(const at::Tensor& place, const at::Tensor& extent, int64_t side) {
  const at::Tensor source =
      place.to(at::kFloat) * static_cast<double>(side - 1) / (extent - 1).clamp_min(1);
  const at::Tensor floor = source.floor();
  const at::Tensor below = floor.to(at::kLong);

  Taps taps;
  for (size_t i = 0; i < 2; ++i) {
    const auto step = static_cast<int64_t>(i);
    taps.index[i] = (below + step).clamp(0, side - 1);
    taps.weight[i] = (1 - (source - floor - step).abs()).clamp_min(0);
  }
  return taps;
}

// The extent of each patch's image on one axis.
at::Tensor ExtentPerPatch(absl::Span<const ImagePatches> images, int64_t ImagePatches::*extent) {
  std::vector<at::Tensor> parts;
  for (const ImagePatches& image : images)
    parts.push_back(at::full({image.patches()}, image.*extent, at::kLong));
  return at::cat(parts, 0);
}

}  // namespace

int64_t Qwen3VisionConfig::table_side() const {
  return static_cast<int64_t>(std::sqrt(static_cast<double>(num_positions)));
}

absl::StatusOr<Qwen3VisionConfig> Qwen3VisionConfig::FromJson(const JsonConfig& vision_config) {
  Qwen3VisionConfig config;
  PALATE_ASSIGN_OR_RETURN(static_cast<VisionShape&>(config), VisionShape::FromJson(vision_config));
  PALATE_ASSIGN_OR_RETURN(config.num_positions,
                          vision_config.IntIn("num_position_embeddings", 1, kMaxPositions));
  PALATE_ASSIGN_OR_RETURN(config.deepstack_layers,
                          ReadDeepstackLayers(vision_config, config.depth));
  return config;
}

Qwen3VisionTower::Qwen3VisionTower(Qwen3VisionConfig config)
    : config_(std::move(config)),
      blocks_(static_cast<size_t>(config_.depth)),
      deepstack_mergers_(config_.deepstack_layers.size()) {
  for (Merger& merger : deepstack_mergers_) merger.norm_after_merge = true;
}

absl::StatusOr<std::shared_ptr<const Qwen3VisionTower>> Qwen3VisionTower::Load(
    const Checkpoint& checkpoint, const JsonConfig& config, const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(Qwen3VisionConfig parsed, Qwen3VisionConfig::FromJson(config));
  auto tower = std::shared_ptr<Qwen3VisionTower>(new Qwen3VisionTower(std::move(parsed)));
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, tower->Parameters(), options));
  return std::shared_ptr<const Qwen3VisionTower>(std::move(tower));
}

void Qwen3VisionTower::ListMerger(const std::string& name, Merger& merger,
                                  ParameterList& list) const {
  const int64_t normed = merger.norm_after_merge ? config_.merged_size() : config_.hidden_size;
  list.push_back({name + "norm.weight", {normed}, Init::Ones(), &merger.norm.weight});
  list.push_back({name + "norm.bias", {normed}, Init::Zeros(), &merger.norm.bias});
  merger.fc1.List(name + "linear_fc1", config_.merged_size(), config_.merged_size(), list);
  merger.fc2.List(name + "linear_fc2", config_.out_hidden_size, config_.merged_size(), list);
}

ParameterList Qwen3VisionTower::Parameters() {
  const int64_t hidden = config_.hidden_size;
  const int64_t patch = config_.patch_size;

  ParameterList list;
  list.push_back({"patch_embed.proj.weight",
                  {hidden, 3, config_.temporal_patch_size, patch, patch},
                  Init::Normal(0.02),
                  &patch_proj_});
  list.push_back({"patch_embed.proj.bias", {hidden}, Init::Zeros(), &patch_bias_});
  list.push_back(
      {"pos_embed.weight", {config_.num_positions, hidden}, Init::Normal(0.02), &positions_});

  for (size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = blocks_[i];
    const std::string prefix = absl::StrCat("blocks.", i, ".");
    list.push_back({prefix + "norm1.weight", {hidden}, Init::Ones(), &block.norm1.weight});
    list.push_back({prefix + "norm1.bias", {hidden}, Init::Zeros(), &block.norm1.bias});
    list.push_back({prefix + "norm2.weight", {hidden}, Init::Ones(), &block.norm2.weight});
    list.push_back({prefix + "norm2.bias", {hidden}, Init::Zeros(), &block.norm2.bias});
    block.qkv.List(prefix + "attn.qkv", 3 * hidden, hidden, list);
    block.proj.List(prefix + "attn.proj", hidden, hidden, list);
    block.fc1.List(prefix + "mlp.linear_fc1", config_.intermediate_size, hidden, list);
    block.fc2.List(prefix + "mlp.linear_fc2", hidden, config_.intermediate_size, list);
  }

  ListMerger("merger.", merger_, list);
  for (size_t i = 0; i < deepstack_mergers_.size(); ++i) {
    ListMerger(absl::StrCat("deepstack_merger_list.", i, "."), deepstack_mergers_[i], list);
  }

  return list;
}

at::Tensor Qwen3VisionTower::Positions(absl::Span<const ImagePatches> images,
                                       const PatchGrid& grid) const {
  const int64_t side = config_.table_side();
  const Taps rows = TapsOf(grid.rows, ExtentPerPatch(images, &ImagePatches::grid_h), side);
  const Taps columns = TapsOf(grid.columns, ExtentPerPatch(images, &ImagePatches::grid_w), side);

  at::Tensor sum;
  for (size_t row = 0; row < 2; ++row) {
    for (size_t column = 0; column < 2; ++column) {
      const at::Tensor index =
          (rows.index[row] * side + columns.index[column]).to(positions_.device());
      const at::Tensor weight =
          (rows.weight[row] * columns.weight[column]).to(positions_.device()).unsqueeze(1);
      const at::Tensor part = at::embedding(positions_, index) * weight;
      sum = sum.defined() ? sum + part : part;
    }
  }
  return sum.to(positions_.scalar_type());
}

at::Tensor Qwen3VisionTower::RunBlock(const Block& block, const at::Tensor& x,
                                      const PatchRotation& rotate,
                                      const std::vector<int64_t>& lengths) const {
  const auto norm = [&](const Norm& of, const at::Tensor& values) {
    return at::layer_norm(values, {config_.hidden_size}, of.weight, of.bias, kVisionNormEps);
  };
  const at::Tensor y = x + block.proj(AttendSegments(block.qkv(norm(block.norm1, x)), rotate,
                                                     config_.num_heads, lengths));
  return y + block.fc2(Activate(block.fc1(norm(block.norm2, y)), config_.activation));
}

at::Tensor Qwen3VisionTower::Merge(const Merger& merger, const at::Tensor& x) const {
  const int64_t merged = config_.merged_size();
  const at::Tensor input = merger.norm_after_merge ? x.reshape({-1, merged}) : x;
  const at::Tensor normed =
      at::layer_norm(input, {input.size(1)}, merger.norm.weight, merger.norm.bias, kVisionNormEps);
  return merger.fc2(at::gelu(merger.fc1(normed.reshape({-1, merged}))));
}

VisionFeatures Qwen3VisionTower::Forward(absl::Span<const ImagePatches> images) const {
  const at::Device device = patch_proj_.device();
  const PatchGrid grid = GridOf(images, config_.merge_size);
  const PatchRotation rotate = RotationOf(grid, config_.head_dim(), config_.rope_theta, device);
  const std::vector<int64_t> frames = FrameLengths(images);
  const at::Tensor patches = StackPatches(images, patch_proj_.scalar_type(), device);
  at::Tensor x = at::linear(patches, patch_proj_.reshape({config_.hidden_size, -1}), patch_bias_) +
                 Positions(images, grid);

  VisionFeatures features;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = RunBlock(blocks_[i], x, rotate, frames);  // [patches, hidden]
    const std::vector<int64_t>& layers = config_.deepstack_layers;
    const auto tap = std::find(layers.begin(), layers.end(), static_cast<int64_t>(i));
    if (tap != layers.end())
      features.deepstack.push_back(
          Merge(deepstack_mergers_[static_cast<size_t>(tap - layers.begin())], x));
  }

  features.embeddings = Merge(merger_, x);
  return features;
}

}  // namespace palate::models
