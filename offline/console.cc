#include "offline/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace palate::offline {
namespace {

constexpr int kBarCells = 24;
constexpr absl::Duration kRedrawInterval = absl::Milliseconds(100);
constexpr char kClearLine[] = "\r\x1b[K";

std::string Minutes(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

}  // namespace

ConsoleOptions StandardError() {
  ConsoleOptions options;
  options.terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (options.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    options.columns = size.ws_col;

  options.write = [](absl::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  return options;
}

ProgressBar::ProgressBar(std::string label, ConsoleOptions options)
    : label_(std::move(label)), options_(std::move(options)), start_(options_.now()) {}

ProgressBar::~ProgressBar() { Finish(); }

void ProgressBar::Update(int64_t done, int64_t total) {
  MutexLock lock(mutex_);
  done_ = done;
  total_ = total;
  MaybeDraw();
}

void ProgressBar::Finish() {
  MutexLock lock(mutex_);
  if (finished_) return;
  finished_ = true;
  options_.write(absl::StrCat(options_.terminal ? kClearLine : "", Line(), "\n"));
}

void ProgressBar::MaybeDraw() {
  if (finished_) return;
  if (options_.terminal) {
    const absl::Time now = options_.now();
    if (now - last_draw_ < kRedrawInterval) return;
    last_draw_ = now;
    options_.write(absl::StrCat(kClearLine, Line()));
    return;
  }

  if (total_ <= 0) return;

  const int64_t tenth = done_ * 10 / total_;
  if (tenth <= last_tenth_ || tenth >= 10) return;  // Finish() writes the last line
  last_tenth_ = tenth;
  options_.write(absl::StrCat(Line(), "\n"));
}

std::string ProgressBar::Line() const {
  const absl::Duration spent = options_.now() - start_;
  std::string line = absl::StrFormat("%-22s ", label_);

  if (total_ > 0) {
    const double share =
        std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    if (options_.terminal) {
      const int cells = static_cast<int>(share * kBarCells);
      absl::StrAppend(&line, "[", std::string(cells, '#'), std::string(kBarCells - cells, '.'),
                      "] ");
    }
    absl::StrAppend(
        &line, absl::StrFormat("%3.0f%%  %d/%d  %s", share * 100, done_, total_, Minutes(spent)));
    if (!finished_ && share > 0.02)
      absl::StrAppend(&line, ", ", Minutes(spent * ((1 - share) / share)), " left");
  } else {
    absl::StrAppend(&line, done_, "  ", Minutes(spent));
  }

  // A wrapped line could not be rewritten in place.
  if (options_.terminal && static_cast<int>(line.size()) >= options_.columns)
    line.resize(std::max(1, options_.columns - 1));
  return line;
}

void ConsoleReporter::Say(const std::string& line) {
  if (bar_ != nullptr) bar_->Finish();
  bar_ = nullptr;
  options_.write(absl::StrCat(line, line.empty() || line.back() != '\n' ? "\n" : ""));
}

std::function<void(int64_t done, int64_t total)> ConsoleReporter::Step(const std::string& label) {
  if (bar_ != nullptr) bar_->Finish();
  bar_ = std::make_shared<ProgressBar>(label, options_);
  return [bar = bar_](int64_t done, int64_t total) { bar->Update(done, total); };
}

}  // namespace palate::offline
