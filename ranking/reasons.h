// The names of the candidate sources in ExplainInput::reasons and in the public API. The pipeline
// sets them, the explanation plan derives from them what may be said, and the trainer uses the same
// ones.
#pragma once

namespace palate::ranking {

inline constexpr char kContentReason[] = "content";  // similar to what the user likes
inline constexpr char kContextReason[] = "context";  // similar to an item of the request's context
inline constexpr char kQueryReason[] = "query";      // similar to the user's query
inline constexpr char kTrendingReason[] = "trending";  // popular recently
inline constexpr char kFreshReason[] = "fresh";        // newly arrived
// Chosen by users who chose the same items.
inline constexpr char kCoEngagementReason[] = "co_engagement";
inline constexpr char kCallerReason[] = "caller";  // listed by the caller; supports no claim
// One of all that may be shown, because there is little else; supports no claim.
inline constexpr char kCatalogReason[] = "catalog";

}  // namespace palate::ranking
