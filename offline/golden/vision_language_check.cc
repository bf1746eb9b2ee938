#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/golden/checks.h"
#include "offline/golden/compare.h"
#include "offline/golden/language_model.h"
#include "offline/golden/pictures.h"

namespace palate::golden {
namespace {

// The names of the pictures in the order of the messages.
std::vector<std::string> PictureNames(const Json& messages) {
  std::vector<std::string> names;
  for (const Json& message : messages) {
    if (!message.contains("content") || !message["content"].is_array()) continue;
    for (const Json& part : message["content"]) {
      if (part.contains("image") && part["image"].is_string())
        names.push_back(part["image"].get<std::string>());
    }
  }
  return names;
}

// One case, prepared as inputs of our model.
struct VlCase {
  std::string name;
  std::string prompt;
  models::LmSequence sequence;
  std::vector<models::Image> pictures;
};

absl::StatusOr<VlCase> Prepare(const Fixture& fixture, const models::CausalLm& model,
                               const JsonNode& input) {
  VlCase result;
  PALATE_ASSIGN_OR_RETURN(result.name, input.String("name"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode messages, input.At("messages"));

  if (model.chat_template() == nullptr)
    return absl::NotFoundError("the checkpoint has no chat template");

  Json context = Json::object();
  if (input.Has("kwargs")) {
    PALATE_ASSIGN_OR_RETURN(const JsonNode kwargs, input.At("kwargs"));
    context = kwargs.Take();
  }
  if (!context.contains("add_generation_prompt")) context["add_generation_prompt"] = true;
  context["messages"] = messages.Take();
  PALATE_ASSIGN_OR_RETURN(result.prompt, model.chat_template()->Render(context));

  for (const std::string& picture : PictureNames(messages.Take())) {
    PALATE_ASSIGN_OR_RETURN(result.pictures.emplace_back(), fixture.Picture(picture));
    PALATE_ASSIGN_OR_RETURN(result.sequence.images.emplace_back(),
                            model.image_processor()->Process(result.pictures.back()));
  }

  PALATE_ASSIGN_OR_RETURN(const auto encoded, model.tokenizer().Encode(result.prompt));
  PALATE_ASSIGN_OR_RETURN(result.sequence.ids,
                          model.ExpandImages(encoded.ids, result.sequence.images));
  PALATE_RETURN_IF_ERROR(model.Check(result.sequence));
  return result;
}

// Compares the inputs of the model: prompt, ids, sizes, grids, patches.
absl::Status CompareInputs(Fixture& fixture, Report& report, const VlCase& test,
                           const JsonNode& answer) {
  PALATE_ASSIGN_OR_RETURN(const std::string prompt, answer.String("prompt"));
  PALATE_ASSIGN_OR_RETURN(const auto ids, answer.Ids("input_ids"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode grid_list, answer.At("image_grid_thw"));
  PALATE_ASSIGN_OR_RETURN(const JsonNode size_list, answer.At("image_sizes_wh"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor id_tensor, fixture.Tensor(test.name + ".input_ids"));
  CompareText(report, test.name + " prompt", test.prompt, prompt);
  CompareIds(report, test.name + " input_ids", test.sequence.ids, ids);
  CompareExact(report, test.name + ".input_ids", IdTensor(test.sequence.ids), id_tensor);

  std::vector<std::vector<int64_t>> sizes, grids;
  std::vector<int64_t> flat_grids;
  for (const models::Image& picture : test.pictures)
    sizes.push_back({picture.width, picture.height});
  for (const models::ImagePatches& image : test.sequence.images) {
    grids.push_back({image.grid_t, image.grid_h, image.grid_w});
    flat_grids.insert(flat_grids.end(), grids.back().begin(), grids.back().end());
  }

  report.Add(sizes == size_list.Take().get<TokenLists>(), test.name + " image_sizes_wh",
             absl::StrCat(sizes.size(), " pictures"));
  report.Add(grids == grid_list.Take().get<TokenLists>(), test.name + " image_grid_thw",
             absl::StrCat(grids.size(), " pictures"));

  if (test.pictures.empty()) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const at::Tensor grid_tensor,
                          fixture.Tensor(test.name + ".image_grid_thw"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor expected_pixels,
                          fixture.Tensor(test.name + ".pixel_values"));
  std::vector<at::Tensor> pixels;
  for (const models::ImagePatches& image : test.sequence.images)
    pixels.push_back(image.pixel_values);

  CompareExact(report, test.name + ".image_grid_thw", IdTensor(flat_grids).view({-1, 3}),
               grid_tensor);
  CompareTensor(report, test.name + ".pixel_values", at::cat(pixels), expected_pixels,
                kPixelTolerance);
  return absl::OkStatus();
}

absl::Status CompareVision(Fixture& fixture, Report& report, const models::CausalLm& model,
                           const VlCase& test) {
  if (test.pictures.empty()) return absl::OkStatus();
  const models::VisionFeatures features = model.ImageFeatures({test.sequence});
  PALATE_ASSIGN_OR_RETURN(const at::Tensor embeddings, fixture.Tensor(test.name + ".image_embeds"));
  CompareVectors(report, test.name + ".image_embeds", features.embeddings, embeddings);
  for (size_t level = 0; level < features.deepstack.size(); ++level) {
    const std::string name = absl::StrCat(test.name, ".deepstack.", level);
    PALATE_ASSIGN_OR_RETURN(const at::Tensor expected, fixture.Tensor(name));
    CompareTensor(report, name, features.deepstack[level], expected, kStateTolerance);
  }
  return absl::OkStatus();
}

absl::Status CompareStates(Fixture& fixture, Report& report, const models::CausalLm& model,
                           const VlCase& test, const JsonNode& answer) {
  PALATE_ASSIGN_OR_RETURN(const at::Tensor positions, fixture.Tensor(test.name + ".position_ids"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor logits, fixture.Tensor(test.name + ".logits"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor last_hidden, fixture.Tensor(test.name + ".last_hidden"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor embedding, fixture.Tensor(test.name + ".embedding"));
  PALATE_ASSIGN_OR_RETURN(const int64_t rope_delta, answer.Int("rope_delta"));

  const at::Tensor actual_positions = model.Positions(test.sequence);
  const at::Tensor states = model.Hidden({test.sequence});
  const at::Tensor last = states.select(0, states.size(0) - 1);

  CompareExact(report, test.name + ".position_ids", actual_positions, positions);
  // The position after the last token, minus the number of tokens.
  const int64_t delta =
      actual_positions.max().item<int64_t>() + 1 - static_cast<int64_t>(test.sequence.ids.size());
  CompareIds(report, test.name + " rope_delta", {delta}, {rope_delta});
  CompareTensor(report, test.name + ".logits", model.decoder().Logits(states), logits,
                kStateTolerance);
  CompareTensor(report, test.name + ".last_hidden", last, last_hidden, kStateTolerance);
  CompareVectors(report, test.name + ".embedding", last / last.norm(), embedding);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckVisionLanguage(Fixture& fixture, Report& report) {
  PALATE_ASSIGN_OR_RETURN(const auto cases, fixture.inputs().List("cases"));
  PALATE_ASSIGN_OR_RETURN(const auto answers, fixture.expected().List("cases"));
  PALATE_ASSIGN_OR_RETURN(const auto model, fixture.LanguageModel());
  if (cases.size() != answers.size())

    return absl::InvalidArgumentError("expected.json: cases answers another number of cases");

  int64_t new_tokens = 0;
  if (fixture.inputs().Has("greedy_new_tokens")) {
    PALATE_ASSIGN_OR_RETURN(new_tokens, fixture.inputs().Int("greedy_new_tokens"));
  }
  // The name of the reference's class; our class follows from preprocessor_config.json.
  fixture.expected().Ignore("image_processor");

  std::vector<models::LmSequence> sequences;
  for (size_t i = 0; i < cases.size(); ++i) {
    PALATE_ASSIGN_OR_RETURN(const VlCase test, Prepare(fixture, *model, cases[i]));
    PALATE_ASSIGN_OR_RETURN(const std::string answered, answers[i].String("name"));
    if (answered != test.name)
      return absl::InvalidArgumentError(
          absl::StrCat("expected.json: cases/", i, " answers another case"));
    PALATE_RETURN_IF_ERROR(CompareInputs(fixture, report, test, answers[i]));
    PALATE_RETURN_IF_ERROR(CompareVision(fixture, report, *model, test));
    PALATE_RETURN_IF_ERROR(CompareStates(fixture, report, *model, test, answers[i]));

    if (answers[i].Has("new_ids")) {
      PALATE_RETURN_IF_ERROR(
          CompareGreedy(report, test.name, *model, test.sequence, new_tokens, answers[i]));
    }
    sequences.push_back(test.sequence);
  }

  CompareBatchWithSingles(report, *model, sequences);
  return absl::OkStatus();
}

}  // namespace palate::golden
