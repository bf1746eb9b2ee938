// What users do (events) and what they were shown (impressions).
//
// Plain values: copyable, no thread safety of their own. They are neither the public messages
// (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert at their edges.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace palate {

struct Event {
  std::string event_id;  // identity within (catalog, user); derived from the content when the
                         // caller sends none
  std::string user_id;
  std::string item_id;
  std::string type;             // a declared event type
  std::optional<double> value;  // a rating, an amount, a dwell time; finite
  absl::Time time = absl::UnixEpoch();
  std::string session_id;
  std::string recommendation_id;  // attribution: the answer that led to the event
};

// What a served list showed, kept for attribution and evaluation.
struct Impression {
  std::string recommendation_id;
  std::string user_id;
  std::string scenario;
  std::vector<std::string> item_ids;
  absl::Time time = absl::UnixEpoch();
};

}  // namespace palate
