#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/checkpoint.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"

namespace palate::golden {
namespace {

struct NamedPooling {
  const char* tensor;
  models::VitPooling pooling;
};
// The vectors that a fixture may hold; a tower with a projection has image_embeds.
constexpr NamedPooling kPoolings[] = {{"image_embeds", models::VitPooling::kCls},
                                      {"pooled_cls", models::VitPooling::kCls},
                                      {"pooled_mean", models::VitPooling::kMean}};

// The vectors of the pictures, computed one by one.
at::Tensor Singles(const models::VitModel& model, const at::Tensor& pixels,
                   models::VitPooling pooling) {
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < pixels.size(0); ++i)
    rows.push_back(model.Embed(pixels.narrow(0, i, 1), pooling));
  return at::cat(rows);
}

}  // namespace

absl::Status CheckImageTower(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto names, fixture.inputs().Strings("tower_images"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode size_list, fixture.expected().At("image_sizes_wh"));
  PALATE_ASSIGN_OR_RETURN(const models::Checkpoint checkpoint,
                          models::Checkpoint::Open(fixture.checkpoint()));
  PALATE_ASSIGN_OR_RETURN(const auto model, models::VitModel::Load(checkpoint));
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
  CompareTensor(report, "last_hidden_state", model->Forward(pixels), expected_states,
                kStateTolerance);

  int compared = 0;
  for (const NamedPooling& pooling : kPoolings) {
    if (!fixture.HasTensor(pooling.tensor)) continue;
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(pooling.tensor));
    const at::Tensor batch = model->Embed(pixels, pooling.pooling);
    CompareVectors(report, pooling.tensor, batch, expected);
    CompareTensor(report,
                  absl::StrCat(pooling.tensor, " batch of ", names.size(), " equals singles"),
                  batch, Singles(*model, pixels, pooling.pooling), kVectorTolerance);
    ++compared;
  }

  if (compared == 0)
    return absl::NotFoundError(
        "expected.safetensors holds no vector: image_embeds, pooled_cls or pooled_mean");
  return absl::OkStatus();
}

}  // namespace palate::golden
