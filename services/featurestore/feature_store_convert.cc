#include "services/featurestore/feature_store_convert.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::featurestore::v1;

}  // namespace

absl::StatusOr<featurestore::ItemWrite> FromProto(const types_pb::ItemWrite& write) {
  featurestore::ItemWrite out;
  absl::StatusOr<Item> item = FromProto(write.item());
  if (!item.ok()) return PrefixFields(item.status(), "item");
  out.item = *std::move(item);
  for (const types_pb::ItemImage& image : write.item().images()) {
    featurestore::ImageInput input{image.data(), image.sha256()};
    if (!image.data().empty() && !image.sha256().empty() && Sha256(image.data()) != image.sha256()) {
      return InvalidField(absl::StrCat("item.images[", out.images.size(), "].sha256"), "is not that of the data",
                          "empty or the digest of data");
    }
    out.images.push_back(std::move(input));
  }
  if (!write.update_mask().paths().empty()) {
    out.update_mask.emplace(write.update_mask().paths().begin(), write.update_mask().paths().end());
  }
  if (write.has_expected_revision()) out.expected_revision = write.expected_revision();
  return out;
}

absl::StatusOr<featurestore::CatalogUpdateMask> CatalogMaskFrom(const google::protobuf::FieldMask& mask) {
  if (mask.paths().empty()) return featurestore::CatalogUpdateMask{true, true, true, true, true};
  featurestore::CatalogUpdateMask out;
  const std::pair<const char*, bool*> fields[] = {{"display_name", &out.display_name},
                                                  {"attributes", &out.attributes},
                                                  {"event_types", &out.event_types},
                                                  {"spaces", &out.spaces},
                                                  {"rerank_weight", &out.rerank_weight}};
  for (const std::string& path : mask.paths()) {
    bool known = false;
    for (const auto& [name, flag] : fields) {
      if (path == name) known = *flag = true;
    }
    if (!known) {
      return InvalidField("update_mask", absl::StrCat("names ", QuoteForMessage(path)),
                          "of display_name, attributes, event_types, spaces, rerank_weight");
    }
  }
  return out;
}

featurestore::ItemReadOptions FromProto(const pb::ItemView& view) {
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

pb::GetStatsResponse ToProto(const featurestore::StoreStats& stats) {
  pb::GetStatsResponse out;
  for (const featurestore::CatalogStats& catalog : stats.catalogs) {
    pb::CatalogStats* counts = out.add_catalogs();
    counts->set_catalog(catalog.catalog);
    counts->set_items(catalog.items);
    counts->set_users(catalog.users);
    counts->set_events(catalog.events);
    counts->set_embedding_backlog(catalog.embedding_backlog);
    counts->set_embedding_failed(catalog.embedding_failed);
    counts->set_feed_entries(catalog.feed_entries);
    for (const featurestore::ActiveSpace& space : catalog.spaces) {
      pb::SpaceStats* out_space = counts->add_spaces();
      out_space->set_name(space.name);
      out_space->set_active_fingerprint(space.active_fingerprint);
      out_space->set_target_fingerprint(space.target_fingerprint);
    }
  }
  out.set_disk_bytes(stats.disk_bytes);
  out.set_memory_bytes(stats.memory_bytes);
  out.set_format_version(stats.format_version);
  return out;
}

}  // namespace palate::services
