// Converts between GetUserContext's messages and the domain's types, for the feature store's
// service and its client (see services/convert/types_convert.h). Arguments are values where that
// lets strings be moved instead of copied.
//
#pragma once

#include "absl/status/statusor.h"
#include "domain/user_context.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"

namespace palate::services {

palate::featurestore::v1::GetUserContextRequest ToProto(UserContextQuery query);
absl::StatusOr<UserContextQuery> FromProto(
    const palate::featurestore::v1::GetUserContextRequest& request);

palate::featurestore::v1::GetUserContextResponse ToProto(UserContext context);
// The message identifies the item of an event by its id; FromProto sets ContextEvent::item_index.
absl::StatusOr<UserContext> FromProto(palate::featurestore::v1::GetUserContextResponse response);

}  // namespace palate::services
