#include "models/families/conse/conse_head.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

constexpr int64_t kFormat = 1;
constexpr int64_t kMaxDimensions = 1 << 16;
constexpr int64_t kMaxClasses = 1 << 20;
constexpr int64_t kFeatures = EfficientNetLiteConfig::kFeatures;

// Where a thing is in a picture tells kinds apart, left and right do not: rows of the middle column
// and of the mean of the outer columns.
constexpr int64_t kGridSide = 3;
constexpr int64_t kGridColumns = 2;

at::Tensor Unit(const at::Tensor& rows) {
  return rows / at::clamp_min(rows.norm(2, {1}, /*keepdim=*/true), 1e-12);
}

absl::StatusOr<const nlohmann::json*> NonEmptyList(const JsonConfig& config, const char* key) {
  if (!config.Has(key) || !config.json().at(key).is_array() || config.json().at(key).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": \"", key, "\" is not a list with at least one element"));
  }
  return &config.json().at(key);
}

absl::StatusOr<std::vector<std::string>> Words(const JsonConfig& config, const char* key) {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* const list, NonEmptyList(config, key));
  std::vector<std::string> words;
  for (const nlohmann::json& word : *list) {
    if (!word.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": \"", key, "\" has an element that is not a text"));
    }
    words.push_back(word.get<std::string>());
  }
  return words;
}

absl::StatusOr<ColorWord> ReadColor(const JsonConfig& json) {
  ColorWord color;
  PALATE_ASSIGN_OR_RETURN(color.word, json.String("word"));
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* const prototypes, NonEmptyList(json, "prototypes"));
  for (const nlohmann::json& prototype : *prototypes) {
    const JsonConfig one(nlohmann::json{{"prototypes", prototype}}, json.source());
    PALATE_ASSIGN_OR_RETURN(const std::vector<double> values, one.Doubles("prototypes"));
    if (values.size() != 3) {
      return absl::InvalidArgumentError(
          absl::StrCat(json.source(), ": a prototype does not have 3 numbers"));
    }
    color.prototypes.push_back({values[0], values[1], values[2]});
  }
  return color;
}

absl::StatusOr<std::vector<ColorWord>> ReadColors(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json* const list, NonEmptyList(config, "colors"));
  std::vector<ColorWord> colors;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string source = absl::StrCat(config.source(), ": colors[", i, "]");
    if (!list->at(i).is_object())
      return absl::InvalidArgumentError(absl::StrCat(source, " is not an object"));
    PALATE_ASSIGN_OR_RETURN(colors.emplace_back(), ReadColor(JsonConfig(list->at(i), source)));
  }
  return colors;
}

absl::StatusOr<double> NumberAbove(const JsonConfig& config, const char* key, double least) {
  PALATE_ASSIGN_OR_RETURN(const double value, config.Double(key));
  if (value > least) return value;
  return absl::InvalidArgumentError(
      absl::StrCat(config.source(), ": ", key, " ", value, " is not above ", least));
}

// [batch, 1280, 3, 3] to the square roots of [batch, 2 * 1280 * 3], rows fastest.
at::Tensor KindFeatures(const at::Tensor& grid) {
  const at::Tensor middle = grid.select(3, 1);
  const at::Tensor outer = (grid.select(3, 0) + grid.select(3, 2)) / 2;
  return at::cat({middle.flatten(1), outer.flatten(1)}, 1).sqrt();
}

}  // namespace

absl::StatusOr<ConseHeadConfig> ConseHeadConfig::FromJson(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("model_type"));
  if (type != "conse_head") {
    return absl::UnimplementedError(absl::StrCat(config.source(), ": model_type ",
                                                 QuoteForMessage(type), " is not conse_head"));
  }
  PALATE_RETURN_IF_ERROR(config.IntIn("format", kFormat, kFormat).status());

  ConseHeadConfig result;
  PALATE_ASSIGN_OR_RETURN(result.dimensions, config.IntIn("dimensions", 1, kMaxDimensions));
  PALATE_ASSIGN_OR_RETURN(result.num_classes, config.IntIn("num_classes", 1, kMaxClasses));
  PALATE_ASSIGN_OR_RETURN(result.temperature, NumberAbove(config, "temperature", 0));
  PALATE_ASSIGN_OR_RETURN(result.class_share, NumberAbove(config, "class_share", 0));
  PALATE_ASSIGN_OR_RETURN(result.detail_components,
                          config.IntIn("detail_components", 1, result.dimensions));
  PALATE_ASSIGN_OR_RETURN(result.color_softness, NumberAbove(config, "color_softness", 0));
  PALATE_ASSIGN_OR_RETURN(result.kinds, Words(config, "kinds"));
  PALATE_ASSIGN_OR_RETURN(result.colors, ReadColors(config));
  PALATE_ASSIGN_OR_RETURN(result.patterns, Words(config, "patterns"));
  return result;
}

