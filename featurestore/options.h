// How a feature store is opened: its directory, its durability, and the limits on its input.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "domain/limits.h"

namespace palate::featurestore {

enum class Durability {
  kSync,     // an acknowledged write survives power loss; concurrent writers share one fsync
  kRelaxed,  // an acknowledged write survives the death of the process, not of the machine
};

// Limits on input. Exceeding one is InvalidArgument naming field, value and limit.
struct StoreLimits {
  int max_batch = kMaxBatchElements;      // items, ids or users in one call
  int max_event_batch = kMaxBatchEvents;  // events in one call
  int max_id_bytes = kMaxIdBytes;
  int max_title_bytes = kMaxTitleBytes;
  int max_description_bytes = kMaxDescriptionBytes;
  int max_profile_bytes = kMaxProfileBytes;
  int max_attribute_bytes = kMaxAttributeBytes;  // of one string value
  int max_list_values = kMaxListValues;          // in one string-list attribute
  int max_images = kMaxItemImages;               // per item
  int64_t max_image_bytes = kMaxImageBytes;
  int64_t max_image_pixels = kMaxImagePixels;  // declared width * height
  int64_t max_read_image_bytes = 64 << 20;     // pictures in one answer
  int max_page = kMaxPageElements;
  int max_context_events = 5000;  // more than the API's kMaxUserEvents, for callers of the library
  int max_context_list = kMaxContextListItems;  // trending or fresh items in one answer
  int max_dimensions = kMaxDimensions;          // of one vector
};

struct StoreOptions {
  std::string dir;  // created when absent
  Durability durability = Durability::kSync;
  std::shared_ptr<const Clock> clock = std::make_shared<SystemClock>();
  StoreLimits limits;

  // The change feed keeps at most this much; consumers that are further behind must list everything
  // again.
  int64_t feed_max_entries = 1'000'000;  // per catalog
  absl::Duration feed_max_age = absl::Hours(7 * 24);

  // Events older than this are refused, unless the writer skips the bound.
  absl::Duration max_event_lateness = absl::Hours(30 * 24);
  // Events further ahead of the clock than this are always refused.
  absl::Duration max_event_lead = absl::Hours(24);

  int64_t block_cache_bytes = 256 << 20;
  int64_t item_cache_bytes = 128 << 20;   // decoded items with their vectors
  int64_t write_buffer_bytes = 16 << 20;  // per column family
  // Stores up to this size have every checksum verified while opening; larger ones are verified
  // block by block as they are read.
  int64_t verify_on_open_bytes = 256 << 20;
};

}  // namespace palate::featurestore
