#include "services/retrieval/retrieval_convert.h"

#include "services/convert/types_convert.h"

namespace palate::services {

retrieval_pb::SpaceStats ToProto(const retrieval::SpaceStats& stats) {
  retrieval_pb::SpaceStats out;
  *out.mutable_space() = ToProto(stats.space);
  out.set_active(stats.active);
  out.set_dimensions(stats.dimensions);
  out.set_vectors(stats.vectors);
  return out;
}

retrieval_pb::CatalogStats ToProto(const retrieval::CatalogStats& stats) {
  retrieval_pb::CatalogStats out;
  out.set_catalog(stats.catalog);
  out.set_items(stats.items);
  out.set_segments(stats.segments);
  out.set_delta_items(stats.delta_items);
  out.set_tombstones(stats.tombstones);
  out.set_memory_bytes(stats.memory_bytes);
  out.set_refused_vectors(stats.refused_vectors);
  for (const retrieval::SpaceStats& space : stats.spaces) *out.add_spaces() = ToProto(space);
  return out;
}

retrieval_pb::FollowerStats ToProto(const retrieval::FollowerStats& stats) {
  retrieval_pb::FollowerStats out;
  out.set_ready(stats.ready);
  out.set_connected(stats.connected);
  out.set_last_error(stats.last_error);
  *out.mutable_lag() = ToProto(stats.lag);
  out.set_changes(stats.changes);
  out.set_listings(stats.listings);
  return out;
}

}  // namespace palate::services
