// Between GetUserContext's messages and the domain's types: the one pair of functions that the
// feature store's service and its client share. Thread-safe: free functions over values. By value
// where that lets strings be moved instead of copied.
//
// FromProto returns InvalidField with a path relative to the message for what only the message can
// get wrong; limits are for the service and the library to check.
#pragma once

#include "absl/status/statusor.h"
#include "domain/user_context.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"

namespace palate::services {

palate::featurestore::v1::GetUserContextRequest ToProto(UserContextQuery query);
absl::StatusOr<UserContextQuery> FromProto(
    const palate::featurestore::v1::GetUserContextRequest& request);

palate::featurestore::v1::GetUserContextResponse ToProto(UserContext context);
// The message names the item of an event by its id; here ContextEvent::item_index is found again.
absl::StatusOr<UserContext> FromProto(palate::featurestore::v1::GetUserContextResponse response);

}  // namespace palate::services
