#include "services/clients/embedding_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/catalog.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace embedding_pb = palate::embedding::v1;
using EmbeddingAsync = embedding_pb::EmbeddingService::StubInterface::async_interface;

// The declared spaces, grouped by what one Embed call can compute together: model and dimensions.
std::map<std::pair<std::string, int>, std::vector<std::string>> GroupSpaces(
    const Catalog& catalog) {
  std::map<std::pair<std::string, int>, std::vector<std::string>> groups;
  for (const SpaceDeclaration& space : catalog.spaces)
    groups[{space.model, space.dimensions}].push_back(space.name);
  return groups;
}

// Vectors truncated to fewer dimensions have a different fingerprint, which the service returns
// with them. This computes it in advance.
std::string FingerprintOf(const embedding_pb::SpaceInfo& space, int dimensions,
                          int model_dimensions) {
  const std::string& whole = space.space().fingerprint();
  return dimensions == 0 || dimensions == model_dimensions ? whole
                                                           : absl::StrCat(whole, "@", dimensions);
}

// Maps a field path of an EmbedRequest to the path in the query that it was made from:
// "inputs[0].images[0]" -> "query.image".
std::string QueryPath(const std::string& path) {
  const FieldStep list = FirstStep(path);
  if (list.name != "inputs") return path;
  const std::string field = FirstStep(list.rest).name;
  if (field == "images") return "query.image";
  if (field == "fields") return "query.text";
  return "query";
}

// "inputs[3].images[0]" -> "images[0]": the path in the item.
std::string ItemPath(const std::string& path) {
  const FieldStep list = FirstStep(path);
  return list.name == "inputs" ? list.rest : path;
}

}  // namespace

absl::StatusOr<std::vector<pipeline::QueryVector>> EmbeddingClient::Embed(
    const pipeline::EmbedQuery& query, const CallContext& context) {
  embedding_pb::EmbedRequest request;
  request.set_model(query.model);
  request.set_instruction(query.instruction);
  request.set_catalog(query.catalog);
  request.set_user_id(query.user_id);
  embedding_pb::EmbedInput* input = request.add_inputs();
  input->set_role(embedding_pb::EMBED_ROLE_QUERY);
  if (!query.text.empty()) {
    input->add_fields(query.text);
    request.add_spaces(kTextSpace);
  }
  if (!query.image.empty()) {
    input->add_images(query.image);
    request.add_spaces(kImageSpace);
  }
  // Words are compared with pictures too, where the catalog has any.
  const bool words_only = query.image.empty();
  for (const SpaceKey& space : query.wanted) {
    const auto& parts = request.spaces();
    if (std::find(parts.begin(), parts.end(), space.name) != parts.end() ||
        (words_only && space.name == kImageSpace))
      *request.add_wanted() = ToProto(space);
  }

  embedding_pb::EmbedResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub_.async(), &EmbeddingAsync::Embed, request, response, context));
  if (!response.failures().empty())
    return MapFields(FromRpcStatus(response.failures(0).status()), QueryPath);

  std::vector<pipeline::QueryVector> vectors;
  if (response.results().empty()) return vectors;
  for (const embedding_pb::EmbeddedVector& embedded : response.results(0).vectors()) {
    pipeline::QueryVector vector;
    PALATE_ASSIGN_OR_RETURN(vector.vector, FromProto(embedded.vector()));
    vector.words_for_image = words_only && vector.vector.space.name == kImageSpace;
    const embedding_pb::Calibration& calibration =
        vector.words_for_image && embedded.has_text_calibration() ? embedded.text_calibration()
                                                                  : embedded.calibration();
    vector.score_mean = calibration.mean();
    vector.score_deviation = calibration.deviation();
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

absl::StatusOr<std::vector<SpaceKey>> ItemEmbedderClient::Spaces(const Catalog& catalog) {
  std::vector<SpaceKey> keys;
  for (const auto& [group, names] : GroupSpaces(catalog)) {
    embedding_pb::GetModelInfoRequest request;
    request.set_model(group.first);
    embedding_pb::GetModelInfoResponse response;
    PALATE_RETURN_IF_ERROR(
        CallUnary(stub_.async(), &EmbeddingAsync::GetModelInfo, request, response, NewContext()));

    for (const embedding_pb::ModelInfo& model : response.models()) {
      if (group.first.empty() ? !model.is_default() : model.name() != group.first) continue;
      for (const embedding_pb::SpaceInfo& space : model.spaces()) {
        const bool declared =
            std::find(names.begin(), names.end(), space.space().name()) != names.end();
        if (!declared || !space.available()) continue;
        keys.push_back(
            {space.space().name(), FingerprintOf(space, group.second, model.dimensions())});
      }
    }
  }
  return keys;
}

absl::Status ItemEmbedderClient::EmbedGroup(const std::string& catalog,
                                            const SpaceDeclaration& group,
                                            const std::vector<std::string>& names,
                                            const std::vector<featurestore::EmbedItem>& items,
                                            Results& results,
                                            std::map<size_t, absl::Status>& failures) {
  embedding_pb::EmbedRequest request;
  request.set_catalog(catalog);
  request.set_model(group.model);
  request.set_output_dimensions(group.dimensions);
  request.set_lane(embedding_pb::LANE_BULK);
  request.mutable_spaces()->Assign(names.begin(), names.end());

  for (size_t i = 0; i < items.size(); ++i) {
    const featurestore::EmbedItem& item = items[i];
    embedding_pb::EmbedInput* input = request.add_inputs();
    input->set_role(embedding_pb::EMBED_ROLE_ITEM);
    input->mutable_fields()->Assign(item.text_fields.begin(), item.text_fields.end());
    input->mutable_images()->Assign(item.images.begin(), item.images.end());
  }

  embedding_pb::EmbedResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub_.async(), &EmbeddingAsync::Embed, request, response, NewContext()));
  if (static_cast<size_t>(response.results_size()) != items.size()) {
    return absl::InternalError(
        absl::StrCat(response.results_size(), " results for ", items.size(), " items"));
  }

  for (const types_pb::ItemFailure& failure : response.failures()) {
    failures.emplace(static_cast<size_t>(failure.index()),
                     MapFields(FromRpcStatus(failure.status()), ItemPath));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const embedding_pb::EmbedResult& result = response.results(static_cast<int>(i));
    for (const embedding_pb::EmbeddedVector& embedded : result.vectors()) {
      PALATE_ASSIGN_OR_RETURN(SpaceVector vector, FromProto(embedded.vector()));
      results[i].vectors.push_back(std::move(vector));
    }
    for (const types_pb::PartFailure& failure : result.failed_parts())
      results[i].failed_parts.push_back(FromProto(failure));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<absl::StatusOr<featurestore::EmbeddedItem>>> ItemEmbedderClient::Embed(
    const Catalog& catalog, const std::vector<featurestore::EmbedItem>& items) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<SpaceKey> available, Spaces(catalog));

  Results results(items.size());
  std::map<size_t, absl::Status> failures;
  for (const auto& [group, names] : GroupSpaces(catalog)) {
    std::vector<std::string> wanted;
    for (const std::string& name : names) {
      for (const SpaceKey& key : available) {
        if (key.name == name) wanted.push_back(name);
      }
    }
    if (wanted.empty()) continue;
    PALATE_RETURN_IF_ERROR(
        EmbedGroup(catalog.id, {"", group.first, group.second}, wanted, items, results, failures));
  }

  std::vector<absl::StatusOr<featurestore::EmbeddedItem>> out;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto failure = failures.find(i);
    if (failure != failures.end() && results[i].vectors.empty()) {
      out.push_back(failure->second);
      continue;
    }
    // Another model made vectors of the item: only what this one was to read has failed. A model
    // without an image tower, which has nothing to read of a picture, has not.
    if (failure != failures.end() && !absl::IsFailedPrecondition(failure->second)) {
      const std::vector<FieldViolation> wrong = FieldViolations(failure->second);
      results[i].failed_parts.push_back(
          {wrong.empty() ? "" : wrong.front().field, failure->second});
    }
    out.push_back(std::move(results[i]));
  }
  return out;
}

