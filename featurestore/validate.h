// Checks of the store's input. Every error is InvalidField(field, value, limit) with the field's
// path inside the element, named as the public messages name it ("event_time"). Pure functions,
// thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/user.h"
#include "domain/vector.h"
#include "featurestore/options.h"
#include "featurestore/types.h"

namespace palate::featurestore {

// 1 to max_id_bytes bytes of UTF-8 without control characters.
absl::Status ValidateId(absl::string_view field, absl::string_view id, const StoreLimits& limits);
// The same, or empty.
absl::Status ValidateOptionalId(absl::string_view field, absl::string_view id,
                                const StoreLimits& limits);
absl::Status ValidateText(absl::string_view field, absl::string_view text, size_t max_bytes);
// `size` is between 1 and `max`.
absl::Status ValidateBatchSize(absl::string_view field, size_t size, int max);
// 1 to max_page; 0 becomes max_page.
absl::StatusOr<int> ValidatePageSize(int page_size, const StoreLimits& limits);

absl::Status ValidateCatalog(const Catalog& catalog);
// FAILED_PRECONDITION when `now` removes an attribute of `before` or changes its type.
absl::Status ValidateCatalogChange(const Catalog& before, const Catalog& now);

// Checks everything but the pictures.
absl::Status ValidateItem(const Item& item, const Catalog& catalog, const StoreLimits& limits);
// A space that the catalog declares, and a fingerprint.
absl::Status ValidateSpaceKey(absl::string_view field, const SpaceKey& space,
                              const Catalog& catalog, const StoreLimits& limits);
absl::Status ValidateUser(const User& user, const StoreLimits& limits);

struct EventTimeBounds {
  absl::Time earliest;
  absl::Time latest;
};
absl::Status ValidateEvent(const Event& event, const Catalog& catalog,
                           const EventTimeBounds& bounds, const StoreLimits& limits);
absl::Status ValidateImpression(const Impression& impression, const StoreLimits& limits);

}  // namespace palate::featurestore
