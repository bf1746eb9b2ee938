// The libraries that the embedding benchmarks compare with, in a Python process of their own
// (bench/embedding/peer.py).
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace palate::bench {

// One thread at a time. The destructor ends the process.
class Peer {
 public:
  // Installs the libraries when they are not yet there (bench/embedding/setup_peers.sh; minutes the
  // first time), and starts the process with so many threads. FailedPrecondition when that does not
  // work, such as without a network.
  static absl::StatusOr<std::unique_ptr<Peer>> Start(int threads);
  // The same; null, saying why on stdout, when it does not work.
  static std::unique_ptr<Peer> StartOrSayWhy(int threads);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Sends one request and waits for its answer. Internal with the other side's message when it
  // failed.
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
