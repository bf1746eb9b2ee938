#include "models/causal_lm/causal_lm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/checkpoint.h"
#include "models/families.h"
#include "models/families/qwen2_5_vl/qwen2_5_vl_config.h"
#include "models/families/qwen2_5_vl/vision.h"
#include "models/families/qwen3_vl/qwen3_vl_config.h"
#include "models/families/qwen3_vl/vision.h"
#include "models/families/qwen_vl/tensor_names.h"

namespace palate::models {
namespace {

// A vision-language family: the reader of its config and the loader of its tower.
struct VlFamily {
  ModelFamily family;
  absl::StatusOr<VlConfig> (*read_config)(const JsonConfig& config);
  absl::StatusOr<std::shared_ptr<const VisionTower>> (*load_tower)(const Checkpoint& checkpoint,
                                                                   const JsonConfig& vision_config,
                                                                   const LoadOptions& options);
};

template <typename Tower>
absl::StatusOr<std::shared_ptr<const VisionTower>> LoadTower(const Checkpoint& checkpoint,
                                                             const JsonConfig& vision_config,
                                                             const LoadOptions& options) {
  return Tower::Load(checkpoint, vision_config, options);
}

constexpr std::array<VlFamily, 2> kVlFamilies = {
    {{ModelFamily::kQwen25Vl, ReadQwen25VlConfig, LoadTower<Qwen25VisionTower>},
     {ModelFamily::kQwen3Vl, ReadQwen3VlConfig, LoadTower<Qwen3VisionTower>}}};

const VlFamily* FindVlFamily(ModelFamily family) {
  const auto row = std::find_if(kVlFamilies.begin(), kVlFamilies.end(),
                                [&](const VlFamily& entry) { return entry.family == family; });
  return row == kVlFamilies.end() ? nullptr : &*row;
}

// Checks that tower, decoder and image processor of one folder use the same patches and sizes.
absl::Status CheckParts(const std::string& folder, const VisionTower& tower,
                        const DecoderConfig& decoder, const VlProcessorConfig& processor) {
  if (tower.out_hidden_size() != decoder.hidden_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the vision tower's out_hidden_size (", tower.out_hidden_size(),
                     ") is not the decoder's hidden_size (", decoder.hidden_size, ")"));
  }

