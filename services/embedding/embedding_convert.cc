#include "services/embedding/embedding_convert.h"

#include "services/convert/types_convert.h"

namespace palate::services {

absl::StatusOr<embedding::EmbedRole> FromProto(embedding_pb::EmbedRole role) {
  switch (role) {
    case embedding_pb::EMBED_ROLE_UNSPECIFIED:
    case embedding_pb::EMBED_ROLE_ITEM:
      return embedding::EmbedRole::kItem;
    case embedding_pb::EMBED_ROLE_QUERY:
      return embedding::EmbedRole::kQuery;
    case embedding_pb::EmbedRole_INT_MIN_SENTINEL_DO_NOT_USE_:
    case embedding_pb::EmbedRole_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(role, "EmbedRole");
}

absl::StatusOr<embedding::Lane> FromProto(embedding_pb::Lane lane) {
  switch (lane) {
    case embedding_pb::LANE_UNSPECIFIED:
    case embedding_pb::LANE_INTERACTIVE:
      return embedding::Lane::kInteractive;
    case embedding_pb::LANE_BULK:
      return embedding::Lane::kBulk;
    case embedding_pb::Lane_INT_MIN_SENTINEL_DO_NOT_USE_:
    case embedding_pb::Lane_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(lane, "Lane");
}

embedding_pb::Calibration ToProto(const embedding::Calibration& calibration) {
  embedding_pb::Calibration out;
  out.set_mean(calibration.mean);
  out.set_deviation(calibration.deviation);
  return out;
}

embedding_pb::EmbedResult ToProto(const embedding::EmbedResult& result,
                                  const embedding::ModelInfo& model) {
  embedding_pb::EmbedResult out;
  for (const SpaceVector& vector : result.vectors) {
    embedding_pb::EmbeddedVector* embedded = out.add_vectors();
    *embedded->mutable_vector() = ToProto(vector);
    const embedding::SpaceInfo* space = model.FindSpace(vector.space.name);
    if (space == nullptr) continue;
    *embedded->mutable_calibration() = ToProto(space->calibration);
    if (space->text_calibration.has_value())
      *embedded->mutable_text_calibration() = ToProto(*space->text_calibration);
  }
  out.set_tokens(result.tokens);
  out.set_truncated_tokens(result.truncated_tokens);
  for (const PartFailure& failure : result.failed_parts) *out.add_failed_parts() = ToProto(failure);
  return out;
}

embedding_pb::ModelInfo ToProto(const std::string& name, const embedding::ModelInfo& info,
                                bool is_default) {
  embedding_pb::ModelInfo out;
  out.set_name(name);
  out.set_is_default(is_default);
  out.set_dimensions(info.dimensions);
  out.set_max_text_tokens(info.max_text_tokens);
  out.set_image_size(info.image_size);

  for (const embedding::SpaceInfo& space : info.spaces) {
    embedding_pb::SpaceInfo* served = out.add_spaces();
    *served->mutable_space() = ToProto(SpaceKey{space.name, space.fingerprint});
    served->set_available(space.available);
    *served->mutable_calibration() = ToProto(space.calibration);
    if (space.text_calibration.has_value())
      *served->mutable_text_calibration() = ToProto(*space.text_calibration);
  }

  out.set_family(info.family);
  out.set_weights_sha256(info.weights_digest);
  out.set_pooling(info.pooling);
  out.set_pooling_is_assumed(info.pooling_is_assumed);
  for (const std::string& key : info.unknown_config_keys) out.add_unknown_config_keys(key);
  out.set_query_template(info.query_template);
  out.set_item_template(info.item_template);
  out.set_default_instruction(info.default_instruction);

  if (info.max_pixels > 0) {
    out.mutable_pixel_budget()->set_min_pixels(info.min_pixels);
    out.mutable_pixel_budget()->set_max_pixels(info.max_pixels);
  }

  out.set_numeric_type(info.dtype);
  out.set_numeric_type_reason(info.dtype_reason);
  out.set_device(info.device);
  return out;
}

embedding_pb::EngineStats ToProto(const std::string& model, const embedding::EmbedderStats& stats) {
  embedding_pb::EngineStats out;
  out.set_model(model);
  out.set_queued_tokens_interactive(stats.queued_tokens_interactive);
  out.set_queued_tokens_bulk(stats.queued_tokens_bulk);
  out.set_batches(stats.batches);
  out.set_tokens(stats.tokens);
  out.set_images(stats.images);
  out.set_rejected(stats.rejected);
  out.set_failed(stats.failed);
  out.set_stalled_ms(absl::ToInt64Milliseconds(stats.stalled_for()));
  return out;
}

embedding_pb::CacheStats ToProto(const embedding::CacheStats& stats) {
  embedding_pb::CacheStats out;
  out.set_hits(stats.hits);
  out.set_misses(stats.misses);
  out.set_shared(stats.shared);
  out.set_vectors(stats.vectors);
  out.set_bytes(stats.bytes);
  out.set_max_bytes(stats.max_bytes);
  out.set_errors(stats.errors);
  return out;
}

embedding_pb::FetchStats ToProto(const embedding::FetchStats& stats) {
  embedding_pb::FetchStats out;
  out.set_fetched(stats.fetched);
  out.set_bytes(stats.bytes);
  out.set_refused(stats.refused);
  out.set_failed(stats.failed);
  return out;
}

}  // namespace palate::services
