// Fakes of the four services that the pipeline calls, each of which can be down: for tests of
// stages, degradations and streaming.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/call_context.h"
#include "base/mutex.h"
#include "pipeline/interfaces.h"
#include "pipeline/user_model.h"
#include "retrieval/filter.h"

namespace palate::pipeline {

inline const SpaceKey kText{"text", "model-a"};
inline const SpaceKey kImage{"image", "model-a"};

// A catalog of items with two-dimensional vectors, one user's events, trending and fresh lists.
class FakeFeatures final : public FeatureReader {
 public:
  FakeFeatures() {
    context.catalog.id = "shop";
    context.catalog.attributes = {{"color", AttributeType::kString, true},
                                  {"price", AttributeType::kDouble, true}};
    context.catalog.event_types = {
        {"like", 1.0, true, false}, {"rating", 1.0, true, true}, {"dislike", -1.0, true, false}};
    context.catalog.spaces = {{"text", "", 2}, {"image", "", 2}};
    context.catalog.rerank_weight = 0.5;
  }

  ItemWithVectors& AddItem(const std::string& id, std::vector<float> text_vector) {
    ItemWithVectors& record = items[id];
    record.item.id = id;
    record.item.title = absl::StrCat("Item ", id);
    record.item.revision = 1;
    if (record.item.number == 0) record.item.number = static_cast<uint32_t>(items.size());
    Normalize(text_vector);
    record.vectors = {{kText, std::move(text_vector)}};
    return record;
  }

  void AddEvent(const std::string& item_id, double weight, absl::Time time) {
    ContextEvent event;
    event.event.item_id = item_id;
    event.event.type = weight < 0 ? "dislike" : "like";
    event.event.time = time;
    event.weight = weight;
    event.item_index = IndexOf(item_id);
    context.events.push_back(std::move(event));
    context.seen.Add(items.at(item_id).item.number);
  }

  absl::StatusOr<UserContext> GetUserContext(UserContextQuery query, const CallContext&) override {
    if (down) return absl::UnavailableError("feature store is down");
    if (query.catalog != "shop")
      return absl::NotFoundError(absl::StrCat("catalog ", query.catalog));
    last_query = std::move(query);

    UserContext answer = context;
    if (last_query.user_id.empty()) {
      answer.events.clear();
      answer.items.clear();
      answer.seen = {};
    }
    return answer;
  }

  absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> GetItems(
      const std::string&, const std::vector<std::string>& ids, const ItemVectors& vectors,
      const CallContext&) override {
    if (down) return absl::UnavailableError("feature store is down");
    item_reads.push_back(ids);
    std::vector<std::optional<ItemWithVectors>> records;
    for (const std::string& id : ids) {
      const auto found = items.find(id);
      records.push_back(found == items.end() ? std::nullopt
                                             : std::optional<ItemWithVectors>(found->second));
      if (records.back().has_value() && !vectors.all_fingerprints) KeepActive(*records.back());
    }
    return records;
  }

  absl::Status WriteImpression(const std::string&, const Impression& impression,
                               const CallContext&) override {
    MutexLock lock(mutex);
    impressions.push_back(impression);
    return absl::OkStatus();
  }

  bool down = false;
  UserContext context;
  std::map<std::string, ItemWithVectors> items;
  UserContextQuery last_query;
  std::vector<std::vector<std::string>> item_reads;  // the ids of each GetItems
  Mutex mutex;
  std::vector<Impression> impressions ABSL_GUARDED_BY(mutex);

 private:
  // Without vectors of models that a space changes to.
  void KeepActive(ItemWithVectors& record) const {
    std::erase_if(record.vectors, [&](const SpaceVector& vector) {
      return std::any_of(context.spaces.begin(), context.spaces.end(), [&](const auto& space) {
        return space.name == vector.space.name &&
               space.active_fingerprint != vector.space.fingerprint;
      });
    });
  }

