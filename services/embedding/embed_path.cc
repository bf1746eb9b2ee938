#include "services/embedding/embed_path.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"

namespace palate::services {
namespace {

using embedding::EmbedResult;
using embedding::ImageFetcher;

static_assert(kMaxEmbedImages <= static_cast<int>(ImageFetcher::kMaxUris),
              "the images of one input are fetched together");

// Maps a field path of the library's input to the path in its EmbedInput message. The first
// `own_images` images came as bytes; the others were fetched from `image_uris`.
std::string MessagePath(const std::string& path, size_t own_images) {
  const FieldStep step = FirstStep(path);
  if (step.name != "images" || !step.index.has_value() || *step.index < own_images) return path;
  return JoinPaths(absl::StrCat("image_uris[", *step.index - own_images, "]"), step.rest);
}

// Groups of inputs that are embedded together: first all inputs without URIs, then the others, in
// groups of as many URIs as may be fetched together.
std::vector<std::vector<size_t>> Groups(const std::vector<WireInput>& inputs,
                                        const std::vector<EmbedResult>& results) {
  std::vector<std::vector<size_t>> groups(1);
  std::vector<size_t> group;
  size_t uris = 0;

  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!results[i].status.ok()) continue;
    const size_t count = inputs[i].image_uris.size();
    if (count == 0) {
      groups[0].push_back(i);
      continue;
    }
    if (uris + count > ImageFetcher::kMaxUris) groups.push_back(std::exchange(group, {}));
    uris = group.empty() ? count : uris + count;
    group.push_back(i);
  }
  groups.push_back(std::move(group));
  return groups;
}

// The dimensions of vectors of `fingerprint`; 0 when the model does not make them.
int DimensionsOf(const std::string& fingerprint, const embedding::SpaceInfo& space,
                 int model_dimensions) {
  absl::string_view rest = fingerprint;
  if (!absl::ConsumePrefix(&rest, space.fingerprint)) return 0;
  if (rest.empty()) return model_dimensions;
  int dimensions = 0;
  if (!absl::ConsumePrefix(&rest, "@") || !absl::SimpleAtoi(rest, &dimensions)) return 0;
  const bool made = dimensions > 0 && dimensions < model_dimensions &&
                    embedding::FingerprintFor(space, dimensions, model_dimensions) == fingerprint;
  return made ? dimensions : 0;
}

}  // namespace

WireInput FromProto(const palate::embedding::v1::EmbedInput& input) {
  WireInput out;
  out.input.fields.assign(input.fields().begin(), input.fields().end());
  out.input.images.assign(input.images().begin(), input.images().end());
  out.image_uris.assign(input.image_uris().begin(), input.image_uris().end());

  const absl::StatusOr<embedding::EmbedRole> role = FromProto(input.role());
  if (role.ok()) out.input.role = *role;
  out.status = PrefixFields(role.status(), "role");
  return out;
}

EmbedPath::EmbedPath(Parts parts) : parts_(std::move(parts)) {
  for (const auto& [name, embedder] : parts_.embedders) {
    const auto compute = [embedder = embedder](std::vector<embedding::EmbedInput> inputs,
                                               const embedding::EmbedOptions& options,
                                               const CallContext& context) {
      return embedder->Embed(std::move(inputs), options, context);
    };
    models_[name] = {name, embedder,
                     std::make_unique<embedding::CachedEmbedder>(compute, embedder->info(),
                                                                 parts_.items, parts_.queries)};
  }
}

absl::StatusOr<const ServedModel*> EmbedPath::Find(const std::string& model) const {
  const auto found = models_.find(model.empty() ? parts_.default_model : model);
  if (found != models_.end()) return &found->second;

  const std::string names = absl::StrJoin(
      models_, ", ", [](std::string* out, const auto& entry) { out->append(entry.first); });
  return absl::NotFoundError(absl::StrCat("model: unknown embedding model ", QuoteForMessage(model),
                                          "; available: ", names));
}

