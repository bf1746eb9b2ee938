// Runs `palate import items` again and again over a file that is edited in between, and knows which
// rows the server has acknowledged: all of them after exit code 0, otherwise those that the import
// has recorded in its checkpoint. Used by one thread at a time, but for Kill() and the switches.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/services/kill/item_writer.h"

namespace palate::services {

class ImportDriver {
 public:
  ImportDriver(uint32_t seed, std::string folder);

  // Runs imports until `stop`; then kills the one in progress.
  void Run(const std::string& server, const std::atomic<bool>& stop);
  // Kills the import that runs, if one does.
  void Kill() { kill_ = true; }
  // Whether an import may fail from now on, because a server that it calls is being killed.
  void AllowFailure(bool allow) { may_fail_ = allow; }
  // One import without a disturbance, of a file that has been edited.
  void Finish(const std::string& server);
  void Check(const StoredItems& stored);

  int64_t existing() const;  // as of the last Check()
  int64_t rows() const { return static_cast<int64_t>(rows_.size()); }
  int64_t acknowledged() const { return acknowledged_; }  // rows with their content
  int finished() const { return finished_; }
  int killed() const { return killed_; }
  int resumed() const { return resumed_; }  // imports that skipped rows
  static std::string IdOf(size_t row);

 private:
  struct Row {
    int64_t in_file = 1;       // version
    int64_t acknowledged = 0;  // 0: none
    int64_t revision = 0;
  };
  using Portions = std::vector<std::pair<size_t, std::string>>;  // rows and digest

  void Edit();
  void RunOnce(const std::string& server, const std::atomic<bool>& stop, bool wait);
  Portions ReadCheckpoint() const;
  // Notes what the import has recorded that was not there before it.
  void NoteRecorded(const Portions& before);
  void NoteAll();
  void Acknowledge(Row& row);
  std::string checkpoint() const { return folder_ + "/import.checkpoint"; }

  const std::string folder_;
  std::mt19937 random_;
  std::vector<Row> rows_;
  std::atomic<bool> kill_ = false;
  std::atomic<bool> may_fail_ = false;
  bool complete_ = true;  // the last import has sent the whole file
  int64_t acknowledged_ = 0;
  int finished_ = 0;
  int killed_ = 0;
  int resumed_ = 0;
};

}  // namespace palate::services
