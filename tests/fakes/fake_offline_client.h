// An offline::Client that stores what it receives, and can fail after a number of calls.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/client.h"

namespace palate::offline {

class FakeClient final : public Client {
 public:
  absl::Status CreateCatalog(const Catalog& catalog, absl::Duration) override {
    if (!catalogs.emplace(catalog.id, catalog).second) return absl::AlreadyExistsError(catalog.id);
    return absl::OkStatus();
  }
  absl::StatusOr<Catalog> GetCatalog(const std::string& id, absl::Duration) override {
    const auto found = catalogs.find(id);
    if (found == catalogs.end()) return absl::NotFoundError(id);
    return found->second;
  }
  absl::Status SetRerankWeight(const std::string& catalog, double weight, absl::Duration) override {
    catalogs[catalog].rerank_weight = weight;
    return absl::OkStatus();
  }
  absl::StatusOr<UpsertOutcome> UpsertItems(const std::string&,
                                            absl::Span<const ItemUpload> uploads,
                                            absl::Duration) override {
    if (calls_until_failure == 0) return absl::UnavailableError("gone");
    --calls_until_failure;
    UpsertOutcome outcome;
    for (size_t i = 0; i < uploads.size(); ++i) {
      if (uploads[i].item.id == "bad") {
        outcome.failures.push_back({i, refusal});
        continue;
      }
      for (size_t p = 0; p < uploads[i].images.size(); ++p) {
        if (uploads[i].images[p] != "no picture") continue;
        outcome.part_failures.push_back(
            {i, InvalidField(absl::StrCat("writes[", i, "].item.images[", p, "]"), "is none",
                             "a picture")});
      }
      items.push_back(uploads[i]);
      ++outcome.changed;
    }
    batch_sizes.push_back(uploads.size());
    return outcome;
  }
  absl::StatusOr<EventsOutcome> WriteEvents(const std::string&, absl::Span<const Event> written,
                                            bool, absl::Duration) override {
    if (calls_until_failure == 0) return absl::UnavailableError("gone");
    --calls_until_failure;
    batch_sizes.push_back(written.size());
    events.insert(events.end(), written.begin(), written.end());
    return EventsOutcome{static_cast<int64_t>(written.size()), 0, {}};
  }
  absl::StatusOr<CatalogProgress> GetProgress(const std::string&, absl::Duration) override {
    CatalogProgress progress;
    progress.items = static_cast<int64_t>(items.size());
    progress.pending_embeddings = pending;
    progress.index_current = pending == 0 && !without_vectors;
    progress.index_idle = true;
    if (pending > 0 && !stuck) --pending;
    return progress;
  }
  // One item a page.
  absl::StatusOr<FailingItems> ListFailingItems(const std::string&, const std::string& page_token,
                                                absl::Duration) override {
    FailingItems page;
    const size_t at = page_token.size();
    if (at < failing.size()) page.items.push_back(failing[at]);
    if (at + 1 < failing.size()) page.next_page_token = std::string(at + 1, 'x');
    return page;
  }
  absl::StatusOr<std::string> GetStoreIncarnation(absl::Duration) override { return incarnation; }
  absl::StatusOr<Answer> Recommend(const pipeline::RecommendQuery& query, absl::Duration) override {
    Answer answer;
    for (const auto& [id, scores] : served) {
      pipeline::ResultItem result;
      result.item.id = id;
      result.relevance_score = scores.first;
      result.score = scores.second;
      if (query.explain == pipeline::ExplainMode::kLlm) {
        result.explanation.emplace().source =
            id < "c" ? ranking::ExplanationSource::kLlm : ranking::ExplanationSource::kTemplate;
      }
      answer.result.results.push_back(std::move(result));
    }
    return answer;
  }

  std::map<std::string, Catalog> catalogs;
  absl::Status refusal = absl::InvalidArgumentError("title is too long");  // of the item "bad"
  std::string incarnation = "store";
  std::vector<ItemUpload> items;
  std::vector<FailingItem> failing;
  std::vector<Event> events;
  std::vector<size_t> batch_sizes;
  int64_t calls_until_failure = 1'000'000;
  int64_t pending = 0;
  bool stuck = false;
  bool without_vectors = false;  // items have nothing to embed
  std::map<std::string, std::pair<double, double>>
      served;  // item id to first-stage and blended score
};

}  // namespace palate::offline
