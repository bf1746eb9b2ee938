#include "tests/services/kill/import_driver.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace palate::services {
namespace {

constexpr size_t kFirstRows = 700;
constexpr size_t kMaxRows = 1100;
constexpr int kEditedRows = 25;
constexpr int kAddedRows = 2;

}  // namespace

ImportDriver::ImportDriver(uint32_t seed, std::string folder)
    : folder_(std::move(folder)), random_(seed), rows_(kFirstRows) {
  Edit();
}

std::string ImportDriver::IdOf(size_t row) { return absl::StrFormat("row-%04d", row); }

void ImportDriver::Edit() {
  for (int i = 0; i < kEditedRows; ++i) ++rows_[random_() % rows_.size()].in_file;
  for (int i = 0; i < kAddedRows && rows_.size() < kMaxRows; ++i) rows_.emplace_back();

  std::ofstream file(folder_ + "/items.jsonl");
  for (size_t i = 0; i < rows_.size(); ++i) {
    const types::v1::Item item = VersionedItem(IdOf(i), rows_[i].in_file);
    file << nlohmann::json({{"id", item.id()},
                            {"title", item.title()},
                            {"description", item.description()},
                            {"attributes", {{"version", rows_[i].in_file}}}})
                .dump()
         << "\n";
  }
}

void ImportDriver::Run(const std::string& server, const std::atomic<bool>& stop) {
  kill_ = false;
  while (!stop && !::testing::Test::HasFatalFailure()) {
    // An import that was interrupted often finds the file as it was, and resumes.
    if (complete_ || random_() % 2 == 0) Edit();
    RunOnce(server, stop, /*wait=*/random_() % 3 == 0);
  }
}

void ImportDriver::Finish(const std::string& server) {
  const std::atomic<bool> never = false;
  kill_ = false;
  may_fail_ = false;
  Edit();
  RunOnce(server, never, /*wait=*/true);
}

void ImportDriver::RunOnce(const std::string& server, const std::atomic<bool>& stop, bool wait) {
  const Portions before = ReadCheckpoint();
  const std::string log = folder_ + "/import.log";
  std::filesystem::remove(log);
  std::vector<std::string> arguments = {"import",       "items",        folder_ + "/items.jsonl",
                                        "--server",     server,         "--catalog",
                                        kKilledCatalog, "--checkpoint", checkpoint()};
  if (!wait) arguments.push_back("--no-wait");

  Process process("palate", arguments, log);
  bool killed = false;
  while (process.running()) {
    if (!killed && (stop || kill_)) {
      process.Signal(SIGKILL);
      killed = true;
      kill_ = false;
    }
    absl::SleepFor(absl::Milliseconds(2));
  }

  const int exit = process.Wait();
  const std::string said = ReadFile(log);
  if (!absl::StrContains(said, " 0 skipped") && absl::StrContains(said, "skipped")) ++resumed_;
  complete_ = exit == 0;
  if (complete_) {
    ++finished_;
    NoteAll();
    return;
  }
  killed_ += killed && exit == 128 + SIGKILL ? 1 : 0;
  EXPECT_TRUE(killed || may_fail_) << "import ended with " << exit << ":\n" << said;
  NoteRecorded(before);
}

ImportDriver::Portions ImportDriver::ReadCheckpoint() const {
  Portions portions;
  if (!std::filesystem::exists(checkpoint())) return portions;
  const nlohmann::json stored =
      nlohmann::json::parse(ReadFile(checkpoint()), nullptr, /*allow_exceptions=*/false);
  if (!stored.is_object()) {
    ADD_FAILURE() << "the checkpoint is torn: " << ReadFile(checkpoint());
    return portions;
  }
  if (!stored["sent"].contains("items")) return portions;
  for (const nlohmann::json& portion : stored["sent"]["items"])
    portions.emplace_back(portion[0].get<size_t>(), portion[1].get<std::string>());
  return portions;
}

void ImportDriver::NoteRecorded(const Portions& before) {
  const Portions now = ReadCheckpoint();
  size_t row = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    // A portion that was there before may be of the file before its edit.
    const bool recorded = i >= before.size() || before[i] != now[i];
    for (size_t end = row + now[i].first; row < end; ++row) {
      if (recorded && row < rows_.size()) Acknowledge(rows_[row]);
    }
  }
  EXPECT_LE(row, rows_.size()) << "the checkpoint has more rows than the file";
}

void ImportDriver::NoteAll() {
  for (Row& row : rows_) Acknowledge(row);
}

void ImportDriver::Acknowledge(Row& row) {
  row.acknowledged = row.in_file;
  ++acknowledged_;
}

void ImportDriver::Check(const StoredItems& stored) {
  for (size_t i = 0; i < rows_.size(); ++i) {
    Row& row = rows_[i];
    const auto found = stored.find(IdOf(i));
    if (found == stored.end()) {
      EXPECT_EQ(row.acknowledged, 0) << "LOST: " << IdOf(i);
      continue;
    }
    const types::v1::Item& item = found->second.item();
    const int64_t version = VersionOf(item);
    EXPECT_GE(version, row.acknowledged) << "LOST or undone: " << IdOf(i);
    EXPECT_LE(version, row.in_file) << IdOf(i);
    EXPECT_GE(item.revision(), row.revision) << IdOf(i);
    row.acknowledged = version;
    row.revision = item.revision();
  }
}

int64_t ImportDriver::existing() const {
  int64_t count = 0;
  for (const Row& row : rows_) count += row.acknowledged > 0 ? 1 : 0;
  return count;
}

}  // namespace palate::services
