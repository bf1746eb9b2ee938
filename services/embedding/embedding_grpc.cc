#include "services/embedding/embedding_grpc.h"

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/status.h"
#include "services/convert/types_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::embedding::v1;

constexpr size_t kMaxInstructionBytes = 8192;

absl::StatusOr<embedding::EmbedOptions> OptionsFrom(const pb::EmbedRequest& request, const Call& call) {
  if (request.instruction().size() > kMaxInstructionBytes) {
    return InvalidField("instruction", absl::StrCat("has ", request.instruction().size(), " bytes"),
                        absl::StrCat("at most ", kMaxInstructionBytes));
  }
  if (!IsValidUtf8(request.instruction())) return InvalidField("instruction", "has bytes that are not UTF-8", "valid UTF-8");
  embedding::EmbedOptions options;
  options.spaces.assign(request.spaces().begin(), request.spaces().end());
  options.instruction = request.instruction();
  options.dimensions = request.output_dimensions();
  options.lane = request.lane() == pb::LANE_BULK ? embedding::Lane::kBulk : embedding::Lane::kInteractive;
  options.deadline = call.deadline();
  options.cancelled = call.cancel_flag();
  return options;
}

pb::Calibration ToProto(const embedding::Calibration& calibration) {
  pb::Calibration out;
  out.set_mean(calibration.mean);
  out.set_deviation(calibration.deviation);
  return out;
}

pb::EmbedResult ResultMessage(const embedding::EmbedResult& result, const embedding::ModelInfo& model) {
  pb::EmbedResult out;
  for (const SpaceVector& vector : result.vectors) {
    pb::EmbeddedVector* embedded = out.add_vectors();
    *embedded->mutable_vector() = palate::services::ToProto(vector);
    const embedding::SpaceInfo* space = model.FindSpace(vector.space.name);
    if (space != nullptr) *embedded->mutable_calibration() = ToProto(space->calibration);
  }
  out.set_tokens(result.tokens);
  out.set_truncated_tokens(result.truncated_tokens);
  return out;
}

pb::ModelInfo InfoMessage(const std::string& name, const embedding::ModelInfo& info, bool is_default) {
  pb::ModelInfo out;
  out.set_name(name);
  out.set_is_default(is_default);
  out.set_dimensions(info.dimensions);
  out.set_max_text_tokens(info.max_text_tokens);
  out.set_image_size(info.image_size);
  for (const embedding::SpaceInfo& space : info.spaces) {
    pb::SpaceInfo* served = out.add_spaces();
    *served->mutable_space() = palate::services::ToProto(SpaceKey{space.name, space.fingerprint});
    served->set_available(space.available);
    *served->mutable_calibration() = ToProto(space.calibration);
  }
  return out;
}

}  // namespace

EmbeddingGrpc::EmbeddingGrpc(std::map<std::string, embedding::Embedder*> embedders, std::string default_model, int max_bulk_calls,
                             ThreadPool& pool)
    : RpcService("palate.embedding.v1.EmbeddingService", pool),
      embedders_(std::move(embedders)),
      default_model_(std::move(default_model)),
      max_bulk_calls_(max_bulk_calls) {
  Unary("Embed", this, &EmbeddingGrpc::Embed);
  Unary("GetModelInfo", this, &EmbeddingGrpc::GetModelInfo);
  CheckComplete();
}

absl::StatusOr<embedding::Embedder*> EmbeddingGrpc::Find(const std::string& model) const {
  const auto found = embedders_.find(model.empty() ? default_model_ : model);
  if (found != embedders_.end()) return found->second;
  const std::string names = absl::StrJoin(embedders_, ", ", [](std::string* out, const auto& entry) { out->append(entry.first); });
  return absl::NotFoundError(absl::StrCat("model: there is no embedding model ", QuoteForMessage(model), "; there are: ", names));
}

absl::Status EmbeddingGrpc::Embed(Call& call, const pb::EmbedRequest& request, pb::EmbedResponse& response) {
  PALATE_ASSIGN_OR_RETURN(embedding::Embedder * embedder, Find(request.model()));
  PALATE_ASSIGN_OR_RETURN(const embedding::EmbedOptions options, OptionsFrom(request, call));
  const bool bulk = options.lane == embedding::Lane::kBulk;
  const int running = bulk ? ++bulk_calls_ : 0;
  const absl::Cleanup leave = [&] { bulk_calls_ -= bulk ? 1 : 0; };
  if (running > max_bulk_calls_) {
    return absl::ResourceExhaustedError(absl::StrCat("embedding: ", max_bulk_calls_, " bulk calls run already, which is the limit"));
  }
  if (request.inputs().empty()) return InvalidField("inputs", "is empty", "1 or more inputs");
  std::vector<embedding::EmbedInput> inputs;
  for (const pb::EmbedInput& input : request.inputs()) {
    inputs.push_back({{input.fields().begin(), input.fields().end()},
                      {input.images().begin(), input.images().end()},
                      input.role() == pb::EMBED_ROLE_QUERY ? embedding::EmbedRole::kQuery : embedding::EmbedRole::kItem});
  }
  PALATE_ASSIGN_OR_RETURN(const std::vector<embedding::EmbedResult> results, embedder->Embed(inputs, options));
  for (size_t i = 0; i < results.size(); ++i) {
    *response.add_results() = ResultMessage(results[i], embedder->info());
    if (!results[i].status.ok()) *response.add_failures() = ToItemFailure(i, results[i].status);
  }
  return absl::OkStatus();
}

absl::Status EmbeddingGrpc::GetModelInfo(Call&, const pb::GetModelInfoRequest& request, pb::GetModelInfoResponse& response) {
  if (!request.model().empty()) PALATE_RETURN_IF_ERROR(Find(request.model()).status());
  for (const auto& [name, embedder] : embedders_) {
    if (request.model().empty() || request.model() == name) {
      *response.add_models() = InfoMessage(name, embedder->info(), name == default_model_);
    }
  }
  return absl::OkStatus();
}

}  // namespace palate::services
