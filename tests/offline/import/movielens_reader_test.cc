#include "offline/import/movielens_reader.h"

#include <cstdlib>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temp_folder.h"

namespace palate::offline {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kMovieHeader[] = "movieId,title,genres\r\n";
constexpr char kRatingHeader[] = "userId,movieId,rating,timestamp\r\n";

TEST(ReadMovieLensTest, ReadsQuotedTitlesGenresAndYears) {
  TempFolder folder;
  folder.Write("movies.csv", std::string(kMovieHeader) +
                                 "1,Toy Story (1995),Adventure|Animation\r\n"
                                 "11,\"American President, The (1995)\",Comedy\r\n"
                                 "7789,\"11'09\"\"01 - September 11 (2002)\",Drama\r\n"
                                 "40697,Babylon 5,(no genres listed)\r\n");
  folder.Write("ratings.csv", kRatingHeader);

  const auto data = ReadMovieLens(folder.path());
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->movies, SizeIs(4));

  EXPECT_EQ(data->movies[0].item.id, "1");
  EXPECT_EQ(std::get<std::vector<std::string>>(data->movies[0].item.attributes.at("genres")),
            (std::vector<std::string>{"Adventure", "Animation"}));
  EXPECT_EQ(std::get<int64_t>(data->movies[0].item.attributes.at("year")), 1995);
  EXPECT_EQ(data->movies[1].item.title, "American President, The (1995)");
  EXPECT_EQ(data->movies[2].item.title, "11'09\"01 - September 11 (2002)");
  EXPECT_THAT(data->movies[3].item.attributes, IsEmpty());

  EXPECT_EQ(data->report.malformed_count, 0);
}

TEST(ReadMovieLensTest, NamesFileLineAndReasonOfMalformedLinesAndReadsTheRest) {
  TempFolder folder;
  folder.Write("movies.csv", std::string(kMovieHeader) +
                                 "1,A (1990),Drama\n2,\"open quote,Drama\n3,B (1991)\n,no "
                                 "id,Drama\n1,twice,Drama\n4,\xff\xfe,Drama\n5,C (1992),Drama\n");
  folder.Write("ratings.csv", std::string(kRatingHeader) +
                                  "1,1,4.0,100\n1,5,much,100\n1,5,nan,100\n1,5\n2,5,3.5,50\n");

  folder.Write("plots.dat", "1::A::1990\n5::C::1992::G::x::y::z::w::v::A plot.::url\n");
  const auto data = ReadMovieLens(folder.path());
  ASSERT_TRUE(data.ok()) << data.status();

  ASSERT_THAT(data->movies, SizeIs(2));
  EXPECT_EQ(data->movies[1].item.description, "A plot.");
  ASSERT_THAT(data->ratings, SizeIs(2));
  EXPECT_EQ(data->ratings[0].user_id, "2") << "ratings are in time order";

  EXPECT_EQ(data->report.malformed_count, 9);
  EXPECT_THAT(data->report.malformed,
              ::testing::Contains(::testing::AllOf(Field(&Malformed::file, "movies.csv"),
                                                   Field(&Malformed::line, 3),
                                                   Field(&Malformed::reason, HasSubstr("quote")))));
  EXPECT_THAT(data->report.malformed,
              ::testing::Contains(
                  ::testing::AllOf(Field(&Malformed::file, "plots.dat"), Field(&Malformed::line, 1),
                                   Field(&Malformed::reason, HasSubstr("3 fields")))));
  EXPECT_THAT(data->report.malformed,
              ::testing::Contains(::testing::AllOf(Field(&Malformed::file, "ratings.csv"),
                                                   Field(&Malformed::line, 3))));
}

TEST(ReadMovieLensTest, TreatsMissingPlotsAndPostersAsOrdinary) {
  TempFolder folder;
  folder.Write("movies.csv", std::string(kMovieHeader) + "1,A (1990),Drama\n2,B (1991),Drama\n");
  folder.Write("ratings.csv", kRatingHeader);
  folder.Write("posters/2.jpg", "\x89PNG not really a JPEG");
  folder.Write("posters/9.jpg", "\xff\xd8\xff");

  auto data = ReadMovieLens(folder.path());
  ASSERT_TRUE(data.ok()) << data.status();

  EXPECT_EQ(data->report.without_description, 2);
  EXPECT_EQ(data->report.without_image, 1);
  EXPECT_THAT(data->report.notes, ElementsAre(HasSubstr("plots.dat is missing"),
                                              HasSubstr("1 posters belong to no movie")));

  const auto reader = ReadMovies(*data, data->report);
  EXPECT_THAT((*reader->Next())->images, IsEmpty());
  EXPECT_THAT((*reader->Next())->images, ElementsAre(HasSubstr("PNG")))
      << "mislabeled pictures are sent unchanged";
  EXPECT_FALSE(reader->Next()->has_value());
  EXPECT_THAT(data->report.notes.back(), HasSubstr("movie 2"));
}

TEST(ReadMovieLensTest, NamesTheFileThatIsMissing) {
  TempFolder folder;
  EXPECT_TRUE(absl::IsNotFound(ReadMovieLens(folder.path()).status()));
  folder.Write("movies.csv", kMovieHeader);
  EXPECT_THAT(std::string(ReadMovieLens(folder.path()).status().message()),
              HasSubstr("ratings.csv"));
}

TEST(ReadRatingsTest, ReadsTheGivenRange) {
  TempFolder folder;
  folder.Write("movies.csv", kMovieHeader);
  folder.Write("ratings.csv",
               std::string(kRatingHeader) + "1,1,4.0,300\n1,2,4.0,100\n1,3,0.5,200\n");

  const auto data = ReadMovieLens(folder.path());
  ASSERT_TRUE(data.ok());

  const auto reader = ReadRatings(*data, 1, 3);
  EXPECT_EQ(reader->size(), 2);
  const auto first = *reader->Next();
  EXPECT_EQ(first->item_id, "3");
  EXPECT_EQ(first->value, 0.5);
  EXPECT_EQ(first->time, absl::FromUnixSeconds(200));
  EXPECT_EQ((*reader->Next())->item_id, "1");
  EXPECT_FALSE(reader->Next()->has_value());
  EXPECT_EQ(SplitTime(*data, 0.67), absl::FromUnixSeconds(300));
}

TEST(ReadMovieLensTest, ReadsTheRealFolderWhole) {
  const char* shared = std::getenv("PALATE_SHARED_DIR");
  const std::string folder =
      std::string(shared != nullptr ? shared : PALATE_SOURCE_DIR "/../shared") + "/data/movielens";
  if (!std::filesystem::exists(folder + "/movies.csv"))
    GTEST_SKIP() << "no MovieLens folder at " << folder;

  const auto data = ReadMovieLens(folder);
  ASSERT_TRUE(data.ok()) << data.status();

  EXPECT_THAT(data->movies, SizeIs(9742));
  EXPECT_THAT(data->ratings, SizeIs(100836));
  EXPECT_EQ(data->report.malformed_count, 0);
  EXPECT_NEAR(9742 - data->report.without_description, 2949, 36);
  EXPECT_GT(9742 - data->report.without_image, 1300);

  EXPECT_EQ(data->movies[0].item.title, "Toy Story (1995)");
  EXPECT_THAT(data->movies[0].item.description, HasSubstr("little boy named Andy"));
}

}  // namespace
}  // namespace palate::offline
