// The names of the candidate sources, as ExplainInput::reasons and the public API carry them. The
// pipeline says which of them brought an item, the explanation plan reads what they allow to be
// said, the trainer teaches the same ones: all by these constants.
#pragma once

namespace palate::ranking {

inline constexpr char kContentReason[] = "content";  // near what the user likes
inline constexpr char kContextReason[] =
    "context";  // near an item of the request's context: "similar to what you have open"
inline constexpr char kQueryReason[] = "query";        // near what the user searched for
inline constexpr char kTrendingReason[] = "trending";  // popular of late
inline constexpr char kFreshReason[] = "fresh";        // newly arrived
inline constexpr char kCoEngagementReason[] =
    "co_engagement";                               // chosen by users with the same items
inline constexpr char kCallerReason[] = "caller";  // the caller's own list; says nothing

}  // namespace palate::ranking