absl::StatusOr<std::shared_ptr<const ConseHead>> ConseHead::Load(const Checkpoint& checkpoint,
                                                                 const LoadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(ConseHeadConfig config, ConseHeadConfig::FromJson(checkpoint.config()));
  absl::StatusOr<ColorWords> colors = ColorWords::Create(config.colors, config.color_softness);
  if (!colors.ok()) return Annotate(colors.status(), checkpoint.config().source());

  std::shared_ptr<ConseHead> head(new ConseHead(std::move(config), *std::move(colors)));
  LoadOptions load;
  load.device = options.device;
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, head->Parameters(), load));
  return head;
}

ParameterList ConseHead::Parameters() {
  const auto kinds = static_cast<int64_t>(config_.kinds.size());
  const auto colors = static_cast<int64_t>(config_.colors.size());
  const auto patterns = static_cast<int64_t>(config_.patterns.size());
  const int64_t classes = config_.num_classes;
  const int64_t dimensions = config_.dimensions;

  ParameterList list;
  const auto add = [&](const char* name, std::vector<int64_t> shape, at::Tensor& tensor) {
    list.push_back({.name = name, .shape = std::move(shape), .init = {}, .tensor = &tensor});
  };
  add("class_vectors", {classes, dimensions}, class_vectors_);
  add("class_familiarity", {classes}, class_familiarity_);
  add("kind_weight", {kinds, kGridColumns * kGridSide * kFeatures}, kind_weight_);
  add("kind_bias", {kinds}, kind_bias_);
  add("kind_vectors", {kinds, dimensions}, kind_vectors_);
  add("color_vectors", {colors, dimensions}, color_vectors_);
  add("pattern_weight", {patterns, kFeatures}, pattern_weight_);
  add("pattern_bias", {patterns}, pattern_bias_);
  add("pattern_vectors", {patterns, dimensions}, pattern_vectors_);
  add("drawing_weight", {dimensions, kFeatures + colors}, drawing_weight_);
  add("drawing_bias", {dimensions}, drawing_bias_);
  add("drawing_gate_weight", {kFeatures}, drawing_gate_weight_);
  add("drawing_gate_bias", {1}, drawing_gate_bias_);
  add("detail_weight", {config_.detail_components, kFeatures}, detail_weight_);
  add("detail_bias", {config_.detail_components}, detail_bias_);
  add("detail_directions", {dimensions, config_.detail_components}, detail_directions_);
  return list;
}

at::Tensor ConseHead::Embed(const at::Tensor& feature_map, const at::Tensor& logits,
                            const at::Tensor& color_shares) const {
  const at::TensorOptions place = class_vectors_.options();
  const at::Tensor map = feature_map.to(place);
  const at::Tensor grid = at::adaptive_avg_pool2d(map, {kGridSide, kGridSide});
  const at::Tensor features = map.mean({2, 3}).sqrt();
  const at::Tensor colors = color_shares.to(place);

  const at::Tensor photograph = Photograph(grid, logits.to(place), colors, features);
  const at::Tensor drawing =
      Unit(at::linear(at::cat({features, colors.sqrt()}, 1), drawing_weight_, drawing_bias_));

  // The share of a drawing: 0 for a photograph, 1 for a drawing, and seldom between.
  const at::Tensor drawn =
      at::sigmoid(at::linear(features, drawing_gate_weight_.unsqueeze(0), drawing_gate_bias_));
  return AddLook(Unit((1 - drawn) * photograph + drawn * drawing), features);
}

// The look gets what length the words had in its directions, so that the rest keeps its own.
at::Tensor ConseHead::AddLook(const at::Tensor& words, const at::Tensor& features) const {
  const at::Tensor aside = at::matmul(words, detail_directions_);
  const at::Tensor look = Unit(at::linear(features, detail_weight_, detail_bias_));
  const at::Tensor length = aside.norm(2, {1}, /*keepdim=*/true);
  return Unit(words + at::matmul(length * look - aside, detail_directions_.t()));
}

at::Tensor ConseHead::Photograph(const at::Tensor& grid, const at::Tensor& logits,
                                 const at::Tensor& color_shares, const at::Tensor& features) const {
  const at::Tensor patterns = at::sigmoid(at::linear(features, pattern_weight_, pattern_bias_));
  return Unit(Subject(grid, logits) + at::matmul(color_shares, color_vectors_) +
              at::matmul(patterns, pattern_vectors_));
}

// What the picture shows, without colors and patterns.
at::Tensor ConseHead::Subject(const at::Tensor& grid, const at::Tensor& logits) const {
  const at::Tensor classes = at::softmax(logits / config_.temperature, 1);
  const at::Tensor by_class = Unit(at::matmul(classes, class_vectors_));
  const at::Tensor familiarity = at::matmul(classes, class_familiarity_.unsqueeze(1));

  // A picture may show none of the kinds, or several; together they count at most once.
  at::Tensor kinds = at::sigmoid(at::linear(KindFeatures(grid), kind_weight_, kind_bias_));
  kinds = kinds / at::clamp_min(kinds.sum(1, /*keepdim=*/true), 1);

  return Unit(familiarity * at::matmul(kinds, kind_vectors_) +
              (1 + config_.class_share - familiarity) * by_class);
}

}  // namespace palate::models