  // The index of the item in context.items, to which it is added if it is absent.
  int IndexOf(const std::string& item_id) {
    for (size_t i = 0; i < context.items.size(); ++i) {
      if (context.items[i].item.id == item_id) return static_cast<int>(i);
    }
    context.items.push_back(items.at(item_id));
    return static_cast<int>(context.items.size()) - 1;
  }
};

class FakeEmbedder final : public QueryEmbedder {
 public:
  absl::StatusOr<std::vector<QueryVector>> Embed(const EmbedQuery& query,
                                                 const CallContext& context) override {
    last_query = query;
    last_deadline = context.deadline;
    if (blocks) return BlockUntilCancelled(context);
    if (down) return absl::UnavailableError("embedding is down");
    if (!error.ok()) return error;
    QueryVector vector;
    vector.vector = {space, query_vector};
    if (!query.wanted.empty()) {
      const auto made =
          std::find_if(query.wanted.begin(), query.wanted.end(),
                       [&](const SpaceKey& wanted) { return loaded.contains(wanted.fingerprint); });
      if (made == query.wanted.end())
        return absl::FailedPreconditionError("wanted: no loaded model makes them");
      vector.vector.space = *made;
    }
    vector.score_mean = 0.1;
    vector.score_deviation = 0.2;
    std::vector<QueryVector> vectors = {vector};
    if (!words_for_image.empty()) {
      vectors.push_back({.vector = {kImage, words_for_image},
                         .score_mean = 0,
                         .score_deviation = 0.5,
                         .words_for_image = true});
    }
    return vectors;
  }

  // Waits until a blocking Embed() has begun.
  void WaitUntilBlocked() {
    MutexLock lock(mutex);
    while (!blocked) changed.Wait(mutex);
  }

  bool down = false;
  // Embed() blocks until the call is cancelled, and then sets saw_cancellation, or for a minute.
  bool blocks = false;
  absl::Status error;  // of every call
  std::vector<float> query_vector = {1, 0};
  std::vector<float> words_for_image;  // a second vector of every query; empty: none
  SpaceKey space = kText;              // of vectors that no fingerprint is wanted of
  std::set<std::string> loaded = {kText.fingerprint};  // fingerprints that it makes
  EmbedQuery last_query;
  absl::Time last_deadline;
  Mutex mutex;
  CondVar changed;
  bool blocked ABSL_GUARDED_BY(mutex) = false;
  bool saw_cancellation ABSL_GUARDED_BY(mutex) = false;
  std::thread::id blocked_thread ABSL_GUARDED_BY(mutex);

 private:
  absl::Status BlockUntilCancelled(const CallContext& context) {
    const CancelRegistration wake = context.OnCancel([this] {
      MutexLock lock(mutex);
      changed.SignalAll();
    });
    MutexLock lock(mutex);
    blocked = true;
    blocked_thread = std::this_thread::get_id();
    changed.SignalAll();

    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!context.cancelled() && absl::Now() < end) changed.WaitFor(mutex, end - absl::Now());
    saw_cancellation = context.cancelled();
    return context.Check("embedding");
  }
};

// Searches the fake features' items by brute force and ignores the filter, so that the pipeline has
// to apply it. Lists are answered by filter and exclusions.
class FakeRetriever final : public Retriever {
 public:
  explicit FakeRetriever(const FakeFeatures& features) : features_(features) {}

  absl::StatusOr<std::vector<RetrievalResult>> Search(const RetrievalRequest& request,
                                                      const CallContext&) override {
    requests.push_back(request);
    if (down) return absl::UnavailableError("retrieval is down");
    if (!error.ok()) return error;
    std::vector<RetrievalResult> results;
    for (const VectorQuery& query : request.queries) results.push_back(SearchOne(query));
    for (const CandidateList& list : request.lists) results.push_back(CheckList(request, list));
    if (after_search) after_search();
    return results;
  }