std::pair<const ServedModel*, int> EmbedPath::FindMaker(const SpaceKey& space,
                                                        const std::string& preferred) const {
  std::pair<const ServedModel*, int> maker = {nullptr, 0};
  for (const auto& [name, model] : models_) {
    const embedding::ModelInfo& info = model.embedder->info();
    const embedding::SpaceInfo* made = info.FindSpace(space.name);
    if (made == nullptr || !made->available) continue;
    const int dimensions = DimensionsOf(space.fingerprint, *made, info.dimensions);
    if (dimensions == 0) continue;
    if (maker.first == nullptr || name == preferred) maker = {&model, dimensions};
  }
  return maker;
}

absl::StatusOr<std::vector<EmbedSettings>> EmbedPath::OpenAll(
    const palate::embedding::v1::EmbedRequest& request) const {
  if (request.wanted().empty()) {
    PALATE_ASSIGN_OR_RETURN(EmbedSettings settings, Open(request));
    return std::vector<EmbedSettings>{std::move(settings)};
  }
  if (request.wanted_size() > kMaxWantedVectors) {
    return InvalidField("wanted", absl::StrCat("has ", request.wanted_size(), " elements"),
                        absl::StrCat("at most ", kMaxWantedVectors));
  }

  palate::embedding::v1::EmbedRequest settings;  // of one model, without inputs
  settings.set_instruction(request.instruction());
  settings.set_lane(request.lane());
  settings.set_catalog(request.catalog());
  settings.set_user_id(request.user_id());

  std::vector<EmbedSettings> all;
  std::set<std::string> made;
  for (const palate::types::v1::SpaceKey& space : request.wanted()) {
    if (made.contains(space.name())) continue;
    const auto [model, dimensions] =
        FindMaker({space.name(), space.fingerprint()}, request.model());
    if (model == nullptr) continue;
    made.insert(space.name());

    const auto same = [model = model, dimensions = dimensions](const EmbedSettings& other) {
      return other.model == model && other.options.dimensions == dimensions;
    };
    auto found = std::find_if(all.begin(), all.end(), same);
    if (found == all.end()) {
      settings.set_model(model->name);
      settings.set_output_dimensions(dimensions);
      PALATE_ASSIGN_OR_RETURN(EmbedSettings opened, Open(settings));
      found = all.insert(all.end(), std::move(opened));
    }
    found->options.spaces.push_back(space.name());
  }

  if (!all.empty()) return all;
  return absl::FailedPreconditionError(
      absl::StrCat("wanted: no loaded model makes vectors of model ",
                   QuoteForMessage(request.wanted(0).fingerprint()), " in space ",
                   QuoteForMessage(request.wanted(0).name()), ", nor any other that is wanted"));
}

absl::StatusOr<EmbedSettings> EmbedPath::Check(const std::string& model,
                                               EmbedSettings settings) const {
  PALATE_ASSIGN_OR_RETURN(settings.model, Find(model));

  const std::string& instruction = settings.options.instruction;
  if (instruction.size() > kMaxEmbedInstructionBytes) {
    return InvalidField("instruction", absl::StrCat("has ", instruction.size(), " bytes"),
                        absl::StrCat("at most ", kMaxEmbedInstructionBytes));
  }
  if (!IsValidUtf8(instruction))
    return InvalidField("instruction", "has bytes that are not UTF-8", "valid UTF-8");

  const int dimensions = settings.options.dimensions;
  const int most = settings.model->embedder->info().dimensions;
  if (dimensions < 0 || dimensions > most) {
    return InvalidField("output_dimensions", absl::StrCat("is ", dimensions),
                        absl::StrCat("from 0 to ", most));
  }

  for (const auto& [field, value] : {std::pair("catalog", settings.caller.catalog),
                                     std::pair("user_id", settings.caller.user_id)}) {
    if (value.size() > kMaxIdBytes) {
      return InvalidField(field, absl::StrCat("has ", value.size(), " bytes"),
                          absl::StrCat("at most ", kMaxIdBytes));
    }
  }
  return settings;
}

