// Reads a folder in the layout of MovieLens ml-latest-small: movies.csv and ratings.csv, and
// optionally posters/<movieId>.jpg and plots.dat, whose lines are
//   id::title::year::rated::released::genres::director::writers::actors::plot::poster
//
// A poster file is read when the reader returns its item. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "offline/import/source.h"

namespace palate::offline {

struct Movie {
  // The id is the movieId; the attributes are genres (string list) and year (int64), if known.
  Item item;
  std::string poster_path;  // empty: none
};

struct MovieLens {
  std::vector<Movie> movies;   // in the file's order
  std::vector<Event> ratings;  // type "rating", by time, ties by user and movie
  SourceReport report;
};

inline constexpr char kRatingEvent[] = "rating";

// NotFound when movies.csv or ratings.csv is missing. Malformed lines are in the report.
absl::StatusOr<MovieLens> ReadMovieLens(const std::string& folder);

// A catalog that declares genres, year, ratings and the three default spaces.
Catalog MovieLensCatalog(const std::string& catalog_id);

// Readers over a MovieLens that outlives them.
std::unique_ptr<ItemReader> ReadMovies(const MovieLens& data, SourceReport& report);
// Ratings [begin, end) of data.ratings.
std::unique_ptr<EventReader> ReadRatings(const MovieLens& data, size_t begin, size_t end);

// The time of the first rating after the first `train_share` of the ratings: one split time for all
// users.
absl::Time SplitTime(const MovieLens& data, double train_share);

}  // namespace palate::offline
