// The way of inputs through the service, whichever RPC they came by: settings checked, pictures
// fetched, caches asked, the rest computed.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
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

// One model as it is served. The embedder is borrowed.
struct ServedModel {
  std::string name;
  embedding::Embedder* embedder = nullptr;
  std::unique_ptr<embedding::CachedEmbedder> cached;
};

// What a call asks for.
struct EmbedSettings {
  const ServedModel* model = nullptr;
  embedding::EmbedOptions options;
  embedding::CachedEmbedder::Caller caller;
};

// An input whose pictures are not all here yet.
struct WireInput {
  embedding::EmbedInput input;
  std::vector<std::string> image_uris;  // come after input.images
  absl::Status status;                  // why the message is not an input; OK when it is
};
WireInput FromProto(const palate::embedding::v1::EmbedInput& input);

// Thread-safe. Borrows what it is given.
class EmbedPath {
 public:
  struct Parts {
    std::map<std::string, embedding::Embedder*> embedders;  // by configured name
    std::string default_model;                              // one of them
    embedding::ItemCache* items = nullptr;                  // null: items are not cached
    embedding::QueryCache* queries = nullptr;               // null: queries are not cached
    embedding::ImageFetcher* fetcher = nullptr;             // null: pictures by URI are off
    int max_uri_calls = 8;  // calls with URIs at once; one more is ResourceExhausted
  };
  explicit EmbedPath(Parts parts);

  // Settings of an EmbedRequest or of EmbedStreamSettings. InvalidArgument names the field;
  // NotFound names the models that there are.
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

  // One result per input, in order; inputs fail alone, with field paths relative to the EmbedInput
  // message. Blocks. Errors of the call as a whole are Embedder::Embed's.
  absl::StatusOr<std::vector<embedding::EmbedResult>> Embed(std::vector<WireInput> inputs,
                                                            const EmbedSettings& settings,
                                                            const CallContext& context);

  absl::StatusOr<const ServedModel*> Find(const std::string& model) const;
  const std::map<std::string, ServedModel>& models() const { return models_; }
  const Parts& parts() const { return parts_; }

 private:
  absl::StatusOr<EmbedSettings> Check(const std::string& model, EmbedSettings settings) const;
  // Embeds the inputs `group` once their pictures are here. At most ImageFetcher::kMaxUris URIs.
  absl::Status EmbedGroup(const std::vector<size_t>& group, std::vector<WireInput>& inputs,
                          const EmbedSettings& settings,
                          std::vector<embedding::EmbedResult>& results, const CallContext& context);
  // Fetches the pictures of `group`; an input whose pictures did not all come has its status set
  // and leaves the group.
  absl::StatusOr<std::shared_ptr<void>> FetchImages(std::vector<size_t>& group,
                                                    std::vector<WireInput>& inputs,
                                                    std::vector<embedding::EmbedResult>& results,
                                                    const CallContext& context);
  // Whether the input's URIs may be fetched at all.
  absl::Status CheckUris(const WireInput& input) const;

  const Parts parts_;
  std::map<std::string, ServedModel> models_;
  std::atomic<int> uri_calls_ = 0;
};

}  // namespace palate::services
