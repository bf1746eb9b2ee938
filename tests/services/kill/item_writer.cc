#include "tests/services/kill/item_writer.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"

namespace palate::services {
namespace {

constexpr int kItems = 60;
constexpr int kMaxBatch = 8;

}  // namespace

types::v1::Item VersionedItem(const std::string& id, int64_t version) {
  types::v1::Item item;
  item.set_id(id);
  item.set_title(absl::StrCat(id, " of version ", version));
  std::string description;
  for (int i = 0; i < 20; ++i) absl::StrAppend(&description, version, ";");
  item.set_description(description);
  (*item.mutable_attributes())["version"].set_int64_value(version);
  return item;
}

int64_t VersionOf(const types::v1::Item& item) {
  const auto attribute = item.attributes().find("version");
  if (attribute == item.attributes().end()) {
    ADD_FAILURE() << item.id() << " has no version";
    return 0;
  }
  const int64_t version = attribute->second.int64_value();
  const types::v1::Item whole = VersionedItem(item.id(), version);
  EXPECT_EQ(item.title(), whole.title()) << "torn item " << item.id();
  EXPECT_EQ(item.description(), whole.description()) << "torn item " << item.id();
  return version;
}

void ItemWriter::Run(Calls& calls, const std::atomic<bool>& stop) {
  while (!stop && !::testing::Test::HasFatalFailure()) {
    if (!begun_.has_value()) begun_ = RandomWrite();
    const Write write = *begun_;
    if (!Send(calls, stop)) return;
    ReadBack(calls, write);
  }
}

void ItemWriter::Settle(Calls& calls) {
  const std::atomic<bool> never = false;
  if (begun_.has_value()) Send(calls, never);
}

ItemWriter::Write ItemWriter::RandomWrite() {
  Write write;
  write.deletes = random_() % 5 == 0;
  std::set<std::string> ids;
  const size_t count = 1 + random_() % kMaxBatch;
  while (ids.size() < count) {
    const std::string id = absl::StrCat("live-", random_() % kItems);
    if (!ids.insert(id).second) continue;
    write.items.emplace_back(id, write.deletes ? 0 : next_version_++);
  }
  return write;
}

bool ItemWriter::Send(Calls& calls, const std::atomic<bool>& stop) {
  const auto send = [&] { return begun_->deletes ? Delete(calls) : Upsert(calls); };
  if (!SendUntilAcknowledged(send, begun_->repeated, stop)) return false;
  acknowledged_ += static_cast<int64_t>(begun_->items.size());
  begun_.reset();
  return true;
}

absl::Status ItemWriter::Upsert(Calls& calls) {
  gateway_pb::UpsertItemsRequest request;
  request.set_catalog(kKilledCatalog);
  for (const auto& [id, version] : begun_->items)
    *request.add_writes()->mutable_item() = VersionedItem(id, version);

  gateway_pb::UpsertItemsResponse response;
  const absl::Status status = calls(&Calls::Gateway::UpsertItems, request, response);
  if (!status.ok()) return status;

  EXPECT_TRUE(response.failures().empty()) << response.ShortDebugString();
  EXPECT_EQ(response.revisions_size(), request.writes_size());
  for (int i = 0; i < response.revisions_size(); ++i) {
    const auto& [id, version] = begun_->items[static_cast<size_t>(i)];
    Promise& promise = promises_[id];
    const int64_t revision = response.revisions(i);
    if (promise.version == version) {
      EXPECT_EQ(revision, promise.revision) << id << ": a repeated write changed the item again";
    } else {
      EXPECT_GT(revision, promise.revision) << id << " of version " << version;
    }
    promise = {version, revision};
  }
  return absl::OkStatus();
}

absl::Status ItemWriter::Delete(Calls& calls) {
  store_pb::DeleteItemsRequest request;
  request.set_catalog(kKilledCatalog);
  for (const auto& [id, version] : begun_->items) request.add_item_ids(id);

  store_pb::DeleteItemsResponse response;
  const absl::Status status = calls(&Calls::Store::DeleteItems, request, response);
  if (!status.ok()) return status;

  int absent = 0;
  for (const auto& [id, version] : begun_->items) absent += promises_[id].version == 0 ? 1 : 0;
  if (begun_->repeated) {
    EXPECT_GE(response.failures_size(), absent);
  } else {
    EXPECT_EQ(response.failures_size(), absent) << response.ShortDebugString();
  }
  for (const auto& [id, version] : begun_->items) promises_[id].version = 0;
  return absl::OkStatus();
}

void ItemWriter::ReadBack(Calls& calls, const Write& write) {
  store_pb::GetItemsRequest request;
  request.set_catalog(kKilledCatalog);
  for (const auto& [id, version] : write.items) request.add_item_ids(id);
  store_pb::GetItemsResponse response;
  const absl::Status status = calls(&Calls::Store::GetItems, request, response);
  if (IsInterrupted(status)) return;

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(response.items_size(), write.deletes ? 0 : request.item_ids_size());
  for (const types::v1::ItemRecord& record : response.items()) {
    const Promise& promise = promises_[record.item().id()];
    EXPECT_EQ(VersionOf(record.item()), promise.version) << record.item().id();
    EXPECT_EQ(record.item().revision(), promise.revision) << record.item().id();
  }
}

void ItemWriter::Check(const StoredItems& stored) {
  if (begun_.has_value()) CheckBegun(stored);
  for (const auto& [id, promise] : promises_) {
    const auto found = stored.find(id);
    if (promise.version == 0) {
      EXPECT_TRUE(found == stored.end()) << id << " was deleted, and is back";
      continue;
    }
    if (found == stored.end()) {
      ADD_FAILURE() << "LOST: item " << id << " of version " << promise.version;
      continue;
    }
    const int64_t version = VersionOf(found->second.item());
    EXPECT_EQ(version, promise.version) << "LOST or undone: item " << id;
    EXPECT_EQ(found->second.item().revision(), promise.revision) << id;
  }
}

// One call is one batch of the store: it happened as a whole or not at all.
void ItemWriter::CheckBegun(const StoredItems& stored) {
  size_t happened = 0;
  size_t changing = 0;
  for (const auto& [id, version] : begun_->items) {
    Promise& promise = promises_[id];
    if (promise.version == version) continue;  // it changes nothing, or is known to have happened
    ++changing;
    const auto found = stored.find(id);
    const int64_t there = found == stored.end() ? 0 : VersionOf(found->second.item());
    if (there != version) continue;

    ++happened;
    promise.version = version;
    if (found == stored.end()) continue;
    EXPECT_GT(found->second.item().revision(), promise.revision) << id;
    promise.revision = found->second.item().revision();
  }
  EXPECT_TRUE(happened == 0 || happened == changing)
      << happened << " of " << changing << " items of one call were written";
}

int64_t ItemWriter::existing() const {
  int64_t count = 0;
  for (const auto& [id, promise] : promises_) count += promise.version == 0 ? 0 : 1;
  return count;
}

}  // namespace palate::services
