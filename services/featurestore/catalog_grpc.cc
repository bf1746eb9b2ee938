#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/featurestore/feature_store_convert.h"
#include "services/featurestore/feature_store_grpc.h"

namespace palate::services {
namespace {

namespace catalog_pb = palate::catalog::v1;

}  // namespace

CatalogGrpc::CatalogGrpc(featurestore::FeatureStore& store, ThreadPool& pool)
    : RpcService("palate.catalog.v1.CatalogService", pool), store_(store) {
  Unary("CreateCatalog", this, &CatalogGrpc::CreateCatalog);
  Unary("GetCatalog", this, &CatalogGrpc::GetCatalog);
  Unary("UpdateCatalog", this, &CatalogGrpc::UpdateCatalog);
  Unary("ListCatalogs", this, &CatalogGrpc::ListCatalogs);
  Unary("DeleteCatalog", this, &CatalogGrpc::DeleteCatalog);
  CheckComplete();
}

absl::Status CatalogGrpc::CreateCatalog(Call&, const catalog_pb::CreateCatalogRequest& request,
                                        catalog_pb::CreateCatalogResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog,
                          PrefixFields(FromProto(request.catalog()), "catalog"));
  PALATE_ASSIGN_OR_RETURN(const Catalog created,
                          PrefixFields(store_.CreateCatalog(catalog), "catalog"));

  *response.mutable_catalog() = ToProto(created);
  return absl::OkStatus();
}

absl::Status CatalogGrpc::GetCatalog(Call&, const catalog_pb::GetCatalogRequest& request,
                                     catalog_pb::GetCatalogResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog, store_.GetCatalog(request.catalog()));
  *response.mutable_catalog() = ToProto(catalog);
  return absl::OkStatus();
}

absl::Status CatalogGrpc::UpdateCatalog(Call&, const catalog_pb::UpdateCatalogRequest& request,
                                        catalog_pb::UpdateCatalogResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog,
                          PrefixFields(FromProto(request.catalog()), "catalog"));
  PALATE_ASSIGN_OR_RETURN(const CatalogUpdateMask mask,
                          PrefixFields(FromProto(request.update_mask()), "update_mask"));
  std::optional<int64_t> expected;
  if (request.has_expected_revision()) expected = request.expected_revision();

  PALATE_ASSIGN_OR_RETURN(const Catalog updated,
                          PrefixFields(store_.UpdateCatalog(catalog, mask, expected), "catalog"));

  *response.mutable_catalog() = ToProto(updated);
  return absl::OkStatus();
}

absl::Status CatalogGrpc::ListCatalogs(Call&, const catalog_pb::ListCatalogsRequest& request,
                                       catalog_pb::ListCatalogsResponse& response) {
  if (request.page_size() < 0 || request.page_size() > kMaxPageElements) {
    return InvalidField("page_size", absl::StrCat("is ", request.page_size()),
                        absl::StrCat("0 to ", kMaxPageElements));
  }

  const int page_size = request.page_size() == 0 ? kDefaultPageElements : request.page_size();
  PALATE_ASSIGN_OR_RETURN(const featurestore::CatalogPage page,
                          store_.ListCatalogs(page_size, request.page_token()));
  for (const Catalog& catalog : page.catalogs) *response.add_catalogs() = ToProto(catalog);
  response.set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

absl::Status CatalogGrpc::DeleteCatalog(Call&, const catalog_pb::DeleteCatalogRequest& request,
                                        catalog_pb::DeleteCatalogResponse&) {
  return store_.DeleteCatalog(request.catalog());
}

}  // namespace palate::services
