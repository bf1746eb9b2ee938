// A client that writes and deletes items until it is told to stop, and knows what was acknowledged.
//
// One call is in flight at a time. A call whose outcome is unknown is sent again until it is
// acknowledged, in the next round if need be. Used by one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/services/kill/calls.h"

namespace palate::services {

// What the store holds, by item id.
using StoredItems = std::map<std::string, types::v1::ItemRecord>;

// Every part of the item holds its version, so that a torn or an older write is visible.
types::v1::Item VersionedItem(const std::string& id, int64_t version);
// The version of an item made by VersionedItem. A failure of the test where its parts disagree.
int64_t VersionOf(const types::v1::Item& item);

class ItemWriter {
 public:
  explicit ItemWriter(uint32_t seed) : random_(seed) {}

  // Sends again what was begun, then random writes.
  void Run(Calls& calls, const std::atomic<bool>& stop);
  // Sends again what was begun, so that nothing is uncertain any more.
  void Settle(Calls& calls);
  // Compares the store with what was acknowledged. What was begun may be there or not, as a whole.
  void Check(const StoredItems& stored);

  int64_t acknowledged() const { return acknowledged_; }
  // Items that exist, as of the last Check().
  int64_t existing() const;

 private:
  struct Promise {
    int64_t version = 0;   // 0: not there
    int64_t revision = 0;  // the newest one known; a deleted item keeps it
  };
  struct Write {
    bool deletes = false;
    std::vector<std::pair<std::string, int64_t>> items;  // with their new versions; 0 when deleted
    bool repeated = false;                               // it may have happened already
  };

  Write RandomWrite();
  // True when begun_ is acknowledged; false when `stop` came first.
  bool Send(Calls& calls, const std::atomic<bool>& stop);
  absl::Status Upsert(Calls& calls);
  absl::Status Delete(Calls& calls);
  // Reads what was just acknowledged.
  void ReadBack(Calls& calls, const Write& write);
  void CheckBegun(const StoredItems& stored);

  std::mt19937 random_;
  std::map<std::string, Promise> promises_;
  std::optional<Write> begun_;
  int64_t next_version_ = 1;
  int64_t acknowledged_ = 0;
};

}  // namespace palate::services