  const int64_t values =
      3 * processor.temporal_patch_size * processor.patch_size * processor.patch_size;
  if (values != tower.patch_values() || processor.merge_size != tower.merge_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the image processor cuts patches of ", values,
                     " values in blocks of ", processor.merge_size, ", the vision tower expects ",
                     tower.patch_values(), " in blocks of ", tower.merge_size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const ChatTemplate>> LoadChatTemplate(const std::string& folder) {
  auto chat_template = ChatTemplate::Load(folder);
  if (absl::IsNotFound(chat_template.status())) return std::shared_ptr<const ChatTemplate>();
  return chat_template;
}

at::Tensor ToTensor(absl::Span<const int64_t> values) {
  return at::tensor(at::ArrayRef<int64_t>(values.data(), values.size()), at::kLong);
}

std::vector<MergedGrid> MergedGrids(absl::Span<const ImagePatches> images, int64_t merge_size) {
  std::vector<MergedGrid> grids;
  for (const ImagePatches& image : images)
    grids.push_back(
        {.t = image.grid_t, .h = image.grid_h / merge_size, .w = image.grid_w / merge_size});
  return grids;
}

absl::Status CheckPatches(const ImagePatches& image, size_t index, const VisionTower& tower) {
  const int64_t merge = tower.merge_size();
  const at::Tensor& values = image.pixel_values;
  const bool whole_blocks = image.grid_t > 0 && image.grid_h > 0 && image.grid_w > 0 &&
                            image.grid_h % merge == 0 && image.grid_w % merge == 0;

  if (whole_blocks && values.defined() && values.dim() == 2 && values.size(0) == image.patches() &&
      values.size(1) == tower.patch_values()) {
    return absl::OkStatus();
  }

  return absl::InvalidArgumentError(absl::StrCat("images[", index, "] is not a grid of ",
                                                 image.grid_t, " x ", image.grid_h, " x ",
                                                 image.grid_w, " patches of ", tower.patch_values(),
                                                 " values in blocks of ", merge, " x ", merge));
}

// The rows of the sequences' tokens that are image placeholders: int64 [rows].
at::Tensor PlaceholderRows(absl::Span<const LmSequence> sequences, int64_t image_token_id) {
  std::vector<int64_t> rows;
  int64_t first = 0;
  for (const LmSequence& sequence : sequences) {
    for (size_t i = 0; i < sequence.ids.size() && !sequence.images.empty(); ++i) {
      if (sequence.ids[i] == image_token_id) rows.push_back(first + static_cast<int64_t>(i));
    }
    first += static_cast<int64_t>(sequence.ids.size());
  }
  return ToTensor(rows);
}

std::vector<ImagePatches> AllImages(absl::Span<const LmSequence> sequences) {
  std::vector<ImagePatches> images;
  for (const LmSequence& sequence : sequences)
    images.insert(images.end(), sequence.images.begin(), sequence.images.end());
  return images;
}

// The row of each sequence's last token: int64 [sequences].
at::Tensor LastRows(absl::Span<const LmSequence> sequences) {
  std::vector<int64_t> rows;
  int64_t end = 0;
  for (const LmSequence& sequence : sequences) {
    end += static_cast<int64_t>(sequence.ids.size());
    rows.push_back(end - 1);
  }
  return ToTensor(rows);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const CausalLm>> CausalLm::Load(const std::string& folder,
                                                               const LmLoadOptions& options) {
  auto lm = std::shared_ptr<CausalLm>(new CausalLm());
  lm->folder_ = folder;
  lm->adapter_folder_ = options.adapter;

  if (IsAdapterFolder(folder)) {
    if (!options.adapter.empty())
      return absl::InvalidArgumentError(
          absl::StrCat(folder, " is an adapter; a second adapter is not supported"));
    lm->adapter_folder_ = folder;
    PALATE_ASSIGN_OR_RETURN(lm->folder_, AdapterBaseFolder(folder));
  }

  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(lm->folder_));
  PALATE_ASSIGN_OR_RETURN(lm->family_, FindModelFamily(checkpoint.config()));
  if (FindVlFamily(lm->family_) != nullptr) {
    PALATE_RETURN_IF_ERROR(lm->LoadWithVision(checkpoint, options));
  } else {
    PALATE_ASSIGN_OR_RETURN(lm->decoder_,
                            DecoderModel::Load(checkpoint, {.dtype = options.dtype,
                                                            .device = options.device,
                                                            .adapter = lm->adapter_folder_}));
  }

  PALATE_ASSIGN_OR_RETURN(lm->tokenizer_, Tokenizer::Load(lm->folder_));
  return std::shared_ptr<const CausalLm>(std::move(lm));
}

absl::Status CausalLm::LoadWithVision(const Checkpoint& checkpoint, const LmLoadOptions& options) {
  const VlFamily& format = *FindVlFamily(family_);

  PALATE_ASSIGN_OR_RETURN(const VlConfig config, format.read_config(checkpoint.config()));
  PALATE_ASSIGN_OR_RETURN(decoder_, DecoderModel::Load(checkpoint, config.decoder,
                                                       {.dtype = options.dtype,
                                                        .device = options.device,
                                                        .prefixes = DecoderPrefixes(),
                                                        .output_is_optional = true,
                                                        .ignored_prefixes = VisionPrefixes(),
                                                        .adapter = adapter_folder_}));

  std::optional<Adapter> adapter;
  if (!adapter_folder_.empty()) {
    PALATE_ASSIGN_OR_RETURN(adapter, Adapter::Open(adapter_folder_));
  }

  LoadOptions tower;
  tower.prefixes = VisionPrefixes();
  tower.ignored_prefixes = BesidesVision();
  tower.dtype = options.dtype;
  tower.device = options.device;
  tower.adapter = adapter.has_value() ? &*adapter : nullptr;

  PALATE_ASSIGN_OR_RETURN(vision_, format.load_tower(checkpoint, config.vision, tower));
  PALATE_ASSIGN_OR_RETURN(VlImageProcessor processor, VlImageProcessor::Load(folder_));
  PALATE_RETURN_IF_ERROR(CheckParts(folder_, *vision_, config.decoder, processor.config()));

  PALATE_ASSIGN_OR_RETURN(chat_template_, LoadChatTemplate(folder_));
  image_processor_ = std::make_shared<const VlImageProcessor>(std::move(processor));
  image_token_id_ = config.image_token_id;
  return absl::OkStatus();
}

absl::StatusOr<std::string> CausalLm::Digest() const {
  // Open the folder again, because the loaded model may no longer keep the mapping.
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder_));
  PALATE_ASSIGN_OR_RETURN(const std::string weights, checkpoint.WeightsDigest());
  std::string parts = absl::StrCat("weights ", weights, "\n");

