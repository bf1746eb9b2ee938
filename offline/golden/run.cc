#include "offline/golden/run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "offline/golden/checks.h"
#include "offline/golden/fixture.h"
#include "offline/golden/report.h"

namespace palate::golden {
namespace {

// The fixtures at and below `folder`, sorted by path.
std::vector<std::string> FindFixtures(const std::string& folder) {
  if (IsFixture(folder)) return {folder};
  std::vector<std::string> fixtures;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.is_directory(error)) continue;
    for (std::string& found : FindFixtures(entry.path().string()))
      fixtures.push_back(std::move(found));
  }
  std::sort(fixtures.begin(), fixtures.end());
  return fixtures;
}

// The name of a fixture in the report: its path relative to the given folder, or the last part of
// its path.
std::string NameOf(const std::string& fixture, const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(fixture).lexically_normal();
  const std::filesystem::path relative =
      path.lexically_relative(std::filesystem::path(folder).lexically_normal());
  return relative.empty() || relative == "." ? path.filename().string() : relative.string();
}

}  // namespace

int Run(const RunOptions& options, std::ostream& out) {
  // The reference computed its values on one thread.
  at::set_num_threads(1);
  const std::filesystem::path absolute =
      std::filesystem::absolute(options.folder).lexically_normal();
  const std::string folder =
      absolute.has_filename() ? absolute.string() : absolute.parent_path().string();

  const std::vector<std::string> fixtures = FindFixtures(folder);
  if (fixtures.empty()) {
    out << options.folder
        << " holds no fixture: no folder with inputs/inputs.json or expected.json\n";
    return 2;
  }

  Report report(out);
  for (const std::string& path : fixtures) {
    report.BeginFixture(NameOf(path, folder));
    const auto fixture = Fixture::Open(path, options.published);
    if (fixture.ok()) {
      CheckFixture(**fixture, report);
    } else {
      report.Fail("open", fixture.status());
    }
    out.flush();
  }

  report.Summarize();
  return report.failed() == 0 ? 0 : 1;
}

}  // namespace palate::golden
