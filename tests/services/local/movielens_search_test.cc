// Whether images help or harm finding their items, on real movies with all services. Slow, and
// skipped without the data.
//
// The data: every movie of MovieLens (ml-latest-small, in the shared data) that has a poster, and
// equally many without one, drawn with a fixed seed; about 3,000 items, with plots if available.
// Queries are titles without their year.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/grpc_offline_client.h"
#include "offline/import/importer.h"
#include "offline/import/movielens_reader.h"
#include "services/local/local_stack.h"
#include "services/runtime/client_call.h"
#include "tests/services/local/stack_config.h"
#include "tests/services/processes.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

using offline::Movie;
using RecommenderStub = shop_pb::RecommenderService::StubInterface::async_interface;

constexpr char kCatalog[] = "movielens";
constexpr uint64_t kSeed = 7;
constexpr size_t kTitles = 100;  // of each kind
constexpr size_t kPosters = 50;
constexpr int kWithinPoints = 2;  // largest difference of the two recalls, in percent
constexpr int kMinRecall = 90;

std::string DataFolder() {
  const char* shared = std::getenv("PALATE_SHARED_DIR");
  return absl::StrCat(shared != nullptr ? shared : PALATE_SOURCE_DIR "/../shared",
                      "/data/movielens");
}

// Draws `count` of the movies with (or without) a poster, in random order.
std::vector<Movie> Draw(const std::vector<Movie>& movies, bool with_poster, size_t count) {
  std::vector<Movie> drawn;
  for (const Movie& movie : movies) {
    if (movie.poster_path.empty() != with_poster) drawn.push_back(movie);
  }

  std::mt19937_64 random(kSeed);
  for (size_t i = drawn.size(); i > 1; --i) std::swap(drawn[i - 1], drawn[random() % i]);
  if (drawn.size() > count) drawn.resize(count);
  return drawn;
}

// "Toy Story" of "Toy Story (1995)".
std::string TitleAlone(const std::string& title) { return title.substr(0, title.rfind(" (")); }

class MovieLensSearchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(DataFolder())) return;
    absl::StatusOr<offline::MovieLens> all = offline::ReadMovieLens(DataFolder());
    ASSERT_TRUE(all.ok()) << all.status();
    data_ = new offline::MovieLens();
    data_->movies = Draw(all->movies, true, all->movies.size());
    const std::vector<Movie> others = Draw(all->movies, false, data_->movies.size());
    data_->movies.insert(data_->movies.end(), others.begin(), others.end());

    folder_ = new TempFolder();
    auto stack = LocalStack::Start(WithoutRanking(folder_->path()));
    ASSERT_TRUE(stack.ok()) << stack.status();
    stack_ = stack->release();
    const absl::Status imported = Import();
    ASSERT_TRUE(imported.ok()) << imported;
  }
  static void TearDownTestSuite() {
    delete stack_;
    delete folder_;
    delete data_;
  }

  void SetUp() override {
    if (stack_ == nullptr) GTEST_SKIP() << "no data in " << DataFolder();
  }

  static absl::Status Import() {
    GrpcOfflineClient client([] { return stack_->channel(); });
    offline::ImportOptions options;
    options.catalog = kCatalog;
    offline::Importer importer(client, options);
    PALATE_ASSIGN_OR_RETURN(const Catalog catalog,
                            importer.EnsureCatalog(offline::MovieLensCatalog(kCatalog)));
    offline::SourceReport report;
    offline::ImportOutcome outcome;

    const auto movies = offline::ReadMovies(*data_, report);
    const auto silent = [](int64_t, int64_t) {};
    PALATE_RETURN_IF_ERROR(importer.SendItems(*movies, catalog, outcome, silent));
    return importer.WaitUntilSearchable(absl::Minutes(2), silent);
  }

  // The ids of the first `count` results, best first.
  static std::vector<std::string> Search(const std::string& text, const std::string& image,
                                         int count) {
    shop_pb::SearchRequest request;
    request.set_catalog(kCatalog);
    request.mutable_query()->set_text(text);
    request.mutable_query()->set_image(image);
    request.set_num_results(count);
    shop_pb::SearchResponse response;
    shop_pb::RecommenderService::Stub stub(stack_->channel());
    const absl::Status status = CallUnary(stub.async(), &RecommenderStub::Search, request, response,
                                          {.deadline = absl::Now() + absl::Seconds(60)});
    EXPECT_TRUE(status.ok()) << status;

    std::vector<std::string> ids;
    for (const auto& result : response.results()) ids.push_back(result.item_id());
    return ids;
  }

  static int FoundByTitle(bool with_poster) {
    int found = 0;
    for (const Movie& movie : Draw(data_->movies, with_poster, kTitles)) {
      const std::vector<std::string> ids = Search(TitleAlone(movie.item.title), "", 10);
      found += std::find(ids.begin(), ids.end(), movie.item.id) != ids.end();
    }
    return found;
  }

  static offline::MovieLens* data_;
  static TempFolder* folder_;
  static LocalStack* stack_;
};

offline::MovieLens* MovieLensSearchTest::data_ = nullptr;
TempFolder* MovieLensSearchTest::folder_ = nullptr;
LocalStack* MovieLensSearchTest::stack_ = nullptr;

TEST_F(MovieLensSearchTest, FindsMoviesByTheirTitleAsWellWithAPosterAsWithout) {
  const int with_poster = FoundByTitle(true);
  const int without = FoundByTitle(false);
  std::cout << "recall@10 of " << kTitles << " titles each, among " << data_->movies.size()
            << " movies: " << with_poster << " with a poster, " << without << " without"
            << std::endl;
  EXPECT_LE(std::abs(with_poster - without), kWithinPoints);
  EXPECT_GE(std::min(with_poster, without), kMinRecall);
}

TEST_F(MovieLensSearchTest, FindsAMovieByItsOwnPosterFirst) {
  size_t first = 0;
  for (const Movie& movie : Draw(data_->movies, true, kPosters)) {
    const std::vector<std::string> ids = Search("", ReadFile(movie.poster_path), 1);
    first += !ids.empty() && ids[0] == movie.item.id;
  }
  std::cout << first << " of " << kPosters << " posters find their own movie first" << std::endl;
  EXPECT_EQ(first, kPosters);
}

}  // namespace
}  // namespace palate::services
