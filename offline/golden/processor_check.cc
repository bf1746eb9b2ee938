#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/image/processor.h"
#include "models/image/vl_processor.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"
#include "offline/golden/pixel_compare.h"

namespace palate::golden {
namespace {

// One gray level, because the reference rounds when it blends.
constexpr double kBlendTolerance = 1;

// Compares our decoded pixels with the stored ones, and returns the stored ones, which are the
// input of the processors.
absl::StatusOr<models::Image> CompareDecoded(Fixture& fixture, Report& report,
                                             const std::string& name, const JsonNode& facts) {
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor("decoded/" + name));
  PALATE_ASSIGN_OR_RETURN(const std::string encoded, fixture.InputFile(name));
  PALATE_ASSIGN_OR_RETURN(const models::ImageHeader header, models::ReadImageHeader(encoded));
  PALATE_ASSIGN_OR_RETURN(const models::Image image, models::DecodeImage(encoded));
  PALATE_ASSIGN_OR_RETURN(const auto stored_size, facts.Ids("stored_size_wh"));
  PALATE_ASSIGN_OR_RETURN(const auto upright_size, facts.Ids("upright_size_wh"));
  PALATE_ASSIGN_OR_RETURN(const bool transparent, facts.Bool("alpha_on_white"));
  facts.Ignore("mode");

  CompareIds(report, absl::StrCat(name, " size"),
             {header.width, header.height, image.width, image.height},
             {stored_size[0], stored_size[1], upright_size[0], upright_size[1]});

  const at::Tensor actual = PixelTensor(image);
  CompareTensor(report, "decoded/" + name, actual, expected, 0);

  const std::string dropped_name = "decoded_alpha_dropped/" + name;
  if (transparent != fixture.HasTensor(dropped_name))
    return absl::InvalidArgumentError(absl::StrCat(dropped_name, " disagrees with alpha_on_white"));
  if (transparent) {
    // Blending with white makes no pixel darker.
    PALATE_ASSIGN_OR_RETURN(const at::Tensor dropped, fixture.Tensor(dropped_name));
    const double darker = (dropped.to(at::kDouble) - actual.to(at::kDouble)).max().item<double>();
    report.AtMost(dropped_name, "composite darker by", std::max(0.0, darker), kBlendTolerance);
  }
  return ImageOfPixels(expected);
}

using Pictures = std::map<std::string, models::Image>;

absl::Status ComparePatches(Fixture& fixture, Report& report, const std::string& key,
                            const models::VlImageProcessor& processor, const models::Image& image,
                            const JsonNode& facts) {
  PALATE_ASSIGN_OR_RETURN(const models::ImagePatches actual, processor.Process(image));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels, fixture.Tensor(key + "/pixel_values"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor grid, fixture.Tensor(key + "/image_grid_thw"));
  PALATE_ASSIGN_OR_RETURN(const auto shape, facts.Ids("shape"));
  PALATE_ASSIGN_OR_RETURN(const auto written_grid, facts.Ids("grid_thw"));

  const std::vector<int64_t> actual_grid = {actual.grid_t, actual.grid_h, actual.grid_w};
  CompareTensor(report, key + "/pixel_values", actual.pixel_values, pixels, kPixelTolerance);
  CompareExact(report, key + "/image_grid_thw", IdTensor(actual_grid).unsqueeze(0), grid);
  CompareIds(report, key + " grid_thw", actual_grid, written_grid);
  CompareIds(report, key + " shape", actual.pixel_values.sizes().vec(), shape);
  return absl::OkStatus();
}

absl::Status CompareFixedSize(Fixture& fixture, Report& report, const std::string& key,
                              const models::ImageProcessor& processor, const models::Image& image,
                              const JsonNode& facts) {
  PALATE_ASSIGN_OR_RETURN(at::Tensor actual, processor.Process(image));
  actual = actual.unsqueeze(0);
  PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels, fixture.Tensor(key + "/pixel_values"));
  PALATE_ASSIGN_OR_RETURN(const auto shape, facts.Ids("shape"));

  CompareTensor(report, key + "/pixel_values", actual, pixels, kPixelTolerance);
  CompareIds(report, key + " shape", actual.sizes().vec(), shape);

  const std::string other_name = key + "/pixel_values_pil_backend";
  if (!fixture.HasTensor(other_name)) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const at::Tensor other, fixture.Tensor(other_name));
  CompareOtherBackend(report, other_name, actual, other, processor.config());
  return absl::OkStatus();
}

absl::Status CompareProcessor(Fixture& fixture, Report& report, const std::string& name,
                              const Pictures& pictures, const JsonNode& facts) {
  const std::string folder = absl::StrCat(fixture.checkpoint(), "/", name);
  PALATE_ASSIGN_OR_RETURN(const JsonNode images, facts.At("images"));
  // The names of the reference's classes; our class follows from preprocessor_config.json.
  facts.Ignore("image_processor");
  facts.Ignore("pil_processor");

  const absl::StatusOr<models::VlImageProcessor> patches = models::VlImageProcessor::Load(folder);
  if (!patches.ok() && !absl::IsUnimplemented(patches.status())) return patches.status();

  for (const auto& [picture, image] : pictures) {
    PALATE_ASSIGN_OR_RETURN(const JsonNode picture_facts, images.At(picture));
    picture_facts.Ignore("max_abs_diff_pil_backend");

    const std::string key = absl::StrCat(name, "/", picture);
    if (patches.ok()) {
      PALATE_RETURN_IF_ERROR(ComparePatches(fixture, report, key, *patches, image, picture_facts));
      continue;
    }
    PALATE_ASSIGN_OR_RETURN(const auto processor, models::ImageProcessor::Load(folder));
    PALATE_RETURN_IF_ERROR(CompareFixedSize(fixture, report, key, processor, image, picture_facts));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckProcessors(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto names, fixture.inputs().Strings("images"));
  PALATE_ASSIGN_OR_RETURN(const auto processors, fixture.inputs().Strings("processors"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode image_facts, fixture.expected().At("images"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode processor_facts, fixture.expected().At("processors"));

  Pictures pictures;
  for (const std::string& name : names) {
    PALATE_ASSIGN_OR_RETURN(const JsonNode facts, image_facts.At(name));
    PALATE_ASSIGN_OR_RETURN(pictures[name], CompareDecoded(fixture, report, name, facts));
  }

  for (const std::string& processor : processors) {
    PALATE_ASSIGN_OR_RETURN(const JsonNode facts, processor_facts.At(processor));
    const absl::Status status = CompareProcessor(fixture, report, processor, pictures, facts);
    if (!status.ok()) report.Fail(processor, status);
  }
  return absl::OkStatus();
}

}  // namespace palate::golden
