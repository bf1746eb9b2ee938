#include "models/families/qwen2_5_vl/vision.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxWindow = 1 << 20;

absl::StatusOr<std::vector<bool>> ReadWholeImageLayers(const JsonConfig& config, int64_t depth) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> layers,
                          config.Doubles("fullatt_block_indexes"));
  std::vector<bool> result(static_cast<size_t>(depth), false);

  for (const double layer : layers) {
    if (!(layer >= 0) || layer != std::floor(layer)) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": fullatt_block_indexes names layer ", layer));
    }
    // The list may be the default of a deeper tower.
    if (layer < static_cast<double>(depth)) result[static_cast<size_t>(layer)] = true;
  }
  return result;
}

// Appends the windows of one frame of `rows` x `columns` merge blocks. `first` is the index of the
// frame's first block.
void AppendWindows(int64_t rows, int64_t columns, int64_t first, int64_t side,
                   int64_t patches_per_block, WindowOrder& order) {
  for (int64_t top = 0; top < rows; top += side) {
    for (int64_t left = 0; left < columns; left += side) {
      const int64_t bottom = std::min(top + side, rows);
      const int64_t right = std::min(left + side, columns);
      for (int64_t row = top; row < bottom; ++row) {
        for (int64_t column = left; column < right; ++column)
          order.blocks.push_back(first + row * columns + column);
      }

      order.lengths.push_back((bottom - top) * (right - left) * patches_per_block);
    }
  }
}

// The indices of the patches when merge blocks are in this order: int64 [patches].
at::Tensor PatchOrder(const std::vector<int64_t>& blocks, int64_t patches_per_block) {
  const at::Tensor starts = at::tensor(blocks, at::kLong).unsqueeze(1) * patches_per_block;
  return (starts + at::arange(patches_per_block, at::kLong)).reshape({-1});
}

}  // namespace

absl::StatusOr<Qwen25VisionConfig> Qwen25VisionConfig::FromJson(const JsonConfig& vision_config) {
  Qwen25VisionConfig config;
  PALATE_ASSIGN_OR_RETURN(static_cast<VisionShape&>(config), VisionShape::FromJson(vision_config));
  PALATE_ASSIGN_OR_RETURN(config.window_size, vision_config.IntIn("window_size", 1, kMaxWindow));

  if (config.window_blocks() < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        vision_config.source(), ": window_size (", config.window_size,
        ") is less than one merge block of ", config.merge_size * config.patch_size, " pixels"));
  }

  PALATE_ASSIGN_OR_RETURN(config.sees_whole_image,
                          ReadWholeImageLayers(vision_config, config.depth));
  return config;
}

WindowOrder WindowsOf(absl::Span<const ImagePatches> images, int64_t merge_size,
                      int64_t window_blocks) {
  WindowOrder order;
  int64_t first = 0;
  for (const ImagePatches& image : images) {
    const int64_t rows = image.grid_h / merge_size;
    const int64_t columns = image.grid_w / merge_size;
    for (int64_t frame = 0; frame < image.grid_t; ++frame) {
      AppendWindows(rows, columns, first, window_blocks, merge_size * merge_size, order);
      first += rows * columns;
    }
  }
  return order;
}

Qwen25VisionTower::Qwen25VisionTower(Qwen25VisionConfig config)
    : config_(std::move(config)), blocks_(static_cast<size_t>(config_.depth)) {}

absl::StatusOr<std::shared_ptr<const Qwen25VisionTower>> Qwen25VisionTower::Load(
    const Checkpoint& checkpoint, const JsonConfig& config, const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(Qwen25VisionConfig parsed, Qwen25VisionConfig::FromJson(config));
  auto tower = std::shared_ptr<Qwen25VisionTower>(new Qwen25VisionTower(std::move(parsed)));
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, tower->Parameters(), options));
  return std::shared_ptr<const Qwen25VisionTower>(std::move(tower));
}

ParameterList Qwen25VisionTower::Parameters() {
  const int64_t hidden = config_.hidden_size;
  const int64_t patch = config_.patch_size;

  ParameterList list;
  list.push_back({"patch_embed.proj.weight",
                  {hidden, 3, config_.temporal_patch_size, patch, patch},
                  Init::Normal(0.02),
                  &patch_proj_});

  for (size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = blocks_[i];
    const std::string prefix = absl::StrCat("blocks.", i, ".");
    list.push_back({prefix + "norm1.weight", {hidden}, Init::Ones(), &block.norm1});
    list.push_back({prefix + "norm2.weight", {hidden}, Init::Ones(), &block.norm2});
    block.qkv.List(prefix + "attn.qkv", 3 * hidden, hidden, list);
    block.proj.List(prefix + "attn.proj", hidden, hidden, list);
    block.gate.List(prefix + "mlp.gate_proj", config_.intermediate_size, hidden, list);
    block.up.List(prefix + "mlp.up_proj", config_.intermediate_size, hidden, list);
    block.down.List(prefix + "mlp.down_proj", hidden, config_.intermediate_size, list);
  }

  list.push_back({"merger.ln_q.weight", {hidden}, Init::Ones(), &merger_norm_});
  merger_in_.List("merger.mlp.0", config_.merged_size(), config_.merged_size(), list);
  merger_out_.List("merger.mlp.2", config_.out_hidden_size, config_.merged_size(), list);

  return list;
}

at::Tensor Qwen25VisionTower::RunBlock(const Block& block, const at::Tensor& x,
                                       const PatchRotation& rotate,
                                       const std::vector<int64_t>& lengths) const {
  const at::Tensor attended =
      AttendSegments(block.qkv(at::rms_norm(x, {config_.hidden_size}, block.norm1, kVisionNormEps)),
                     rotate, config_.num_heads, lengths);
  const at::Tensor y = x + block.proj(attended);

  const at::Tensor normed = at::rms_norm(y, {config_.hidden_size}, block.norm2, kVisionNormEps);
  return y + block.down(Activate(block.gate(normed), config_.activation) * block.up(normed));
}

VisionFeatures Qwen25VisionTower::Forward(absl::Span<const ImagePatches> images) const {
  const at::Device device = patch_proj_.device();
  const int64_t merge_unit = config_.merge_size * config_.merge_size;
  const std::vector<int64_t> frames = FrameLengths(images);
  const WindowOrder windows = WindowsOf(images, config_.merge_size, config_.window_blocks());

  // All layers compute in window order. Whole-image attention does not depend on the order, because
  // positions are encoded in the queries and keys, and the patches of a frame stay together.
  const at::Tensor order = PatchOrder(windows.blocks, merge_unit).to(device);
  const PatchRotation rotate =
      RotationOf(GridOf(images, config_.merge_size), config_.head_dim(), config_.rope_theta, device)
          .Select(order);

  const at::Tensor patches =
      StackPatches(images, patch_proj_.scalar_type(), device).index_select(0, order);
  // [patches, hidden]
  at::Tensor x = at::linear(patches, patch_proj_.reshape({config_.hidden_size, -1}));

  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = RunBlock(blocks_[i], x, rotate, config_.sees_whole_image[i] ? frames : windows.lengths);
  }

  const at::Tensor normed = at::rms_norm(x, {config_.hidden_size}, merger_norm_, kVisionNormEps)
                                .reshape({-1, config_.merged_size()});
  const at::Tensor merged = merger_out_(at::gelu(merger_in_(normed)));

  const at::Tensor back = at::argsort(at::tensor(windows.blocks, at::kLong)).to(device);
  return {.embeddings = merged.index_select(0, back), .deepstack = {}};
}

}  // namespace palate::models
