// A small shop for end-to-end tests, written and queried over any channel through the public API.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "services/runtime/client_call.h"

namespace palate::services {

namespace shop_pb = palate::recommender::v1;
namespace shop_catalog_pb = palate::catalog::v1;

class Shop {
 public:
  explicit Shop(std::shared_ptr<grpc::Channel> channel)
      : recommender_(shop_pb::RecommenderService::NewStub(channel)),
        catalogs_(shop_catalog_pb::CatalogService::NewStub(channel)) {}

  // Creates catalog "shop" with 24 items, some with images, and the events of three users: u0 likes
  // chairs, u1 lamps, u2 tents.
  absl::Status Fill();
  // Adds an item without an image.
  absl::Status Add(const std::string& id, const std::string& title);

  absl::StatusOr<shop_pb::RecommendResponse> Recommend(
      const std::string& user, absl::Duration timeout,
      types::v1::ExplainMode explain = types::v1::EXPLAIN_MODE_NONE,
      const std::string& filter = "");
  absl::StatusOr<shop_pb::SearchResponse> Search(const std::string& text, absl::Duration timeout);

  shop_pb::RecommenderService::Stub& recommender() { return *recommender_; }
  shop_catalog_pb::CatalogService::Stub& catalogs() { return *catalogs_; }

 private:
  absl::Status CreateCatalog();
  absl::Status WriteItems();
  absl::Status WriteEvents();

  std::unique_ptr<shop_pb::RecommenderService::Stub> recommender_;
  std::unique_ptr<shop_catalog_pb::CatalogService::Stub> catalogs_;
};

// The report of `stage`; empty when there is none.
shop_pb::StageReport FindStage(const shop_pb::RecommendResponse& response, shop_pb::Stage stage);
bool Notes(const shop_pb::StageReport& report, shop_pb::Degradation degradation);

}  // namespace palate::services
