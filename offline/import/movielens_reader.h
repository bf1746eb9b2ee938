// Reads a folder in the layout of MovieLens ml-latest-small: movies.csv, ratings.csv, and beside
// them, when present, plots.dat
// (`id::title::year::rated::released::genres::director::writers::actors::plot::poster`) and
// posters/<movieId>.jpg.
//
// Movies without a plot or a poster are ordinary items. Poster files are read when their item is
// asked for. One thread at a time.
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
  Item item;  // id is the movieId; attributes genres (string list) and year (int64) where the file
              // states them
  std::string poster_path;  // empty: none
};

struct MovieLens {
  std::vector<Movie> movies;   // in the file's order
  std::vector<Event> ratings;  // type "rating", by time, ties by user and movie
  SourceReport report;
};

inline constexpr char kRatingEvent[] = "rating";

// NotFound when movies.csv or ratings.csv is missing. Lines that cannot be used are in the report.
absl::StatusOr<MovieLens> ReadMovieLens(const std::string& folder);

// Declares genres, year, ratings and the three spaces.
Catalog MovieLensCatalog(const std::string& catalog_id);

// Readers over a MovieLens that outlives them.
std::unique_ptr<ItemReader> ReadMovies(const MovieLens& data, SourceReport& report);
// Ratings [begin, end) of data.ratings.
std::unique_ptr<EventReader> ReadRatings(const MovieLens& data, size_t begin, size_t end);

// The time that parts the first `train_share` of the ratings from the rest: a split at one point in
// time for all users.
absl::Time SplitTime(const MovieLens& data, double train_share);

}  // namespace palate::offline
