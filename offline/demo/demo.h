// The demo: imports a generated shop through the public API, requests recommendations for its
// shoppers, and measures them against the shoppers' hidden tastes.
//
// Uses Palate only through offline::Client. Deterministic except for times and recommendation ids.
// Runs on the calling thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "offline/client.h"
#include "offline/demo/shop.h"
#include "offline/evaluation/served.h"
#include "offline/import/reporter.h"

namespace palate::demo {

struct DemoOptions {
  std::string catalog = "demo-shop";
  ShopOptions shop;        // products and shoppers; no model is trained on seed 1
  int shown_shoppers = 6;  // their recommendations are explained and shown in full
  int num_results = 10;
  int evaluated_shoppers = 120;
  absl::Duration call_timeout = absl::Seconds(60);
};

// What the demo shows about one shopper.
struct ShownShopper {
  const Shopper* shopper = nullptr;
  std::vector<const Event*> recent;  // informative events before the split, newest first
  offline::Answer answer;
};

struct DemoOutcome {
  Shop shop;
  evaluation::ServedQuality quality;
  std::vector<ShownShopper> shoppers;  // point into `shop`
  int explanations = 0;                // of the shown shoppers
  int explanations_by_model = 0;
  absl::Duration time_to_first_answer = absl::ZeroDuration();  // from the start of RunDemo
};

// Imports the shop (into the existing catalog, if there is one), waits until every product is
// searchable, requests recommendations and measures them. Fails when an import or a request fails,
// and with Internal when the server refuses an element.
absl::StatusOr<std::unique_ptr<DemoOutcome>> RunDemo(offline::Client& client,
                                                     const DemoOptions& options,
                                                     offline::Reporter& reporter);

// Text for the terminal: what the shown shoppers did, what they are recommended and why, and the
// quality table.
std::string DescribeOutcome(const DemoOutcome& outcome);

// Shoppers with at least five informative events before the split and a relevant product after it,
// in id order.
std::vector<const Shopper*> ShoppersToMeasure(const Shop& shop);

}  // namespace palate::demo
