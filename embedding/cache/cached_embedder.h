// An embedder that remembers: inputs that were embedded before are answered from a cache, and
// inputs that several calls want at the same time are computed once.
//
// What goes where:
//   an item, of a request that names no user     on disk (ItemCache): catalog content
//   a query, or anything that names a user       in memory only (QueryCache), under that user,
//   until it expires or the user is dropped anything of a request without a catalog      nowhere
// Answers are kept by space, so that a hit needs every space that was asked for. Only answers are
// kept, never failures.
//
// A hit is the vector that the miss computed, bit for bit. Thread-safe.
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
  // Embedder::Embed.
  using Compute = std::function<absl::StatusOr<std::vector<EmbedResult>>(
      std::vector<EmbedInput>, const EmbedOptions&, const CallContext&)>;
  // For whom a call is made.
  struct Caller {
    std::string catalog;
    std::string user_id;
  };

  // `info` describes the model behind `compute`. Borrows the caches, either of which may be null:
  // then nothing of its kind is kept.
  CachedEmbedder(Compute compute, ModelInfo info, ItemCache* items, QueryCache* queries);

  // As `compute`, whose errors it passes on. Blocks.
  absl::StatusOr<std::vector<EmbedResult>> Embed(std::vector<EmbedInput> inputs,
                                                 const EmbedOptions& options, const Caller& caller,
                                                 const CallContext& context);

  // Hits, misses and shared; the sizes are the caches' to tell.
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

  // What the call asks for; empty when it is not a call that `compute` would take.
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
