// The popularity counters and the items' visibility, as a trending board reads them. Private to
// featurestore/.
#pragma once

#include "featurestore/storage/store_core.h"
#include "featurestore/storage/trending.h"

namespace palate::featurestore {

// Thread-safe. Borrows `core`. Reads what is newest: an item that is hidden before the read does
// not come back.
class PopularityReader final : public PopularitySource {
 public:
  PopularityReader(const StoreCore& core, uint32_t catalog) : core_(core), catalog_(catalog) {}
  absl::Status Scan(int64_t oldest_bucket_us,
                    const std::function<void(const PopularityDelta&)>& visit) const override;
  absl::StatusOr<std::vector<Availability>> Available(
      const std::vector<std::string>& item_ids) const override;

 private:
  const StoreCore& core_;
  const uint32_t catalog_;
};

}  // namespace palate::featurestore