absl::StatusOr<std::vector<EmbedResult>> EmbedPath::Embed(std::vector<WireInput> inputs,
                                                          const EmbedSettings& settings,
                                                          const CallContext& context) {
  std::vector<EmbedResult> results(inputs.size());
  bool any_uris = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    results[i].status = inputs[i].status;
    if (!results[i].status.ok() || inputs[i].image_uris.empty()) continue;
    results[i].status = CheckUris(inputs[i]);
    any_uris |= results[i].status.ok();
  }

  const int running = any_uris ? ++uri_calls_ : 0;
  const absl::Cleanup leave = [&] { uri_calls_ -= any_uris ? 1 : 0; };
  if (running > parts_.max_uri_calls) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "embedding: ", parts_.max_uri_calls, " calls with image_uris run, which is the limit"));
  }

  for (const std::vector<size_t>& group : Groups(inputs, results)) {
    PALATE_RETURN_IF_ERROR(EmbedGroup(group, inputs, settings, results, context));
  }
  return results;
}

absl::Status EmbedPath::CheckUris(const WireInput& input) const {
  if (parts_.fetcher == nullptr) {
    return AtField(absl::FailedPreconditionError(
                       "images by URI are disabled: embedding.uri.allowed_hosts is empty"),
                   "image_uris[0]");
  }
  const size_t images = input.input.images.size() + input.image_uris.size();
  if (images <= kMaxEmbedImages) return absl::OkStatus();
  return InvalidField("image_uris", absl::StrCat("and images have ", images, " images together"),
                      absl::StrCat("at most ", kMaxEmbedImages));
}

absl::Status EmbedPath::EmbedGroup(const std::vector<size_t>& group, std::vector<WireInput>& inputs,
                                   const EmbedSettings& settings, std::vector<EmbedResult>& results,
                                   const CallContext& context) {
  std::vector<size_t> complete = group;
  PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<void> memory,
                          FetchImages(complete, inputs, results, context));
  if (complete.empty()) return absl::OkStatus();

  std::vector<embedding::EmbedInput> ready;
  std::vector<size_t> own_images;
  for (const size_t i : complete) {
    own_images.push_back(inputs[i].input.images.size() - inputs[i].image_uris.size());
    ready.push_back(std::move(inputs[i].input));
  }

  PALATE_ASSIGN_OR_RETURN(
      std::vector<EmbedResult> embedded,
      settings.model->cached->Embed(std::move(ready), settings.options, settings.caller, context));

  for (size_t k = 0; k < complete.size(); ++k) {
    const size_t i = complete[k];
    results[i] = std::move(embedded[k]);
    results[i].status = MapFields(results[i].status, [&](const std::string& path) {
      return MessagePath(path, own_images[k]);
    });
    for (PartFailure& failure : results[i].failed_parts) {
      failure.part = MessagePath(failure.part, own_images[k]);
      failure.status = MapFields(failure.status, [&](const std::string& path) {
        return MessagePath(path, own_images[k]);
      });
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<void>> EmbedPath::FetchImages(std::vector<size_t>& group,
                                                             std::vector<WireInput>& inputs,
                                                             std::vector<EmbedResult>& results,
                                                             const CallContext& context) {
  std::vector<std::string> uris;
  for (const size_t i : group)
    uris.insert(uris.end(), inputs[i].image_uris.begin(), inputs[i].image_uris.end());
  if (uris.empty()) return std::shared_ptr<void>();

  PALATE_ASSIGN_OR_RETURN(ImageFetcher::Batch batch, parts_.fetcher->Fetch(uris, context));
  size_t next = 0;
  std::vector<size_t> complete;
  for (const size_t i : group) {
    for (size_t u = 0; u < inputs[i].image_uris.size(); ++u, ++next) {
      absl::StatusOr<std::string>& image = batch.images[next];
      if (image.ok()) {
        inputs[i].input.images.push_back(*std::move(image));
        continue;
      }
      if (results[i].status.ok())
        results[i].status = AtField(image.status(), absl::StrCat("image_uris[", u, "]"));
    }
    if (results[i].status.ok()) complete.push_back(i);
  }

  group = std::move(complete);
  return batch.memory;
}

}  // namespace palate::services
