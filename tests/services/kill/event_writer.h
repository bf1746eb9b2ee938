// A client that writes events, repeats some, purges users and asks for recommendations until it is
// told to stop, and knows what was acknowledged. As ItemWriter otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/services/kill/calls.h"

namespace palate::services {

class EventWriter {
 public:
  explicit EventWriter(uint32_t seed) : random_(seed) {}

  void Run(Calls& calls, const std::atomic<bool>& stop);
  void Settle(Calls& calls);
  // Compares the events and the seen sets of the users that were touched since the last Check(),
  // and of `others` more, with what was acknowledged. `number_of` is the number of an item that
  // exists, or 0.
  void Check(Calls& calls, size_t others,
             const std::function<uint32_t(const std::string&)>& number_of);
  // Recommendations for the newest user hold nothing that the user has seen. False when retrieval
  // or the store does not answer yet.
  bool CheckRecommend(Calls& calls);

  int64_t acknowledged() const { return acknowledged_; }
  int64_t purged() const { return purged_; }
  // Events and users that exist, as of the last Check().
  int64_t events() const;
  int64_t users() const;
  // Ids that events may name.
  std::vector<std::string> item_ids;

 private:
  // An event's content, which is unique; the event id is empty where the store derives it.
  using Key = std::string;
  struct User {
    std::map<Key, types::v1::Event> events;
    std::set<std::string> seen;  // items
  };
  struct Write {
    std::vector<types::v1::Event> fresh;
    std::vector<types::v1::Event> repeats;  // sent with them: known, or twice in one call
    std::string purge;                      // or: the user to be purged
    bool repeated = false;
  };

  static Key KeyOf(const types::v1::Event& event);
  std::string CurrentUser(int slot);
  types::v1::Event RandomEvent(const std::string& user);
  Write RandomWrite();
  bool Send(Calls& calls, const std::atomic<bool>& stop);
  absl::Status SendEvents(Calls& calls);
  absl::Status SendPurge(Calls& calls);
  void Note(const std::vector<types::v1::Event>& events);
  // Compares one user; `begun`: what may be there or not. Returns how many of these are.
  size_t CheckUser(Calls& calls, const std::string& name, const std::set<Key>& begun,
                   const std::function<uint32_t(const std::string&)>& number_of);
  void CheckSeen(Calls& calls, const std::string& name, const std::set<std::string>& seen,
                 const std::function<uint32_t(const std::string&)>& number_of);
  void CheckBegun(Calls& calls, const std::function<uint32_t(const std::string&)>& number_of);

  std::mt19937 random_;
  std::map<std::string, User> users_;
  std::map<int, int> generations_;  // of the user names, by slot
  std::set<std::string> touched_;
  std::string newest_user_;
  std::optional<Write> begun_;
  int64_t next_ = 0;
  int64_t acknowledged_ = 0;
  int64_t purged_ = 0;
  int writes_ = 0;
};

}  // namespace palate::services
