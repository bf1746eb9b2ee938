// Runs the libraries that the embedding benchmarks compare with, in a separate Python process
// (bench/embedding/peer.py).
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace palate::bench {

// Not thread-safe. The destructor ends the process.
class Peer {
 public:
  // Installs the libraries if they are missing (bench/embedding/setup_peers.sh; takes minutes the
  // first time), and starts the process with this many threads. FailedPrecondition when the
  // installation fails, such as without a network.
  static absl::StatusOr<std::unique_ptr<Peer>> Start(int threads);
  // The same, but prints the error to stdout and returns null when it fails.
  static std::unique_ptr<Peer> StartOrSayWhy(int threads);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Sends one request and waits for the response. Internal with the peer's message when it fails.
  absl::StatusOr<nlohmann::json> Call(const std::string& name, nlohmann::json request);

  // Seconds that the engine `name` took for one batch.
  absl::StatusOr<double> Run(const std::string& name, size_t batch);

 private:
  Peer(pid_t pid, FILE* requests, FILE* answers)
      : pid_(pid), requests_(requests), answers_(answers) {}

  const pid_t pid_;
  FILE* const requests_;
  FILE* const answers_;
};

}  // namespace palate::bench
