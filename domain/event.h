// The actions of users (events) and the lists that they were shown (impressions).
//
// Plain values: copyable, no synchronization. They are neither the public messages
// (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert between them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace palate {

struct Event {
  std::string event_id;  // unique within a catalog and user; derived from the other fields if the
                         // caller sends none
  std::string user_id;
  std::string item_id;
  std::string type;             // a declared event type
  std::optional<double> value;  // a rating, an amount, a dwell time; finite
  absl::Time time = absl::UnixEpoch();
  std::string session_id;
  std::string recommendation_id;  // attribution: the result list that led to the event
};

// A result list that was shown, stored for attribution and evaluation.
struct Impression {
  std::string recommendation_id;
  std::string user_id;
  std::string scenario;
  std::vector<std::string> item_ids;
  absl::Time time = absl::UnixEpoch();
};

}  // namespace palate
