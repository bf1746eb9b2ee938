#include "tests/services/kill/event_writer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "domain/item_number_set.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

constexpr int kSlots = 6;
// A user gets no more events than one call of GetUser returns.
constexpr size_t kMaxEventsOfUser = 300;
constexpr int kReadEvents = 1000;
constexpr int kMaxEvents = 6;
constexpr const char* kTypes[] = {"view", "click", "purchase"};

bool MarksSeen(const types::v1::Event& event) { return event.event_type() != "view"; }

uint32_t NoNumber(const std::string&) { return 0; }

}  // namespace

EventWriter::Key EventWriter::KeyOf(const types::v1::Event& event) {
  return absl::StrCat(event.item_id(), "|", event.event_type(), "|", event.event_time().seconds(),
                      ".", event.event_time().nanos());
}

std::string EventWriter::CurrentUser(int slot) {
  int& generation = generations_[slot];
  std::string name = absl::StrCat("user-", slot, "-", generation);
  if (users_[name].events.size() < kMaxEventsOfUser) return name;
  return absl::StrCat("user-", slot, "-", ++generation);
}

types::v1::Event EventWriter::RandomEvent(const std::string& user) {
  types::v1::Event event;
  event.set_user_id(user);
  event.set_item_id(item_ids[random_() % item_ids.size()]);
  event.set_event_type(kTypes[random_() % std::size(kTypes)]);
  // No two events have the same time.
  *event.mutable_event_time() = ToProto(absl::FromUnixMicros(
      absl::ToUnixMicros(absl::Now()) / 1'000'000 * 1'000'000 - 3'600'000'000 + next_ % 1'000'000));
  if (random_() % 2 == 0) event.set_event_id(absl::StrCat("event-", next_));
  ++next_;
  return event;
}

EventWriter::Write EventWriter::RandomWrite() {
  Write write;
  if (++writes_ % 50 == 0) {
    write.purge = absl::StrCat("purged-", writes_);
    return write;
  }

  const bool to_be_purged = writes_ % 50 == 49;
  const std::string user = to_be_purged ? absl::StrCat("purged-", writes_ + 1)
                                        : CurrentUser(static_cast<int>(random_() % kSlots));
  const size_t count = 1 + random_() % kMaxEvents;
  for (size_t i = 0; i < count; ++i) write.fresh.push_back(RandomEvent(user));
  if (random_() % 8 == 0) write.repeats.push_back(write.fresh.front());
  const User& known = users_[user];
  if (!known.events.empty() && random_() % 3 == 0)
    write.repeats.push_back(known.events.begin()->second);
  return write;
}

void EventWriter::Run(Calls& calls, const std::atomic<bool>& stop) {
  while (!stop && !::testing::Test::HasFatalFailure()) {
    if (!begun_.has_value()) begun_ = RandomWrite();
    if (!Send(calls, stop)) return;
    if (writes_ % 4 == 0) CheckUser(calls, newest_user_, {}, NoNumber);
    if (writes_ % 8 == 0) CheckRecommend(calls);
  }
}

void EventWriter::Settle(Calls& calls) {
  const std::atomic<bool> never = false;
  if (begun_.has_value()) Send(calls, never);
}

bool EventWriter::Send(Calls& calls, const std::atomic<bool>& stop) {
  const auto send = [&] { return begun_->purge.empty() ? SendEvents(calls) : SendPurge(calls); };
  if (!SendUntilAcknowledged(send, begun_->repeated, stop)) return false;
  begun_.reset();
  return true;
}

absl::Status EventWriter::SendEvents(Calls& calls) {
  gateway_pb::WriteEventsRequest request;
  request.set_catalog(kKilledCatalog);
  for (const types::v1::Event& event : begun_->fresh) *request.add_events() = event;
  for (const types::v1::Event& event : begun_->repeats) *request.add_events() = event;

  gateway_pb::WriteEventsResponse response;
  const absl::Status status = calls(&Calls::Gateway::WriteEvents, request, response);
  if (!status.ok()) return status;

  const int fresh = static_cast<int>(begun_->fresh.size());
  EXPECT_TRUE(response.failures().empty()) << response.ShortDebugString();
  EXPECT_EQ(response.written() + response.duplicates(), request.events_size());
  EXPECT_TRUE(response.written() == fresh || (begun_->repeated && response.written() == 0))
      << response.written() << " of " << fresh << " new events were written";
  Note(begun_->fresh);
  acknowledged_ += fresh;
  newest_user_ = begun_->fresh.front().user_id();
  return absl::OkStatus();
}

absl::Status EventWriter::SendPurge(Calls& calls) {
  gateway_pb::PurgeUserRequest request;
  request.set_catalog(kKilledCatalog);
  request.set_user_id(begun_->purge);
  gateway_pb::PurgeUserResponse response;
  const absl::Status status = calls(&Calls::Gateway::PurgeUser, request, response);
  if (!status.ok()) return status;

  User& user = users_[begun_->purge];
  if (!begun_->repeated) {
    EXPECT_EQ(response.removed_events(), static_cast<int64_t>(user.events.size()));
  }
  user = User();
  touched_.insert(begun_->purge);
  ++purged_;
  return absl::OkStatus();
}

void EventWriter::Note(const std::vector<types::v1::Event>& events) {
  for (const types::v1::Event& event : events) {
    User& user = users_[event.user_id()];
    user.events[KeyOf(event)] = event;
    if (MarksSeen(event)) user.seen.insert(event.item_id());
    touched_.insert(event.user_id());
  }
}

void EventWriter::Check(Calls& calls, size_t others,
                        const std::function<uint32_t(const std::string&)>& number_of) {
  if (begun_.has_value()) CheckBegun(calls, number_of);
  std::vector<std::string> names;
  for (const auto& [name, user] : users_) names.push_back(name);
  std::shuffle(names.begin(), names.end(), random_);
  names.resize(std::min(names.size(), others));
  touched_.insert(names.begin(), names.end());

  for (const std::string& name : touched_) CheckUser(calls, name, {}, number_of);
  touched_.clear();
}

// Finds out whether the call happened, and notes it. It happened as a whole or not at all.
void EventWriter::CheckBegun(Calls& calls,
                             const std::function<uint32_t(const std::string&)>& number_of) {
  if (!begun_->purge.empty()) {
    User& user = users_[begun_->purge];
    std::set<Key> events;
    for (const auto& [key, event] : user.events) events.insert(key);
    const User before = user;
    user = User();
    const size_t left = CheckUser(calls, begun_->purge, events, number_of);
    EXPECT_TRUE(left == 0 || left == events.size()) << "half of " << begun_->purge << " is purged";
    if (left > 0) user = before;
    return;
  }

  const std::string name = begun_->fresh.front().user_id();
  std::set<Key> begun;
  for (const types::v1::Event& event : begun_->fresh) begun.insert(KeyOf(event));
  const size_t happened = CheckUser(calls, name, begun, number_of);
  EXPECT_TRUE(happened == 0 || happened == begun.size())
      << happened << " of the " << begun.size() << " events of one call of " << name
      << " were written";
  if (happened > 0) Note(begun_->fresh);
}

size_t EventWriter::CheckUser(Calls& calls, const std::string& name, const std::set<Key>& begun,
                              const std::function<uint32_t(const std::string&)>& number_of) {
  gateway_pb::GetUserRequest request;
  request.set_catalog(kKilledCatalog);
  request.set_user_id(name);
  request.set_max_events(kReadEvents);
  gateway_pb::GetUserResponse response;
  const absl::Status status = calls(&Calls::Gateway::GetUser, request, response);
  if (IsInterrupted(status)) return 0;
  // A user without an event is unknown.
  EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
  EXPECT_FALSE(response.has_more_events()) << name;

  const User& user = users_[name];
  std::map<Key, int> found;
  std::set<std::string> ids;
  std::set<std::string> seen;
  size_t happened = 0;
  for (const types::v1::Event& event : response.events()) {
    const Key key = KeyOf(event);
    EXPECT_EQ(++found[key], 1) << "DOUBLED: event " << key << " of " << name;
    EXPECT_TRUE(ids.insert(event.event_id()).second) << "DOUBLED: " << event.ShortDebugString();
    if (MarksSeen(event)) seen.insert(event.item_id());
    const bool known = user.events.count(key) > 0;
    happened += !known && begun.count(key) > 0 ? 1 : 0;
    EXPECT_TRUE(known || begun.count(key) > 0)
        << "never acknowledged: " << event.ShortDebugString();
  }
  for (const auto& [key, event] : user.events)
    EXPECT_TRUE(found.count(key) > 0) << "LOST: event " << event.ShortDebugString();

  CheckSeen(calls, name, seen, number_of);
  return happened;
}

void EventWriter::CheckSeen(Calls& calls, const std::string& name,
                            const std::set<std::string>& seen,
                            const std::function<uint32_t(const std::string&)>& number_of) {
  store_pb::GetUserContextRequest request;
  request.set_catalog(kKilledCatalog);
  request.set_user_id(name);
  store_pb::GetUserContextResponse response;
  const absl::Status status = calls(&Calls::Store::GetUserContext, request, response);
  if (IsInterrupted(status)) return;
  EXPECT_TRUE(status.ok()) << status;

  const auto numbers = ItemNumberSet::Parse(response.seen_item_numbers());
  ASSERT_TRUE(numbers.ok()) << numbers.status();
  EXPECT_EQ(numbers->size(), seen.size()) << "seen set of " << name;
  for (const std::string& id : seen) {
    const uint32_t number = number_of(id);
    EXPECT_TRUE(number == 0 || numbers->Contains(number))
        << "LOST: " << id << " in the seen set of " << name;
  }
}

bool EventWriter::CheckRecommend(Calls& calls) {
  gateway_pb::RecommendRequest request;
  request.set_catalog(kKilledCatalog);
  request.set_user_id(newest_user_);
  request.set_num_results(50);
  gateway_pb::RecommendResponse response;
  const absl::Status status = calls(&Calls::Gateway::Recommend, request, response);
  if (IsInterrupted(status)) return false;
  EXPECT_TRUE(status.ok()) << status;

  const std::set<std::string>& seen = users_[newest_user_].seen;
  std::set<std::string> results;
  for (const gateway_pb::RankedItem& result : response.results()) {
    EXPECT_EQ(seen.count(result.item_id()), 0u)
        << result.item_id() << " is recommended to " << newest_user_ << ", who has seen it";
    EXPECT_TRUE(results.insert(result.item_id()).second) << result.item_id() << " twice";
  }
  return true;
}

int64_t EventWriter::events() const {
  int64_t count = 0;
  for (const auto& [name, user] : users_) count += static_cast<int64_t>(user.events.size());
  return count;
}

int64_t EventWriter::users() const {
  int64_t count = 0;
  for (const auto& [name, user] : users_) count += user.events.empty() ? 0 : 1;
  return count;
}

}  // namespace palate::services
