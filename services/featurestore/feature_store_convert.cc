#include "services/featurestore/feature_store_convert.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/status.h"
#include "services/convert/types_convert.h"

namespace palate::services {

absl::StatusOr<featurestore::ItemWrite> FromProto(const types_pb::ItemWrite& write) {
  featurestore::ItemWrite out;
  PALATE_ASSIGN_OR_RETURN(out.item, PrefixFields(FromProto(write.item()), "item"));
  for (const types_pb::ItemImage& image : write.item().images()) {
    featurestore::ImageInput input{image.data(), image.sha256()};
    if (!image.data().empty() && !image.sha256().empty() &&
        Sha256(image.data()) != image.sha256()) {
      return InvalidField(absl::StrCat("item.images[", out.images.size(), "].sha256"),
                          "is not that of the data", "empty or the digest of data");
    }
    out.images.push_back(std::move(input));
  }

  if (!write.update_mask().paths().empty()) {
    out.update_mask.emplace(write.update_mask().paths().begin(), write.update_mask().paths().end());
  }
  if (write.has_expected_revision()) out.expected_revision = write.expected_revision();
  return out;
}

absl::StatusOr<CatalogUpdateMask> FromProto(const google::protobuf::FieldMask& mask) {
  CatalogUpdateMask out;
  if (mask.paths().empty()) {
    for (const CatalogField& field : kCatalogFields) out.push_back(&field);
    return out;
  }

  for (const std::string& path : mask.paths()) {
    const CatalogField* const field = FindCatalogField(path);
    if (field == nullptr) {
      const auto append = [](std::string* text, const CatalogField& known) {
        absl::StrAppend(text, known.name);
      };
      return InvalidField("", absl::StrCat("names ", QuoteForMessage(path)),
                          absl::StrCat("of ", absl::StrJoin(kCatalogFields, ", ", append)));
    }
    out.push_back(field);
  }
  return out;
}

featurestore::ItemReadOptions FromProto(const store_pb::ItemView& view) {
  featurestore::ItemReadOptions options;
  options.spaces.assign(view.spaces().begin(), view.spaces().end());
  options.all_spaces = view.all_spaces();
  options.all_fingerprints = view.all_fingerprints();
  options.image_bytes = view.image_data();
  return options;
}

types_pb::ItemRecord ToProto(const featurestore::StoredItem& item) {
  types_pb::ItemRecord out = ToProto(static_cast<const ItemWithVectors&>(item));
  for (size_t i = 0; i < item.image_bytes.size(); ++i) {
    out.mutable_item()->mutable_images(static_cast<int>(i))->set_data(item.image_bytes[i]);
  }
  return out;
}

store_pb::SpaceStats ToProto(const featurestore::ActiveSpace& space) {
  store_pb::SpaceStats out;
  out.set_name(space.name);
  out.set_active_fingerprint(space.active_fingerprint);
  out.set_target_fingerprint(space.target_fingerprint);
  out.set_switch_refusal(space.switch_refusal);
  return out;
}

store_pb::CatalogStats ToProto(const featurestore::CatalogStats& stats) {
  store_pb::CatalogStats out;
  out.set_catalog(stats.catalog);
  out.set_items(stats.items);
  out.set_users(stats.users);
  out.set_events(stats.events);
  out.set_embedding_backlog(stats.embedding_backlog);
  out.set_embedding_failed(stats.embedding_failed);
  out.set_items_with_failed_parts(stats.items_with_failed_parts);
  out.set_feed_entries(stats.feed_entries);
  for (const featurestore::ActiveSpace& space : stats.spaces) *out.add_spaces() = ToProto(space);
  return out;
}

store_pb::EmbeddingWorkerStats ToProto(const featurestore::EmbeddingWorker::Stats& stats) {
  store_pb::EmbeddingWorkerStats out;
  out.set_embedded(stats.embedded);
  out.set_failed(stats.failed);
  out.set_failed_calls(stats.failed_calls);
  if (!stats.last_error.ok()) out.set_last_error(stats.last_error.ToString());
  return out;
}

store_pb::GetStatsResponse ToProto(const featurestore::StoreStats& stats) {
  store_pb::GetStatsResponse out;
  for (const featurestore::CatalogStats& catalog : stats.catalogs)
    *out.add_catalogs() = ToProto(catalog);
  out.set_disk_bytes(stats.disk_bytes);
  out.set_memory_bytes(stats.memory_bytes);
  out.set_format_version(stats.format_version);
  out.set_store_incarnation(stats.incarnation);
  return out;
}

}  // namespace palate::services
