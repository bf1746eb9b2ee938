// The demo: a generated shop goes through the public API, its shoppers are recommended to, and the
// answers are measured against the truth.
//
// Talks to Palate through offline::Client alone. Deterministic but for times and recommendation
// ids. One thread.
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
  ShopOptions shop;        // products and shoppers; seed 1 is never trained on
  int shown_shoppers = 6;  // explained and shown in full
  int num_results = 10;
  int evaluated_shoppers = 120;
  absl::Duration call_timeout = absl::Seconds(60);
};

// One shopper as the demo shows them.
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
  absl::Duration time_to_first_answer = absl::ZeroDuration();
};

// Loads the shop (a catalog that is already there is used again), waits until everything is
// searchable, asks and measures.
absl::StatusOr<std::unique_ptr<DemoOutcome>> RunDemo(offline::Client& client,
                                                     const DemoOptions& options,
                                                     offline::Reporter& reporter);

// For the terminal: what the shown shoppers did, what they are recommended and why, and the quality
// table.
std::string DescribeOutcome(const DemoOutcome& outcome);

// Shoppers with enough history before the split and something relevant after it, by id.
std::vector<const Shopper*> ShoppersToMeasure(const Shop& shop);

}  // namespace palate::demo
