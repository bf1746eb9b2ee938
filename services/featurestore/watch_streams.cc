#include "services/featurestore/watch_streams.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "services/convert/change_convert.h"
#include "services/runtime/rpc_service.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::featurestore::v1;
using featurestore::Change;
using featurestore::ChangeBatch;
using featurestore::ChangeKind;

constexpr int kMaxChangesPerMessage = 1000;
const char kCatalogsFeed[] = "";  // the store's feed of created, changed and deleted catalogs

}  // namespace

absl::Status FeedCursor::Start(const std::string& token) {
  if (!token.empty()) {
    PALATE_ASSIGN_OR_RETURN(positions_, DecodeFeedToken(token));
    const bool fits = catalog_.empty() ? positions_.contains(kCatalogsFeed)
                                       : positions_.size() == 1 && positions_.contains(catalog_);
    if (!fits)
      return InvalidField("resume_token", "belongs to another choice of catalogs",
                          "of the same request");
    return absl::OkStatus();
  }

  // The catalogs' feed first: a catalog that is created while the others are listed is then seen
  // twice rather than never.
  PALATE_ASSIGN_OR_RETURN(positions_[catalog_], store_.GetFeedToken(catalog_));
  std::string page_token;
  do {
    if (!catalog_.empty()) break;
    PALATE_ASSIGN_OR_RETURN(const featurestore::CatalogPage page,
                            store_.ListCatalogs(0, page_token));
    for (const Catalog& catalog : page.catalogs) {
      absl::StatusOr<std::string> position = store_.GetFeedToken(catalog.id);
      if (position.ok()) positions_[catalog.id] = *std::move(position);
    }
    page_token = page.next_page_token;
  } while (!page_token.empty());
  return absl::OkStatus();
}

void FeedCursor::FollowCatalogs(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::kCatalogDeleted) positions_.erase(change.key);
    // A catalog that is not followed yet is new: its feed is read from the beginning.
    if (change.kind == ChangeKind::kCatalogChanged) positions_.try_emplace(change.key, "");
  }
}

absl::Status FeedCursor::ReadFeed(const std::string& catalog, pb::WatchChangesResponse& out) {
  const int room = kMaxChangesPerMessage - out.changes_size();
  if (room <= 0) return absl::OkStatus();

  absl::StatusOr<ChangeBatch> batch =
      store_.ReadChanges(catalog, positions_[catalog], room, absl::InfinitePast());
  if (absl::IsNotFound(batch.status()) && catalog_.empty()) {
    // The catalog was deleted; the catalogs' feed reports it.
    positions_.erase(catalog);
    return absl::OkStatus();
  }
  PALATE_RETURN_IF_ERROR(Annotate(batch.status(), "changes of catalog ", catalog));

  for (const Change& change : batch->changes)
    *out.add_changes() = ToProto(change, catalog.empty() ? change.key : catalog);
  positions_[catalog] = batch->next_token;
  if (catalog.empty()) FollowCatalogs(batch->changes);
  return absl::OkStatus();
}

absl::Status FeedCursor::Read(pb::WatchChangesResponse& out) {
  if (catalog_.empty()) PALATE_RETURN_IF_ERROR(ReadFeed(kCatalogsFeed, out));

  std::vector<std::string> catalogs;
  for (const auto& [catalog, position] : positions_) {
    if (!catalog.empty()) catalogs.push_back(catalog);
  }

  for (const std::string& catalog : catalogs) PALATE_RETURN_IF_ERROR(ReadFeed(catalog, out));
  out.set_next_token(token());
  return absl::OkStatus();
}

// One stream. Only the thread of WatchStreams writes to it and ends it; after Finish only gRPC uses
// it.
class WatchStreams::Stream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  Stream(WatchStreams& owner, std::string catalog, std::string token)
      : owner_(owner), cursor_(owner.store_, std::move(catalog)), start_token_(std::move(token)) {}

  void OnCancel() override {
    cancelled_ = true;
    owner_.Wake();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) cancelled_ = true;
    writing_ = false;
    owner_.Wake();
  }
  void OnDone() override { delete this; }

  // Sends new changes. Returns false when the stream has ended; the object must not be used any
  // more.
  bool Advance() {
    if (cancelled_) return End(absl::CancelledError("the caller cancelled the stream"));
    if (writing_) return true;

    pb::WatchChangesResponse message;
    if (!std::exchange(started_, true)) {
      const absl::Status status = cursor_.Start(start_token_);
      if (!status.ok()) return End(status);
      message.set_next_token(cursor_.token());
    } else {
      const absl::Status status = cursor_.Read(message);
      if (!status.ok()) return End(status);
      if (message.changes().empty()) return true;
    }

    const absl::Status serialized = SerializeResponse(message, buffer_);
    if (!serialized.ok()) return End(serialized);
    writing_ = true;
    StartWrite(&buffer_);
    return true;
  }

  bool End(const absl::Status& status) {
    Finish(ToGrpcStatus(status));
    return false;
  }

 private:
  WatchStreams& owner_;
  FeedCursor cursor_;
  const std::string start_token_;
  grpc::ByteBuffer buffer_;
  bool started_ = false;
  std::atomic<bool> writing_ = false;
  std::atomic<bool> cancelled_ = false;
};

WatchStreams::WatchStreams(featurestore::FeatureStore& store, int max_streams)
    : store_(store), max_streams_(static_cast<size_t>(max_streams)) {
  listener_ = store_.AddFeedListener([this] { Wake(); });
  thread_ = std::thread([this] { Run(); });
}

WatchStreams::~WatchStreams() { Stop(); }

grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchStreams::Open(const grpc::ByteBuffer& bytes) {
  pb::WatchChangesRequest request;
  const absl::Status parsed = ParseRequest(bytes, request);
  auto* stream = new Stream(*this, request.catalog(), request.resume_token());

  MutexLock lock(mutex_);
  if (!parsed.ok()) {
    stream->End(parsed);
  } else if (stopping_) {
    stream->End(absl::UnavailableError("the server is shutting down"));
  } else if (streams_.size() >= max_streams_) {
    stream->End(absl::ResourceExhaustedError(
        absl::StrCat(streams_.size(), " streams are open; the limit is ", max_streams_)));
  } else {
    streams_.insert(stream);
    dirty_ = true;
    woken_.Signal();
  }
  return stream;
}

void WatchStreams::Wake() {
  MutexLock lock(mutex_);
  dirty_ = true;
  woken_.Signal();
}

void WatchStreams::Run() {
  while (true) {
    std::vector<Stream*> streams;
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      while (!dirty_ && !stopping_) woken_.Wait(mutex_);
      dirty_ = false;
      stopping = stopping_;
      streams.assign(streams_.begin(), streams_.end());
    }

    for (Stream* stream : streams) {
      const bool alive = stopping
                             ? stream->End(absl::UnavailableError("the server is shutting down"))
                             : stream->Advance();
      if (alive) continue;
      MutexLock lock(mutex_);
      streams_.erase(stream);
    }
    if (stopping) return;
  }
}

void WatchStreams::Stop() {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    woken_.Signal();
  }
  store_.RemoveFeedListener(listener_);
  thread_.join();
}

}  // namespace palate::services
