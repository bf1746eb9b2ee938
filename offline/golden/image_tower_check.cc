#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/families/efficientnet/efficientnet.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "models/registry.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"

namespace palate::golden {
namespace {

// A tower of any family.
struct Tower {
  std::function<at::Tensor(const at::Tensor& pixels)> states;
  // The vectors that a fixture may hold, by the name of their tensor.
  std::map<std::string, std::function<at::Tensor(const at::Tensor& pixels)>> vectors;
  // Of the pooled vectors; undefined without a classifier.
  std::function<at::Tensor(const at::Tensor& vectors)> logits;
};

absl::StatusOr<Tower> LoadVit(const models::Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const auto model, models::VitModel::Load(checkpoint));
  const auto embed = [model](models::VitPooling pooling) {
    return [model, pooling](const at::Tensor& pixels) { return model->Embed(pixels, pooling); };
  };

  Tower tower;
  tower.states = [model](const at::Tensor& pixels) { return model->Forward(pixels); };
  // A tower with a projection has image_embeds.
  tower.vectors = {{"image_embeds", embed(models::VitPooling::kCls)},
                   {"pooled_cls", embed(models::VitPooling::kCls)},
                   {"pooled_mean", embed(models::VitPooling::kMean)}};
  return tower;
}

absl::StatusOr<Tower> LoadEfficientNetLite(const models::Checkpoint& checkpoint) {
  PALATE_ASSIGN_OR_RETURN(const auto model, models::EfficientNetLite::Load(checkpoint));
  const auto features = [model](const at::Tensor& pixels) { return model->Features(pixels); };

  Tower tower;
  tower.states = [model](const at::Tensor& pixels) { return model->FeatureMap(pixels); };
  tower.vectors = {{"pooled_mean", features}};
  if (model->config().num_labels > 0)
    tower.logits = [model](const at::Tensor& vectors) { return model->Logits(vectors); };
  return tower;
}

absl::StatusOr<Tower> LoadTower(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint, models::Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family,
                          models::FindModelFamily(checkpoint.config()));
  return family == models::ModelFamily::kEfficientNetLite ? LoadEfficientNetLite(checkpoint)
                                                          : LoadVit(checkpoint);
}

// The vectors of the pictures, computed one by one.
at::Tensor Singles(const std::function<at::Tensor(const at::Tensor&)>& embed,
                   const at::Tensor& pixels) {
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < pixels.size(0); ++i) rows.push_back(embed(pixels.narrow(0, i, 1)));
  return at::cat(rows);
}

}  // namespace

absl::Status CheckImageTower(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto names, fixture.inputs().Strings("tower_images"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode size_list, fixture.expected().At("image_sizes_wh"));
  PALATE_ASSIGN_OR_RETURN(const Tower tower, LoadTower(fixture.checkpoint()));
  PALATE_ASSIGN_OR_RETURN(const auto processor, models::ImageProcessor::Load(fixture.checkpoint()));

  std::vector<at::Tensor> pictures;
  std::vector<std::vector<int64_t>> sizes;
  for (const std::string& name : names) {
    PALATE_ASSIGN_OR_RETURN(const models::Image image, fixture.Picture(name));
    sizes.push_back({image.width, image.height});
    PALATE_ASSIGN_OR_RETURN(pictures.emplace_back(), processor.Process(image));
  }

  const at::Tensor pixels = at::stack(pictures);
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_pixels, fixture.Tensor("pixel_values"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_states, fixture.Tensor("last_hidden_state"));

  report.Add(sizes == size_list.Take().get<std::vector<std::vector<int64_t>>>(), "image_sizes_wh",
             absl::StrCat(sizes.size(), " pictures"));
  CompareTensor(report, "pixel_values", pixels, expected_pixels, kPixelTolerance);
  CompareTensor(report, "last_hidden_state", tower.states(pixels), expected_states,
                kStateTolerance);

  int compared = 0;
  for (const auto& [name, embed] : tower.vectors) {
    if (!fixture.HasTensor(name)) continue;
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(name));
    const at::Tensor batch = embed(pixels);
    CompareVectors(report, name, batch, expected);
    CompareTensor(report, absl::StrCat(name, " batch of ", names.size(), " equals singles"), batch,
                  Singles(embed, pixels), kVectorTolerance);
    ++compared;

    if (!tower.logits) continue;
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_logits, fixture.Tensor("logits"));
    CompareTensor(report, "logits", tower.logits(batch), expected_logits, kStateTolerance);
  }

  if (compared == 0)
    return absl::NotFoundError(
        "expected.safetensors holds no vector: image_embeds, pooled_cls or pooled_mean");
  return absl::OkStatus();
}

}  // namespace palate::golden
