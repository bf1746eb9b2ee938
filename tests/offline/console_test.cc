#include "offline/console.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::offline {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Screen {
  std::string text;
  absl::Time now = absl::FromUnixSeconds(1000);
  ConsoleOptions Options(bool terminal, int columns = 80) {
    return {
        .terminal = terminal,
        .columns = columns,
        .write = [this](absl::string_view written) { text.append(written.data(), written.size()); },
        .now = [this] { return now; }};
  }
  long Lines() const { return std::count(text.begin(), text.end(), '\n'); }
};

TEST(ProgressBarTest, WritesAPlainLineEveryTenthWhenThereIsNoTerminal) {
  Screen screen;
  ProgressBar bar("items", screen.Options(false));
  for (int i = 1; i <= 1000; ++i) bar.Update(i, 1000);
  bar.Finish();
  EXPECT_EQ(screen.Lines(), 10);
  EXPECT_THAT(screen.text, HasSubstr("100%  1000/1000"));
  EXPECT_THAT(screen.text, Not(HasSubstr("\r")));
}

TEST(ProgressBarTest, RedrawsOneLineOnATerminalTenTimesASecondAtMost) {
  Screen screen;
  ProgressBar bar("items", screen.Options(true));
  for (int i = 1; i <= 1000; ++i) {
    screen.now += absl::Milliseconds(1);
    bar.Update(i, 1000);
  }
  EXPECT_EQ(screen.Lines(), 0);
  EXPECT_EQ(std::count(screen.text.begin(), screen.text.end(), '\r'), 10);
  bar.Finish();
  EXPECT_THAT(screen.text, EndsWith("\n"));
  EXPECT_THAT(screen.text, HasSubstr("[########################] 100%"));
}

TEST(ProgressBarTest, TellsTheTimeThatIsLeft) {
  Screen screen;
  ProgressBar bar("items", screen.Options(false));
  screen.now += absl::Seconds(30);
  bar.Update(25, 100);
  EXPECT_THAT(screen.text, HasSubstr("0:30, 1:30 left"));
}

TEST(ProgressBarTest, NeverWrapsOnANarrowTerminal) {
  Screen screen;
  ProgressBar bar("a long label of a step", screen.Options(true, 30));
  bar.Update(5, 10);
  EXPECT_EQ(screen.text.size(), std::string("\r\x1b[K").size() + 29);
}

TEST(ProgressBarTest, CountsWhenTheTotalIsUnknownAndFinishesOnce) {
  Screen screen;
  {
    ProgressBar bar("lines", screen.Options(false));
    bar.Update(42, 0);
    bar.Finish();
  }
  EXPECT_EQ(screen.Lines(), 1);
  EXPECT_THAT(screen.text, HasSubstr("42"));
}

TEST(ConsoleReporterTest, EndsAStepWhenTheNextBeginsOrSomethingIsSaid) {
  Screen screen;
  ConsoleReporter reporter(screen.Options(false));
  auto items = reporter.Step("items");
  items(5, 5);
  auto events = reporter.Step("events");
  events(7, 7);
  reporter.Say("done");
  events(8, 8);
  EXPECT_EQ(screen.Lines(), 3);
  EXPECT_THAT(screen.text, StartsWith("items"));
  EXPECT_THAT(screen.text, EndsWith("done\n"));
}

}  // namespace
}  // namespace palate::offline
