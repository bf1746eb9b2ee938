// Shared by Embed and EmbedStream: validates settings, fetches images, consults the caches and
// computes the rest.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call_context.h"
#include "base/status.h"
#include "embedding/cache/cached_embedder.h"
#include "embedding/embedder.h"
#include "embedding/fetch/image_fetcher.h"
#include "palate/embedding/v1/embedding_service.pb.h"
#include "services/embedding/embedding_convert.h"

namespace palate::services {

// A model with its cache. The embedder is borrowed.
struct ServedModel {
  std::string name;
  embedding::Embedder* embedder = nullptr;
  std::unique_ptr<embedding::CachedEmbedder> cached;
};

// The settings of one call or stream.
struct EmbedSettings {
  const ServedModel* model = nullptr;
  embedding::EmbedOptions options;
  embedding::CachedEmbedder::Caller caller;
};

// An input whose images by URI have not been fetched yet.
struct WireInput {
  embedding::EmbedInput input;
  std::vector<std::string> image_uris;  // follow input.images
  absl::Status status;                  // an error when the message is not a valid input
};
WireInput FromProto(const palate::embedding::v1::EmbedInput& input);

// Thread-safe. Borrows the parts.
class EmbedPath {
 public:
  struct Parts {
    std::map<std::string, embedding::Embedder*> embedders;  // by configured name
    std::string default_model;                              // one of them
    embedding::ItemCache* items = nullptr;                  // null: items are not cached
    embedding::QueryCache* queries = nullptr;               // null: queries are not cached
    embedding::ImageFetcher* fetcher = nullptr;             // null: images by URI are disabled
    int max_uri_calls = 8;  // concurrent calls with URIs; more are ResourceExhausted
  };
  explicit EmbedPath(Parts parts);

  // Validates the settings of an EmbedRequest or of EmbedStreamSettings. InvalidArgument names the
  // field; NotFound lists the available models.
  template <typename Message>
  absl::StatusOr<EmbedSettings> Open(const Message& message) const {
    EmbedSettings settings;
    settings.options.spaces.assign(message.spaces().begin(), message.spaces().end());
    settings.options.instruction = message.instruction();
    settings.options.dimensions = message.output_dimensions();
    PALATE_ASSIGN_OR_RETURN(settings.options.lane, PrefixFields(FromProto(message.lane()), "lane"));
    settings.caller = {message.catalog(), message.user_id()};
    return Check(message.model(), std::move(settings));
  }

  // The settings of an EmbedRequest: one element, or with `wanted` one for each model and number of
  // dimensions that make one of its spaces. FailedPrecondition when no loaded model makes any.
  absl::StatusOr<std::vector<EmbedSettings>> OpenAll(
      const palate::embedding::v1::EmbedRequest& request) const;

  // Returns one result per input, in order. Each input fails alone, with field paths relative to
  // its EmbedInput message. Blocks. Errors of the whole call are those of Embedder::Embed, and
  // ResourceExhausted when too many calls with URIs run.
  absl::StatusOr<std::vector<embedding::EmbedResult>> Embed(std::vector<WireInput> inputs,
                                                            const EmbedSettings& settings,
                                                            const CallContext& context);

  absl::StatusOr<const ServedModel*> Find(const std::string& model) const;
  const std::map<std::string, ServedModel>& models() const { return models_; }
  const Parts& parts() const { return parts_; }

 private:
  absl::StatusOr<EmbedSettings> Check(const std::string& model, EmbedSettings settings) const;
  // The model that makes vectors of `space`, and their dimensions; no model when none does. Of
  // several models, the one called `preferred`.
  std::pair<const ServedModel*, int> FindMaker(const SpaceKey& space,
                                               const std::string& preferred) const;
  // Fetches the images of the inputs `group` and embeds them. At most ImageFetcher::kMaxUris URIs.
  absl::Status EmbedGroup(const std::vector<size_t>& group, std::vector<WireInput>& inputs,
                          const EmbedSettings& settings,
                          std::vector<embedding::EmbedResult>& results, const CallContext& context);
  // Fetches the images of `group`. An input with an image that could not be fetched gets its status
  // and is removed from the group. Returns the memory of the images, to be held until they are
  // embedded.
  absl::StatusOr<std::shared_ptr<void>> FetchImages(std::vector<size_t>& group,
                                                    std::vector<WireInput>& inputs,
                                                    std::vector<embedding::EmbedResult>& results,
                                                    const CallContext& context);
  // Whether the input's URIs may be fetched.
  absl::Status CheckUris(const WireInput& input) const;

  const Parts parts_;
  std::map<std::string, ServedModel> models_;
  std::atomic<int> uri_calls_ = 0;
};

}  // namespace palate::services
