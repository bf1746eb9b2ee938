#include "tests/services/shop.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "services/convert/types_convert.h"
#include "tests/services/processes.h"

namespace palate::services {
namespace {

using RecommenderStub = shop_pb::RecommenderService::StubInterface::async_interface;
using CatalogStub = shop_catalog_pb::CatalogService::StubInterface::async_interface;

constexpr absl::Duration kWriteLimit = absl::Seconds(60);

struct Product {
  const char* kind;
  const char* plural;
  const char* description;
};
constexpr Product kProducts[] = {
    {"oak chair", "chairs", "A wooden chair for the dining table."},
    {"reading lamp", "lamps", "A lamp with warm light for the desk."},
    {"hiking tent", "tents", "A light tent for two people in the mountains."}};
constexpr const char* kColors[] = {"red",   "green", "blue",  "yellow",
                                   "black", "white", "brown", "grey"};

absl::Time At(absl::Duration ago) { return absl::Now() - ago; }

}  // namespace

absl::Status Shop::CreateCatalog() {
  shop_catalog_pb::CreateCatalogRequest request;
  types_pb::Catalog* catalog = request.mutable_catalog();
  catalog->set_id("shop");

  for (const char* name : {"kind", "colour"}) {
    types_pb::AttributeDeclaration* attribute = catalog->add_attributes();
    attribute->set_name(name);
    attribute->set_type(types_pb::ATTRIBUTE_TYPE_STRING);
  }
  types_pb::AttributeDeclaration* price = catalog->add_attributes();
  price->set_name("price");
  price->set_type(types_pb::ATTRIBUTE_TYPE_DOUBLE);
  catalog->add_event_types()->set_name("view");

  shop_catalog_pb::CreateCatalogResponse response;
  return CallUnary(catalogs_->async(), &CatalogStub::CreateCatalog, request, response,
                   {.deadline = absl::Now() + kWriteLimit});
}

absl::Status Shop::WriteItems() {
  shop_pb::UpsertItemsRequest request;
  request.set_catalog("shop");

  for (int p = 0; p < 3; ++p) {
    for (int c = 0; c < 8; ++c) {
      types_pb::Item* item = request.add_writes()->mutable_item();
      item->set_id(absl::StrCat(kProducts[p].plural, "-", c));
      item->set_title(absl::StrCat(kColors[c], " ", kProducts[p].kind));
      item->set_description(kProducts[p].description);
      (*item->mutable_attributes())["kind"].set_string_value(kProducts[p].plural);
      (*item->mutable_attributes())["colour"].set_string_value(kColors[c]);
      (*item->mutable_attributes())["price"].set_double_value(10.0 * (c + 1));
      if (c % 2 == 0)
        item->add_images()->set_data(MakePng(32, 24, static_cast<unsigned char>(30 * c), 90,
                                             static_cast<unsigned char>(80 * p)));
    }
  }

  shop_pb::UpsertItemsResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(recommender_->async(), &RecommenderStub::UpsertItems, request,
                                   response, {.deadline = absl::Now() + kWriteLimit}));
  return response.failures().empty() ? absl::OkStatus()
                                     : FromRpcStatus(response.failures(0).status());
}

absl::Status Shop::WriteEvents() {
  shop_pb::WriteEventsRequest request;
  request.set_catalog("shop");

  for (int u = 0; u < 3; ++u) {
    for (int i = 0; i < 4; ++i) {
      types_pb::Event* event = request.add_events();
      event->set_user_id(absl::StrCat("u", u));
      event->set_item_id(absl::StrCat(kProducts[u].plural, "-", i));
      event->set_event_type("view");
      *event->mutable_event_time() = ToProto(At(absl::Hours(i + 1)));
    }
  }

  shop_pb::WriteEventsResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(recommender_->async(), &RecommenderStub::WriteEvents, request,
                                   response, {.deadline = absl::Now() + kWriteLimit}));
  return response.failures().empty() ? absl::OkStatus()
                                     : FromRpcStatus(response.failures(0).status());
}

absl::Status Shop::Fill() {
  PALATE_RETURN_IF_ERROR(CreateCatalog());
  PALATE_RETURN_IF_ERROR(WriteItems());
  return WriteEvents();
}

absl::Status Shop::Add(const std::string& id, const std::string& title) {
  shop_pb::UpsertItemsRequest request;
  request.set_catalog("shop");
  request.add_writes()->mutable_item()->set_id(id);
  request.mutable_writes(0)->mutable_item()->set_title(title);

  shop_pb::UpsertItemsResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(recommender_->async(), &RecommenderStub::UpsertItems, request,
                                   response, {.deadline = absl::Now() + kWriteLimit}));
  return response.failures().empty() ? absl::OkStatus()
                                     : FromRpcStatus(response.failures(0).status());
}

absl::StatusOr<shop_pb::RecommendResponse> Shop::Recommend(const std::string& user,
                                                           absl::Duration timeout,
                                                           types_pb::ExplainMode explain,
                                                           const std::string& filter) {
  shop_pb::RecommendRequest request;
  request.set_catalog("shop");
  request.set_user_id(user);
  request.set_num_results(5);
  request.set_explain(explain);
  request.set_filter(filter);

  shop_pb::RecommendResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(recommender_->async(), &RecommenderStub::Recommend, request,
                                   response, {.deadline = absl::Now() + timeout}));
  return response;
}

absl::StatusOr<shop_pb::SearchResponse> Shop::Search(const std::string& text,
                                                     absl::Duration timeout) {
  shop_pb::SearchRequest request;
  request.set_catalog("shop");
  request.mutable_query()->set_text(text);
  request.set_num_results(5);

  shop_pb::SearchResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(recommender_->async(), &RecommenderStub::Search, request,
                                   response, {.deadline = absl::Now() + timeout}));
  return response;
}

shop_pb::StageReport FindStage(const shop_pb::RecommendResponse& response, shop_pb::Stage stage) {
  for (const shop_pb::StageReport& report : response.stages()) {
    if (report.stage() == stage) return report;
  }
  return {};
}

bool Notes(const shop_pb::StageReport& report, shop_pb::Degradation degradation) {
  for (const shop_pb::StageNote& note : report.notes()) {
    if (note.degradation() == degradation) return true;
  }
  return false;
}

}  // namespace palate::services
