// All EmbedStream calls of the service.
//
// gRPC's threads only move a stream's state on; parsing, embedding and serializing run on pools,
// one for each lane, so that bulk streams do not keep interactive ones waiting. A stream is read
// only while it has room: that, and HTTP/2's own flow control behind it, is what slows its caller
// down.
//
// Thread-safe. Borrows the path. Must outlive the server that runs the streams.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <set>

#include "base/mutex.h"
#include "base/thread_pool.h"
#include "services/embedding/embed_path.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class EmbedStreams {
 public:
  struct Options {
    int max_streams = 32;
    int threads = 4;  // for each lane; they wait while the model computes
    // What one stream may have in the works (read, but its result not handed to the transport)
    // before it is no longer read. The message that goes beyond is still taken.
    int max_inputs = 256;
    int64_t max_bytes = 16 << 20;
  };
  EmbedStreams(EmbedPath& path, const Options& options);
  ~EmbedStreams();
  EmbedStreams(const EmbedStreams&) = delete;
  EmbedStreams& operator=(const EmbedStreams&) = delete;

  // Starts a stream of `service`; the reactor owns itself. A refusal ends the stream with its
  // status.
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Open(
      RpcService& service, grpc::CallbackServerContext* context);

  // No stream is read any more: each ends with UNAVAILABLE once its results are out; later ones are
  // refused. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  int open() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Stream;

  absl::Status Admit(const std::shared_ptr<Stream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave(const std::shared_ptr<Stream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);

  EmbedPath& path_;
  const Options options_;
  mutable Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
  ThreadPool interactive_;
  ThreadPool bulk_;
};

}  // namespace palate::services
