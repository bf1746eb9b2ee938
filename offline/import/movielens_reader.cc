#include "offline/import/movielens_reader.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "offline/import/text_files.h"

namespace palate::offline {
namespace {

constexpr size_t kPlotFields = 11;
constexpr size_t kPlotColumn = 9;
constexpr char kJpegMagic[] = "\xff\xd8\xff";

std::string PathIn(const std::string& folder, const std::string& name) {
  return absl::StrCat(folder, "/", name);
}

// "Toy Story (1995)" -> 1995; nothing when the title does not end in a year.
std::optional<int64_t> YearOf(absl::string_view title) {
  title = absl::StripTrailingAsciiWhitespace(title);
  if (title.size() < 6 || title.back() != ')') return std::nullopt;
  const absl::string_view digits = title.substr(title.size() - 5, 4);
  int64_t year = 0;
  if (title[title.size() - 6] != '(' || !absl::SimpleAtoi(digits, &year)) return std::nullopt;
  return year;
}

// Movie id to plot.
absl::StatusOr<std::map<std::string, std::string>> ReadPlots(const std::string& folder,
                                                             SourceReport& report) {
  std::map<std::string, std::string> plots;

  absl::StatusOr<std::string> text = ReadFile(PathIn(folder, "plots.dat"));
  if (absl::IsNotFound(text.status())) {
    report.notes.push_back("plots.dat is missing: no movie has a description");
    return plots;
  }
  PALATE_RETURN_IF_ERROR(text.status());

  int64_t number = 0, empty = 0;
  for (absl::string_view line : SplitLines(*text)) {
    ++number;
    const std::vector<absl::string_view> fields = absl::StrSplit(line, "::");
    if (fields.size() != kPlotFields) {
      report.AddMalformed("plots.dat", number,
                          absl::StrCat("has ", fields.size(), " fields, not ", kPlotFields));
    } else if (!IsValidUtf8(line)) {
      report.AddMalformed("plots.dat", number, "is not UTF-8");
    } else if (fields[kPlotColumn].empty() || fields[kPlotColumn] == "N/A") {
      ++empty;
    } else {
      plots[std::string(fields[0])] = std::string(fields[kPlotColumn]);
    }
  }

  if (empty > 0) report.notes.push_back(absl::StrCat(empty, " lines of plots.dat hold no plot"));
  return plots;
}

// Movie id to path.
std::map<std::string, std::string> FindPosters(const std::string& folder, SourceReport& report) {
  std::map<std::string, std::string> posters;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(PathIn(folder, "posters"), error)) {
    posters[entry.path().stem().string()] = entry.path().string();
  }
  if (error) report.notes.push_back("posters/ is missing: no movie has a picture");
  return posters;
}

Item ToItem(const std::vector<std::string>& fields,
            const std::map<std::string, std::string>& plots) {
  Item item;
  item.id = fields[0];
  item.title = fields[1];
  if (const auto plot = plots.find(item.id); plot != plots.end()) item.description = plot->second;

  if (fields[2] != "(no genres listed)" && !fields[2].empty()) {
    const std::vector<std::string> genres = absl::StrSplit(fields[2], '|');
    item.attributes["genres"] = genres;
  }

  // A movie counts as available from the start of its year, but not before 1970: older movies need
  // no order. One without a year is as old as those, because nothing shows that it is new.
  item.create_time = absl::UnixEpoch();
  if (const std::optional<int64_t> year = YearOf(item.title); year.has_value()) {
    item.attributes["year"] = *year;
    item.create_time =
        std::max(absl::UnixEpoch(), absl::FromCivil(absl::CivilYear(*year), absl::UTCTimeZone()));
  }
  return item;
}

absl::Status ReadMovieFile(const std::string& folder, MovieLens& data) {
  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFile(PathIn(folder, "movies.csv")));
  PALATE_ASSIGN_OR_RETURN(const auto plots, ReadPlots(folder, data.report));
  std::map<std::string, std::string> posters = FindPosters(folder, data.report);

  std::set<std::string> known;
  int64_t number = 0;
  for (absl::string_view line : SplitLines(text)) {
    if (++number == 1) continue;  // header
    const absl::StatusOr<std::vector<std::string>> fields = ParseCsvRecord(line);
    if (!fields.ok() || fields->size() != 3 || (*fields)[0].empty() || !IsValidUtf8(line)) {
      const std::string reason =
          fields.ok() ? absl::StrCat("is not UTF-8 or has ", fields->size(), " fields, not 3")
                      : std::string(fields.status().message());
      data.report.AddMalformed("movies.csv", number, reason);
      continue;
    }

    if (!known.insert((*fields)[0]).second) {
      data.report.AddMalformed("movies.csv", number,
                               absl::StrCat("movie ", (*fields)[0], " is listed twice"));
      continue;
    }

    Movie movie{ToItem(*fields, plots), ""};
    if (const auto poster = posters.find(movie.item.id); poster != posters.end()) {
      movie.poster_path = poster->second;
      posters.erase(poster);
    }

    data.report.without_description += movie.item.description.empty();
    data.report.without_image += movie.poster_path.empty();
    data.movies.push_back(std::move(movie));
  }