  if (!adapter_folder_.empty()) {
    PALATE_ASSIGN_OR_RETURN(const Adapter adapter, Adapter::Open(adapter_folder_));
    PALATE_ASSIGN_OR_RETURN(const std::string digest, adapter.Digest());
    absl::StrAppend(&parts, "adapter ", digest, "\n");
  }

  for (const char* name :
       {"config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
        "chat_template.json", "preprocessor_config.json", "processor_config.json"}) {
    const std::string path = absl::StrCat(folder_, "/", name);
    if (!FileExists(path)) continue;
    PALATE_ASSIGN_OR_RETURN(const std::string digest, FileDigest(path));
    absl::StrAppend(&parts, name, " ", digest, "\n");
  }

  return absl::BytesToHexString(Sha256(parts));
}

absl::StatusOr<std::vector<int64_t>> CausalLm::ExpandImages(
    absl::Span<const int64_t> ids, absl::Span<const ImagePatches> images) const {
  if (!has_vision()) {
    if (!images.empty())
      return absl::InvalidArgumentError(
          absl::StrCat("the model ", folder_, " does not support images"));
    return std::vector<int64_t>(ids.begin(), ids.end());
  }

  const auto placeholders =
      static_cast<size_t>(std::count(ids.begin(), ids.end(), image_token_id_));
  if (placeholders != images.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt has ", placeholders, " image placeholders for ", images.size(), " images"));
  }

  std::vector<int64_t> expanded;
  size_t image = 0;
  for (const int64_t id : ids) {
    const int64_t copies = id == image_token_id_ ? vision_->MergedPatches(images[image++]) : 1;
    expanded.insert(expanded.end(), static_cast<size_t>(copies), id);
  }
  return expanded;
}

absl::Status CausalLm::Check(const LmSequence& sequence) const {
  const DecoderConfig& config = decoder_->config();
  if (sequence.ids.empty()) return absl::InvalidArgumentError("has no tokens");
  if (static_cast<int64_t>(sequence.ids.size()) > config.max_positions) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", sequence.ids.size(), " tokens, at most ", config.max_positions));
  }
  for (const int64_t id : sequence.ids) {
    if (id < 0 || id >= config.vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("has the token id ", id, ", which is not in [0, ", config.vocab_size, ")"));
    }
  }
  return CheckImages(sequence);
}

absl::Status CausalLm::CheckImages(const LmSequence& sequence) const {
  if (!has_vision()) {
    return sequence.images.empty()
               ? absl::OkStatus()
               : absl::InvalidArgumentError("has images, but the model is text-only");
  }

  size_t i = 0;
  const auto skip_text = [&] {
    while (i < sequence.ids.size() && sequence.ids[i] != image_token_id_) ++i;
  };

  for (size_t image = 0; image < sequence.images.size(); ++image) {
    PALATE_RETURN_IF_ERROR(CheckPatches(sequence.images[image], image, *vision_));
    skip_text();
    const int64_t needed = vision_->MergedPatches(sequence.images[image]);
    int64_t found = 0;
    while (found < needed && i < sequence.ids.size() && sequence.ids[i] == image_token_id_)
      ++i, ++found;

    if (found < needed) {
      return absl::InvalidArgumentError(absl::StrCat(
          "has ", found, " placeholders in a row for images[", image, "], which needs ", needed));
    }
  }

  skip_text();
  if (i < sequence.ids.size()) {
    return absl::InvalidArgumentError(absl::StrCat("has more image placeholders than its ",
                                                   sequence.images.size(), " images need"));
  }
  return absl::OkStatus();
}

