#include "offline/evaluation/movielens.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status.h"

namespace palate::evaluation {
namespace {

constexpr absl::Duration kStallLimit = absl::Minutes(2);

size_t FirstFrom(const offline::MovieLens& data, absl::Time split) {
  return std::partition_point(data.ratings.begin(), data.ratings.end(),
                              [&](const Event& event) { return event.time < split; }) -
         data.ratings.begin();
}

void SayReport(const offline::SourceReport& report, const offline::ImportOutcome& outcome,
               offline::Reporter& reporter) {
  reporter.Say(absl::StrFormat(
      "items: %d read, %d written, %d unchanged, %d skipped (acknowledged earlier), %d refused",
      report.items, outcome.items.changed, outcome.items.unchanged, outcome.resumed_items,
      outcome.items.failures.size() + static_cast<size_t>(outcome.refused_locally)));
  reporter.Say(
      absl::StrFormat("       %d without a description, %d without a picture; both are optional",
                      report.without_description, report.without_image));
  reporter.Say(
      absl::StrFormat("events: %d read, %d written, %d already known, %d skipped (acknowledged "
                      "earlier), %d refused",
                      report.events, outcome.events.written, outcome.events.duplicates,
                      outcome.resumed_events, outcome.events.failures.size()));

  for (const std::string& note : report.notes) reporter.Say(absl::StrCat("note: ", note));
  for (const std::string& refused : outcome.refused)
    reporter.Say(absl::StrCat("refused: ", refused));
  for (const offline::Malformed& malformed : report.malformed) {
    reporter.Say(absl::StrCat("malformed: ", offline::Describe(malformed)));
  }

  if (report.malformed_count > static_cast<int64_t>(report.malformed.size())) {
    reporter.Say(absl::StrCat("malformed: ", report.malformed_count, " problems in all"));
  }
}

absl::Status Measure(offline::Client& client, const offline::MovieLens& data, absl::Time split,
                     const MovieLensOptions& options, offline::Reporter& reporter) {
  const absl::Duration timeout = options.import.call_timeout;
  PALATE_RETURN_IF_ERROR(
      client.SetRerankWeight(options.import.catalog, options.trial_weight, timeout));

  ServedOptions served;
  served.catalog = options.import.catalog;
  served.request_time = split;

  const std::vector<EvaluationCase> cases = MovieLensCases(data, split, options);
  PALATE_ASSIGN_OR_RETURN(const ServedQuality quality,
                          EvaluateServed(client, cases, PopularBefore(data, split), served,
                                         reporter.Step("measuring")));

  const bool helps = quality.gain.low > 0;
  PALATE_RETURN_IF_ERROR(
      client.SetRerankWeight(options.import.catalog, helps ? options.trial_weight : 0, timeout));

  reporter.Say(absl::StrCat("quality on ratings from ",
                            absl::FormatTime("%Y-%m-%d", split, absl::UTCTimeZone()),
                            " on, for users with at least ", options.min_train_ratings,
                            " earlier ratings:\n", FormatQuality(quality, served.k)));
  reporter.Say(
      helps
          ? absl::StrCat("the language model improves the ranking: its weight for this catalog is ",
                         options.trial_weight)
          : std::string("the language model does not improve the ranking significantly: its weight "
                        "for this catalog is 0"));
  return absl::OkStatus();
}

}  // namespace

std::vector<EvaluationCase> MovieLensCases(const offline::MovieLens& data, absl::Time split,
                                           const MovieLensOptions& options) {
  std::set<std::string> known;
  for (const offline::Movie& movie : data.movies) known.insert(movie.item.id);

  std::map<std::string, EvaluationCase> users;
  std::map<std::string, int> train_ratings;
  for (const Event& event : data.ratings) {
    EvaluationCase& user = users[event.user_id];
    user.user_id = event.user_id;
    if (event.time < split) {
      user.seen.insert(event.item_id);
      ++train_ratings[event.user_id];
    } else if (*event.value >= options.liked_from && known.count(event.item_id) > 0 &&
               !user.seen.contains(event.item_id)) {
      user.relevance[event.item_id] = 1;
    }
  }

  std::vector<EvaluationCase> cases;
  for (auto& [id, user] : users) {
    if (!user.relevance.empty() && train_ratings[id] >= options.min_train_ratings)
      cases.push_back(std::move(user));
  }
  return cases;
}

std::vector<std::string> PopularBefore(const offline::MovieLens& data, absl::Time split) {
  std::map<std::string, int> counts;
  for (const Event& event : data.ratings) {
    if (event.time < split) ++counts[event.item_id];
  }

  std::vector<std::pair<int, std::string>> order;
  for (const auto& [id, count] : counts) order.emplace_back(-count, id);
  std::sort(order.begin(), order.end());

  std::vector<std::string> popular;
  for (auto& [negated, id] : order) popular.push_back(std::move(id));
  return popular;
}

absl::StatusOr<int64_t> ImportMovieLens(offline::Client& client, const MovieLensOptions& options,
                                        offline::Reporter& reporter) {
  const absl::Time begin = absl::Now();
  PALATE_ASSIGN_OR_RETURN(offline::MovieLens data, offline::ReadMovieLens(options.folder));

  offline::ImportOptions import_options = options.import;
  import_options.source_name =
      absl::StrCat("movielens ", data.movies.size(), " ", data.ratings.size());
  offline::Importer importer(client, import_options);

  PALATE_ASSIGN_OR_RETURN(
      const Catalog catalog,
      importer.EnsureCatalog(offline::MovieLensCatalog(import_options.catalog)));
  PALATE_ASSIGN_OR_RETURN(const offline::CatalogProgress before,
                          client.GetProgress(import_options.catalog, import_options.call_timeout));

  offline::ImportOutcome outcome;
  const std::unique_ptr<offline::ItemReader> movies = offline::ReadMovies(data, data.report);
  PALATE_RETURN_IF_ERROR(importer.SendItems(*movies, catalog, outcome, reporter.Step("items")));

  const absl::Time split = offline::SplitTime(data, options.train_share);
  const size_t middle = FirstFrom(data, split);
  const auto past = offline::ReadRatings(data, 0, middle);
  PALATE_RETURN_IF_ERROR(
      importer.SendEvents("ratings before the split", *past, outcome, reporter.Step("events")));
  PALATE_RETURN_IF_ERROR(importer.WaitUntilSearchable(kStallLimit, reporter.Step("embedding")));
  PALATE_RETURN_IF_ERROR(importer.AddFailedEmbeddings(outcome));

  if (options.evaluate && before.events == 0) {
    PALATE_RETURN_IF_ERROR(Measure(client, data, split, options, reporter));
  }

  const auto rest = offline::ReadRatings(data, middle, data.ratings.size());
  PALATE_RETURN_IF_ERROR(importer.SendEvents("ratings after the split", *rest, outcome,
                                             reporter.Step("later events")));

  importer.Finish();
  SayReport(data.report, outcome, reporter);
  reporter.Say(absl::StrFormat("done in %.1f s", absl::ToDoubleSeconds(absl::Now() - begin)));
  return outcome.refused_count() + data.report.malformed_count;
}

}  // namespace palate::evaluation