absl::StatusOr<std::vector<std::vector<SpaceVector>>> ItemEmbedderClient::EmbedFor(
    const Catalog& catalog, const std::vector<SpaceKey>& spaces,
    const std::vector<featurestore::EmbedItem>& items) {
  embedding_pb::EmbedRequest request;
  request.set_catalog(catalog.id);
  request.set_lane(embedding_pb::LANE_BULK);
  for (const SpaceKey& space : spaces) *request.add_wanted() = ToProto(space);
  for (const featurestore::EmbedItem& item : items) {
    embedding_pb::EmbedInput* input = request.add_inputs();
    input->set_role(embedding_pb::EMBED_ROLE_ITEM);
    input->mutable_fields()->Assign(item.text_fields.begin(), item.text_fields.end());
    input->mutable_images()->Assign(item.images.begin(), item.images.end());
  }

  std::vector<std::vector<SpaceVector>> vectors(items.size());
  embedding_pb::EmbedResponse response;
  const absl::Status status =
      CallUnary(stub_.async(), &EmbeddingAsync::Embed, request, response, NewContext());
  // No loaded model makes them.
  if (absl::IsFailedPrecondition(status)) return vectors;
  PALATE_RETURN_IF_ERROR(status);

  const size_t answered = std::min(items.size(), static_cast<size_t>(response.results_size()));
  for (size_t i = 0; i < answered; ++i) {
    for (const embedding_pb::EmbeddedVector& embedded :
         response.results(static_cast<int>(i)).vectors()) {
      PALATE_ASSIGN_OR_RETURN(SpaceVector vector, FromProto(embedded.vector()));
      vectors[i].push_back(std::move(vector));
    }
  }
  return vectors;
}

absl::Status QueryVectorsClient::DropUser(const std::string& catalog, const std::string& user_id,
                                          const CallContext& context) {
  embedding_pb::DropUserRequest request;
  request.set_catalog(catalog);
  request.set_user_id(user_id);

  embedding_pb::DropUserResponse response;
  return CallUnary(stub_.async(), &EmbeddingAsync::DropUser, request, response, context);
}

}  // namespace palate::services