MropePositions CausalLm::PositionsFrom(const LmSequence& sequence, int64_t start) const {
  const int64_t merge = has_vision() ? vision_->merge_size() : 1;
  return PositionsOf(sequence.ids, MergedGrids(sequence.images, merge), image_token_id_, start);
}

at::Tensor CausalLm::Positions(const LmSequence& sequence, int64_t start) const {
  const MropePositions positions = PositionsFrom(sequence, start);
  if (!has_vision()) return ToTensor(positions.axes[0]);
  return at::stack(
      {ToTensor(positions.axes[0]), ToTensor(positions.axes[1]), ToTensor(positions.axes[2])});
}

VisionFeatures CausalLm::ImageFeatures(absl::Span<const LmSequence> sequences) const {
  return vision_->Forward(AllImages(sequences));
}

DecoderInputs CausalLm::Inputs(absl::Span<const LmSequence> sequences,
                               std::vector<int64_t>& next_positions) const {
  DecoderInputs inputs;
  std::vector<int64_t> ids;
  std::array<std::vector<int64_t>, 3> axes;
  bool any_image = false;

  for (size_t i = 0; i < sequences.size(); ++i) {
    const LmSequence& sequence = sequences[i];
    const MropePositions positions = PositionsFrom(sequence, next_positions[i]);
    next_positions[i] = positions.next;
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      axes[axis].insert(axes[axis].end(), positions.axes[axis].begin(), positions.axes[axis].end());
    }
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    inputs.lengths.push_back(static_cast<int64_t>(sequence.ids.size()));
    any_image = any_image || !sequence.images.empty();
  }

  inputs.positions = has_vision()
                         ? at::stack({ToTensor(axes[0]), ToTensor(axes[1]), ToTensor(axes[2])})
                         : ToTensor(axes[0]);
  inputs.embeddings = decoder_->EmbedTokens(ToTensor(ids).to(decoder_->device()));

  if (any_image) {
    VisionFeatures features = ImageFeatures(sequences);
    const at::Tensor rows = PlaceholderRows(sequences, image_token_id_).to(decoder_->device());
    inputs.embeddings = inputs.embeddings.index_copy(0, rows, features.embeddings);
    inputs.deepstack_rows = rows;
    inputs.deepstack = std::move(features.deepstack);
  }

  return inputs;
}

at::Tensor CausalLm::Hidden(absl::Span<const LmSequence> sequences) const {
  std::vector<int64_t> positions(sequences.size(), 0);
  return decoder_->Forward(Inputs(sequences, positions));
}

at::Tensor CausalLm::LastHidden(absl::Span<const LmSequence> sequences) const {
  const at::Tensor hidden = Hidden(sequences);
  return hidden.index_select(0, LastRows(sequences).to(hidden.device())).to(at::kCPU, at::kFloat);
}

LmCache CausalLm::NewCache(int64_t batch, int64_t capacity) const {
  return {.keys_values = decoder_->NewCache(batch, capacity),
          .next_positions = std::vector<int64_t>(static_cast<size_t>(batch), 0)};
}

at::Tensor CausalLm::Hidden(absl::Span<const LmSequence> sequences, LmCache& cache) const {
  return decoder_->Forward(Inputs(sequences, cache.next_positions), cache.keys_values);
}

std::vector<int64_t> CausalLm::Greedy(const LmSequence& prompt, int64_t max_new_tokens,
                                      absl::Span<const int64_t> stop_ids) const {
  LmCache cache = NewCache(1, static_cast<int64_t>(prompt.ids.size()) + max_new_tokens);

  std::vector<int64_t> generated;
  LmSequence unread = prompt;
  while (static_cast<int64_t>(generated.size()) < max_new_tokens) {
    const at::Tensor hidden = Hidden({&unread, 1}, cache);
    const int64_t id =
        decoder_->Logits(hidden.narrow(0, hidden.size(0) - 1, 1)).argmax(-1).item<int64_t>();
    generated.push_back(id);
    if (std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end()) break;
    unread = {.ids = {id}, .images = {}};
  }
  return generated;
}

}  // namespace palate::models
