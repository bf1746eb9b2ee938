// All EmbedStream calls of the service.
//
// gRPC's threads only advance a stream's state; parsing, embedding and serializing run on pools,
// one per lane, so that bulk streams do not delay interactive ones. A stream is read only while it
// is below its limits of unanswered inputs; HTTP/2's flow control then slows its caller down.
//
// Thread-safe. Borrows the EmbedPath. Must outlive the server that runs the streams.
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
    int threads = 4;  // per lane; they wait while the model computes
    // Limits of the unanswered inputs of one stream: read, but the result not passed to the
    // transport. At a limit the stream is no longer read; the message that exceeds it is still
    // processed.
    int max_inputs = 256;
    int64_t max_bytes = 16 << 20;
  };
  EmbedStreams(EmbedPath& path, const Options& options);
  ~EmbedStreams();
  EmbedStreams(const EmbedStreams&) = delete;
  EmbedStreams& operator=(const EmbedStreams&) = delete;

  // Starts a stream of `service`; the reactor owns itself. A refused stream ends with an error.
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Open(
      RpcService& service, grpc::CallbackServerContext* context);

  // Stops reading from streams: each ends with UNAVAILABLE once its results are sent. Later streams
  // are refused. Idempotent.
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
