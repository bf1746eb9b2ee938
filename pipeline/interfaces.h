// The four services that the pipeline calls: feature store, embedding, retrieval and ranking.
//
// services/clients implements them over gRPC, offline/training over generated data. Every method is
// thread-safe and blocks until the result arrives, the deadline passes or the call is cancelled.
// Errors besides those that a method names: Unavailable when the service is down, DeadlineExceeded,
// Cancelled.
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
#include "domain/item_number_set.h"
#include "domain/user_context.h"
#include "domain/vector.h"
#include "ranking/ranking_types.h"

namespace palate::pipeline {

// The vectors that are read with items.
struct ItemVectors {
  std::vector<std::string> spaces;
  // Whether also those of a model that a space changes to are read, not only the active one's.
  bool all_fingerprints = false;
};

class FeatureReader {
 public:
  virtual ~FeatureReader() = default;
  // NotFound for an unknown catalog; an unknown user is an empty context.
  virtual absl::StatusOr<UserContext> GetUserContext(UserContextQuery query,
                                                     const CallContext& context) = 0;
  // One entry for each of `item_ids`, in their order; absent for an unknown id.
  virtual absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> GetItems(
      const std::string& catalog, const std::vector<std::string>& item_ids,
      const ItemVectors& vectors, const CallContext& context) = 0;
  // Stores what a response showed. Called in the background, once the response is ready.
  virtual absl::Status WriteImpression(const std::string& catalog, const Impression& impression,
                                       const CallContext& context) = 0;
};

// A query by text, by image, or by both.
struct EmbedQuery {
  std::string model;  // configured name; empty: the server's default
  // Which models' vectors can be searched, in the order of preference: of each space, the first
  // that a loaded model makes is made. Empty: those of `model`.
  std::vector<SpaceKey> wanted = {};
  std::string text;
  std::string image;  // encoded bytes
  std::string instruction;
  // The user of the query: its cached vectors are stored under this user, and purging the user
  // deletes them.
  std::string catalog;
  std::string user_id;  // may be empty: anonymous
};

// The query's vector in one space, and the distribution of the inner products of unrelated queries
// and items there, which calibrates scores.
struct QueryVector {
  SpaceVector vector;
  double score_mean = 0;
  double score_deviation = 1;  // above 0
  // The vector of the query's words in the space of pictures, so that words find pictures.
  bool words_for_image = false;
};

class QueryEmbedder {
 public:
  virtual ~QueryEmbedder() = default;
  // One vector for each part of the query: the text's in space `text`, the image's in space
  // `image`. A part whose wanted vectors no loaded model makes has none; FailedPrecondition when
  // that is so for all parts.
  virtual absl::StatusOr<std::vector<QueryVector>> Embed(const EmbedQuery& query,
                                                         const CallContext& context) = 0;
};

// Vectors to search with, lists of candidates to be checked, and the filter, exclusions and time
// that all of them share.
struct RetrievalRequest {
  std::string catalog;
  std::string filter;  // filter expression; empty means none
  std::vector<std::string> exclude_item_ids;
  ItemNumberSet exclude_item_numbers;
  absl::Time request_time = absl::InfiniteFuture();
  std::vector<VectorQuery> queries;  // their spaces may differ
  std::vector<CandidateList> lists;
};

// The items that one query found, best first, ties by item id; or those of one list that may be
// returned, in its order, with score 0; or the error of the query.
using RetrievalResult = absl::StatusOr<std::vector<ScoredItem>>;

class Retriever {
 public:
  virtual ~Retriever() = default;
  // One result for each query, in their order, then one for each list. A query fails alone for a
  // wrong vector or k, or for a space of another model. The request fails as a whole for what its
  // queries share (InvalidArgument for a wrong filter, NotFound for an unknown catalog) and when
  // retrieval is down.
  virtual absl::StatusOr<std::vector<RetrievalResult>> Search(const RetrievalRequest& request,
                                                              const CallContext& context) = 0;
};

class CandidateRanker {
 public:
  virtual ~CandidateRanker() = default;
  // One score for each candidate, in their order.
  virtual absl::StatusOr<ranking::RankOutput> Rank(const ranking::RankInput& input,
                                                   const CallContext& context) = 0;

  // Called on the calling thread with each piece of text as it is generated. If it returns false,
  // the call ends with Cancelled.
  using OnText = std::function<bool(size_t input_index, const std::string& piece)>;
  // One explanation for each input, in their order. `on_text` may be null. A text that fails the
  // evidence check is not passed to it.
  virtual absl::StatusOr<std::vector<ranking::Explanation>> Explain(
      const std::vector<ranking::ExplainInput>& inputs, const OnText& on_text,
      const CallContext& context) = 0;
};

}  // namespace palate::pipeline