  bool down = false;
  std::function<void()> after_search;
  absl::Status error;        // of every request
  std::string broken_space;  // searches of this space fail with space_error
  absl::Status space_error = absl::FailedPreconditionError("served with another model");
  std::string empty_space;  // no item has a vector in it
  std::vector<RetrievalRequest> requests;

 private:
  RetrievalResult SearchOne(const VectorQuery& query) const {
    if (query.vector.space.name == broken_space) return space_error;
    std::vector<ScoredItem> hits;
    if (query.vector.space.name == empty_space) return hits;
    for (const auto& [id, record] : features_.items) {
      for (const SpaceVector& vector : record.vectors) {
        if (vector.space == query.vector.space)
          hits.push_back({id, Dot(vector.values, query.vector.values)});
      }
    }

    std::stable_sort(hits.begin(), hits.end(),
                     [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
    if (static_cast<int>(hits.size()) > query.k) hits.resize(query.k);
    return hits;
  }

  RetrievalResult CheckList(const RetrievalRequest& request, const CandidateList& list) const {
    const absl::StatusOr<retrieval::Filter> filter = retrieval::Filter::Parse(
        request.filter.empty() ? "" : request.filter, features_.context.catalog.attributes);
    std::vector<std::string> ids = list.item_ids;
    if (ids.empty()) {
      for (const auto& [id, record] : features_.items) ids.push_back(id);
    }
    const auto& excluded = request.exclude_item_ids;
    std::vector<ScoredItem> allowed;
    for (const std::string& id : ids) {
      const auto found = features_.items.find(id);
      if (static_cast<int>(allowed.size()) == list.k || found == features_.items.end()) continue;
      const Item& item = found->second.item;
      if (item.hidden || request.exclude_item_numbers.Contains(item.number) ||
          std::find(excluded.begin(), excluded.end(), id) != excluded.end())
        continue;
      if (!request.filter.empty() && filter.ok() && !filter->Matches(item.attributes)) continue;
      allowed.push_back({id, 0});
    }
    return allowed;
  }

  const FakeFeatures& features_;
};

// Scores a candidate by `scores`; explains with a fixed text.
class FakeRanker final : public CandidateRanker {
 public:
  absl::StatusOr<ranking::RankOutput> Rank(const ranking::RankInput& input,
                                           const CallContext&) override {
    ++rank_calls;
    last_input = input;
    if (!rank_status.ok()) return rank_status;

    ranking::RankOutput output;
    output.model_fingerprint = "lm-1";
    output.unused_fields = unused_fields;
    for (const ranking::ItemFacts& item : input.candidates) {
      const auto found = scores.find(item.item_id);
      output.scores.push_back(found == scores.end() ? 0 : found->second);
    }
    return output;
  }

  absl::StatusOr<std::vector<ranking::Explanation>> Explain(
      const std::vector<ranking::ExplainInput>& inputs, const OnText& on_text,
      const CallContext&) override {
    if (!explain_status.ok()) return explain_status;

    explained = inputs;
    std::vector<ranking::Explanation> explanations;
    for (size_t i = 0; i < inputs.size(); ++i) {
      ranking::Explanation explanation;
      explanation.text = absl::StrCat("Because of ", inputs[i].item.item_id, ".");
      explanation.source = template_cause == ranking::TemplateCause::kNone
                               ? ranking::ExplanationSource::kLlm
                               : ranking::ExplanationSource::kTemplate;
      explanation.cause = template_cause;
      if (on_text != nullptr && !on_text(i, explanation.text))
        return absl::CancelledError("stopped");
      explanations.push_back(std::move(explanation));
    }
    return explanations;
  }

  absl::Status rank_status;
  absl::Status explain_status;
  ranking::TemplateCause template_cause = ranking::TemplateCause::kNone;  // of every text
  std::map<std::string, float> scores;
  std::vector<std::string> unused_fields;
  std::vector<ranking::ExplainInput> explained;  // inputs of the last request
  int rank_calls = 0;
  ranking::RankInput last_input;
};

}  // namespace palate::pipeline
