// An embedder with caches: inputs that were embedded before are answered from a cache, and an input
// that several calls request at the same time is computed once.
//
// Usage:
//   const auto compute = [&embedder](std::vector<EmbedInput> inputs, const EmbedOptions& options,
//                                    const CallContext& context) {
//     return embedder.Embed(std::move(inputs), options, context);
//   };
//   CachedEmbedder cached(compute, embedder.info(), &item_cache, &query_cache);
//   PALATE_ASSIGN_OR_RETURN(const std::vector<EmbedResult> results,
//                           cached.Embed(inputs, {}, {.catalog = "shop", .user_id = ""}, context));
//
// Results are cached as follows:
//
//   an item, in a request without a user       on disk (ItemCache): catalog content
//   a query, or any request with a user        in memory only (QueryCache), under that user,
//                                              until it expires or the user is dropped
//   any request without a catalog              not at all
//
// Results are cached per space; a hit requires all requested spaces. Failures, and results with
// failed parts, are never cached. A hit returns the vector of the miss bit for bit. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/call_context.h"
#include "embedding/cache/item_cache.h"
#include "embedding/cache/query_cache.h"
#include "embedding/cache/single_flight.h"
#include "embedding/embedder.h"

namespace palate::embedding {

class CachedEmbedder {
 public:
  // Has the contract of Embedder::Embed.
  using Compute = std::function<absl::StatusOr<std::vector<EmbedResult>>(
      std::vector<EmbedInput>, const EmbedOptions&, const CallContext&)>;
  // The catalog and user of a call; both may be empty.
  struct Caller {
    std::string catalog;
    std::string user_id;
  };

  // `info` describes the model of `compute`. Borrows the caches; either may be null, which disables
  // it.
  CachedEmbedder(Compute compute, ModelInfo info, ItemCache* items, QueryCache* queries);

  // Returns what `compute` would, including its errors. Blocks.
  absl::StatusOr<std::vector<EmbedResult>> Embed(std::vector<EmbedInput> inputs,
                                                 const EmbedOptions& options, const Caller& caller,
                                                 const CallContext& context);

  // Only hits, misses and shared; the caches report the other counters.
  CacheStats item_counts() const { return item_counters_.Read(); }
  CacheStats query_counts() const { return query_counters_.Read(); }

 private:
  class Pass;
  struct Counters {
    std::atomic<int64_t> hits = 0;
    std::atomic<int64_t> misses = 0;
    std::atomic<int64_t> shared = 0;
    CacheStats Read() const {
      CacheStats stats;
      stats.hits = hits;
      stats.misses = misses;
      stats.shared = shared;
      return stats;
    }
  };

  // The requested spaces; empty if `compute` would refuse the call.
  std::vector<SpaceKey> Spaces(const EmbedOptions& options) const;

  const Compute compute_;
  const ModelInfo info_;
  ItemCache* const items_;
  QueryCache* const queries_;
  SingleFlight flights_;
  Counters item_counters_;
  Counters query_counters_;
};

}  // namespace palate::embedding
