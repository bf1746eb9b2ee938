// The four things that the request's life needs from outside: the feature store, the embedder, the
// retriever and the ranker.
//
// services/ binds them to gRPC stubs, offline batch to the libraries. Every method is thread-safe
// and blocks until it is answered, until the call's deadline or until its cancellation. Unavailable
// when the part is down, DeadlineExceeded when time ran out, Cancelled.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/user_context.h"
#include "domain/vector.h"
#include "ranking/ranking_types.h"

namespace palate::pipeline {

class FeatureReader {
 public:
  virtual ~FeatureReader() = default;
  // NotFound for an unknown catalog; an unknown user is an empty context.
  virtual absl::StatusOr<UserContext> GetUserContext(UserContextQuery query,
                                                     const CallContext& context) = 0;
  // In the order of `item_ids`; unknown ids are absent entries.
  virtual absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> GetItems(
      const std::string& catalog, const std::vector<std::string>& item_ids,
      const std::vector<std::string>& spaces, const CallContext& context) = 0;
  // Called after the response went out.
  virtual absl::Status WriteImpression(const std::string& catalog, const Impression& impression,
                                       const CallContext& context) = 0;
};

// A query in words, in pictures (encoded bytes), or both.
struct EmbedQuery {
  std::string model;
  std::string text;
  std::string image;
  std::string instruction;
  // Whose query it is: what is remembered of it is kept under them, and goes with them.
  std::string catalog;
  std::string user_id;  // may be empty: anonymous
};

// The query's vector per space, with how scores in that space are distributed for such queries.
struct QueryVector {
  SpaceVector vector;
  double score_mean = 0;       // of the inner products of unrelated pairs
  double score_deviation = 1;  // their standard deviation; above 0
};

class QueryEmbedder {
 public:
  virtual ~QueryEmbedder() = default;
  // Text gives space `text`, an image gives space `image`.
  virtual absl::StatusOr<std::vector<QueryVector>> Embed(const EmbedQuery& query,
                                                         const CallContext& context) = 0;
};

// Many vectors to search with, all under the same filter, exclusions and time.
struct RetrievalRequest {
  std::string catalog;
  std::string filter;  // filter expression; empty means none
  std::vector<std::string> exclude_item_ids;
  absl::Time request_time = absl::InfiniteFuture();
  std::vector<VectorQuery> queries;  // their spaces may differ
};

// What one query found, best first, ties by item id; or why the query failed.
using RetrievalResult = absl::StatusOr<std::vector<ScoredItem>>;

class Retriever {
 public:
  virtual ~Retriever() = default;
  // One result for each query, in order. Queries fail alone (wrong vector or k, another model's
  // space); the request fails as a whole for what its queries share (InvalidArgument for a wrong
  // filter, NotFound for an unknown catalog) and when retrieval is down.
  virtual absl::StatusOr<std::vector<RetrievalResult>> Search(const RetrievalRequest& request,
                                                              const CallContext& context) = 0;
};

class CandidateRanker {
 public:
  virtual ~CandidateRanker() = default;
  virtual absl::StatusOr<ranking::RankOutput> Rank(const ranking::RankInput& input,
                                                   const CallContext& context) = 0;

  // Called with pieces of text as they are generated, from the calling thread. Return false to
  // stop: the call ends with Cancelled.
  using OnText = std::function<bool(size_t input_index, const std::string& piece)>;
  // One explanation per input, in order. `on_text` may be null; a text that fails the evidence
  // check is never streamed.
  virtual absl::StatusOr<std::vector<ranking::Explanation>> Explain(
      const std::vector<ranking::ExplainInput>& inputs, const OnText& on_text,
      const CallContext& context) = 0;
};

}  // namespace palate::pipeline
