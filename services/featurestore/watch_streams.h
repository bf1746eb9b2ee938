// All WatchChanges streams of a feature store, served by one thread: streams stay open for days and
// must not occupy one thread each.
//
// The thread sleeps until the store's feed grows or the transport has taken a stream's message, so
// a slow reader delays only its own stream. Thread-safe. Borrows the store.
#pragma once

#include <grpcpp/grpcpp.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "featurestore/feature_store.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"
#include "services/featurestore/feed_token.h"

namespace palate::services {

// The feeds that one stream follows, and its position in them. Not thread-safe. Borrows the store.
class FeedCursor {
 public:
  // One catalog, or all of them for an empty id.
  FeedCursor(featurestore::FeatureStore& store, std::string catalog)
      : store_(store), catalog_(std::move(catalog)) {}

  // Moves to the position of `token`, or to the feed's end when it is empty. InvalidField for a
  // token of another choice of catalogs.
  absl::Status Start(const std::string& token);
  // Reads the changes since then, at most one message; `changes` stays empty when there are none.
  absl::Status Read(palate::featurestore::v1::WatchChangesResponse& out);
  std::string token() const { return EncodeFeedToken(positions_); }

 private:
  absl::Status ReadFeed(const std::string& catalog,
                        palate::featurestore::v1::WatchChangesResponse& out);
  // Starts to follow created catalogs, and stops following deleted ones.
  void FollowCatalogs(const std::vector<featurestore::Change>& changes);

  featurestore::FeatureStore& store_;
  const std::string catalog_;
  FeedPositions positions_;
};

class WatchStreams {
 public:
  WatchStreams(featurestore::FeatureStore& store, int max_streams);
  ~WatchStreams();
  WatchStreams(const WatchStreams&) = delete;
  WatchStreams& operator=(const WatchStreams&) = delete;

  // Starts a stream; the reactor owns itself. A refused stream ends with an error.
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Open(const grpc::ByteBuffer& request);

  // Ends every stream with UNAVAILABLE; later ones are refused. Idempotent.
  void Stop();

 private:
  class Stream;

  void Run();
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);

  featurestore::FeatureStore& store_;
  const size_t max_streams_;
  Mutex mutex_;
  CondVar woken_;
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<Stream*> streams_ ABSL_GUARDED_BY(mutex_);
  int64_t listener_ = 0;
  std::thread thread_;
};

}  // namespace palate::services