  const size_t orphans = std::count_if(
      plots.begin(), plots.end(), [&](const auto& plot) { return known.count(plot.first) == 0; });
  if (orphans > 0)
    data.report.notes.push_back(absl::StrCat(orphans, " plots belong to no movie of movies.csv"));
  if (!posters.empty())
    data.report.notes.push_back(
        absl::StrCat(posters.size(), " posters belong to no movie of movies.csv"));

  data.report.items = static_cast<int64_t>(data.movies.size());
  return absl::OkStatus();
}

absl::Status ReadRatingFile(const std::string& folder, MovieLens& data) {
  PALATE_ASSIGN_OR_RETURN(const std::string text, ReadFile(PathIn(folder, "ratings.csv")));

  int64_t number = 0;
  for (absl::string_view line : SplitLines(text)) {
    if (++number == 1) continue;  // header
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    double rating = 0;
    int64_t seconds = 0;
    if (fields.size() != 4 || fields[0].empty() || fields[1].empty() ||
        !absl::SimpleAtod(fields[2], &rating) || !std::isfinite(rating) ||
        !absl::SimpleAtoi(fields[3], &seconds)) {
      data.report.AddMalformed("ratings.csv", number, "is not userId,movieId,rating,timestamp");
      continue;
    }

    Event event;
    event.user_id = fields[0];
    event.item_id = fields[1];
    event.type = kRatingEvent;
    event.value = rating;
    event.time = absl::FromUnixSeconds(seconds);
    data.ratings.push_back(std::move(event));
  }

  std::sort(data.ratings.begin(), data.ratings.end(), [](const Event& a, const Event& b) {
    return std::tie(a.time, a.user_id, a.item_id) < std::tie(b.time, b.user_id, b.item_id);
  });
  data.report.events = static_cast<int64_t>(data.ratings.size());
  return absl::OkStatus();
}

class MovieReader final : public ItemReader {
 public:
  MovieReader(const MovieLens& data, SourceReport& report) : data_(data), report_(report) {}

  absl::StatusOr<std::optional<ItemUpload>> Next() override {
    if (next_ >= data_.movies.size()) return std::nullopt;
    const Movie& movie = data_.movies[next_++];
    ItemUpload upload{movie.item, {}};
    if (movie.poster_path.empty()) return upload;

    absl::StatusOr<std::string> poster = ReadFile(movie.poster_path, kMaxImageBytes);
    if (poster.ok()) {
      if (!absl::StartsWith(*poster, kJpegMagic)) {
        report_.notes.push_back(
            absl::StrCat("the poster of movie ", movie.item.id,
                         " is named .jpg but is not a JPEG; it is sent unchanged"));
      }
      upload.images.push_back(*std::move(poster));
    } else {
      report_.AddMalformed(absl::StrCat("posters of movie ", movie.item.id), 0,
                           std::string(poster.status().message()));
    }
    return upload;
  }

  int64_t size() const override { return static_cast<int64_t>(data_.movies.size()); }

 private:
  const MovieLens& data_;
  SourceReport& report_;
  size_t next_ = 0;
};

class RatingReader final : public EventReader {
 public:
  RatingReader(const MovieLens& data, size_t begin, size_t end)
      : data_(data), begin_(begin), end_(end), next_(begin) {}

  absl::StatusOr<std::optional<Event>> Next() override {
    if (next_ >= end_) return std::nullopt;
    return data_.ratings[next_++];
  }
  int64_t size() const override { return static_cast<int64_t>(end_ - begin_); }

 private:
  const MovieLens& data_;
  const size_t begin_;
  const size_t end_;
  size_t next_;
};

}  // namespace

absl::StatusOr<MovieLens> ReadMovieLens(const std::string& folder) {
  MovieLens data;
  PALATE_RETURN_IF_ERROR(ReadMovieFile(folder, data));
  PALATE_RETURN_IF_ERROR(ReadRatingFile(folder, data));
  return data;
}

Catalog MovieLensCatalog(const std::string& catalog_id) {
  Catalog catalog;
  catalog.id = catalog_id;
  catalog.display_name = "MovieLens";
  catalog.attributes = {{"genres", AttributeType::kStringList, true},
                        {"year", AttributeType::kInt64, true}};
  catalog.event_types = {{kRatingEvent, 1.0, /*marks_seen=*/true, /*value_is_rating=*/true}};
  catalog.spaces = DefaultSpaces();
  return catalog;
}

std::unique_ptr<ItemReader> ReadMovies(const MovieLens& data, SourceReport& report) {
  return std::make_unique<MovieReader>(data, report);
}

std::unique_ptr<EventReader> ReadRatings(const MovieLens& data, size_t begin, size_t end) {
  return std::make_unique<RatingReader>(data, begin, end);
}

absl::Time SplitTime(const MovieLens& data, double train_share) {
  if (data.ratings.empty()) return absl::InfiniteFuture();
  const size_t index = static_cast<size_t>(train_share * static_cast<double>(data.ratings.size()));
  return data.ratings[std::min(index, data.ratings.size() - 1)].time;
}

}  // namespace palate::offline
