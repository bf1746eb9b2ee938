#include "services/convert/change_convert.h"

#include <utility>

#include "base/status.h"

namespace palate::services {

store_pb::ChangeKind ToProto(featurestore::ChangeKind kind) {
  switch (kind) {
    case featurestore::ChangeKind::kItemUpserted:
      return store_pb::CHANGE_KIND_ITEM_UPSERTED;
    case featurestore::ChangeKind::kItemDeleted:
      return store_pb::CHANGE_KIND_ITEM_DELETED;
    case featurestore::ChangeKind::kVectorsChanged:
      return store_pb::CHANGE_KIND_VECTORS_CHANGED;
    case featurestore::ChangeKind::kUserChanged:
      return store_pb::CHANGE_KIND_USER_CHANGED;
    case featurestore::ChangeKind::kUserPurged:
      return store_pb::CHANGE_KIND_USER_PURGED;
    case featurestore::ChangeKind::kCatalogChanged:
      return store_pb::CHANGE_KIND_CATALOG_CHANGED;
    case featurestore::ChangeKind::kCatalogDeleted:
      return store_pb::CHANGE_KIND_CATALOG_DELETED;
    case featurestore::ChangeKind::kSpacesSwitched:
      return store_pb::CHANGE_KIND_SPACES_SWITCHED;
  }

  return store_pb::CHANGE_KIND_UNSPECIFIED;
}

store_pb::Change ToProto(const featurestore::Change& change, const std::string& catalog) {
  store_pb::Change out;
  out.set_kind(ToProto(change.kind));
  out.set_catalog(catalog);
  out.set_key(change.key);
  out.set_revision(change.revision);
  *out.mutable_write_time() = ToProto(change.write_time);
  return out;
}

absl::StatusOr<std::optional<retrieval::Change::Kind>> FromProto(store_pb::ChangeKind kind) {
  switch (kind) {
    case store_pb::CHANGE_KIND_ITEM_UPSERTED:
    case store_pb::CHANGE_KIND_VECTORS_CHANGED:
      return retrieval::Change::Kind::kItem;
    case store_pb::CHANGE_KIND_ITEM_DELETED:
      return retrieval::Change::Kind::kDelete;
    case store_pb::CHANGE_KIND_CATALOG_CHANGED:
    case store_pb::CHANGE_KIND_SPACES_SWITCHED:
      return retrieval::Change::Kind::kCatalog;
    case store_pb::CHANGE_KIND_CATALOG_DELETED:
      return retrieval::Change::Kind::kCatalogDeleted;
    case store_pb::CHANGE_KIND_USER_CHANGED:
    case store_pb::CHANGE_KIND_USER_PURGED:
      return std::nullopt;
    case store_pb::CHANGE_KIND_UNSPECIFIED:
    case store_pb::ChangeKind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case store_pb::ChangeKind_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(kind, "ChangeKind");
}

absl::StatusOr<std::optional<retrieval::Change>> FromProto(const store_pb::Change& change) {
  PALATE_ASSIGN_OR_RETURN(const std::optional<retrieval::Change::Kind> kind,
                          PrefixFields(FromProto(change.kind()), "kind"));
  if (!kind.has_value()) return std::nullopt;

  retrieval::Change out;
  out.kind = *kind;
  out.catalog = change.catalog();
  out.revision = change.revision();
  const bool of_item =
      *kind == retrieval::Change::Kind::kItem || *kind == retrieval::Change::Kind::kDelete;
  if (of_item) out.item_id = change.key();
  if (change.has_write_time()) {
    PALATE_ASSIGN_OR_RETURN(out.time, FromProto(change.write_time(), "write_time"));
  }
  return out;
}

absl::Status FromProto(const types_pb::ItemRecord& record, retrieval::ItemUpdate& out) {
  PALATE_ASSIGN_OR_RETURN(Item item, PrefixFields(FromProto(record.item()), "item"));
  out.item_id = std::move(item.id);
  out.revision = item.revision;
  out.attributes = std::move(item.attributes);
  out.hidden = item.hidden;
  out.expire_time = item.expire_time;
  out.number = record.number();

  return ConvertList(record.vectors(), "vectors", FromProto, out.vectors);
}

}  // namespace palate::services
