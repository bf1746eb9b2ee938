// The five services as five processes over TCP, as an operator runs them: started, killed and
// started again by tests.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace palate::services {

// A folder of its own under /tmp, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One child process; killed when this object goes, and when the test dies.
class Process {
 public:
  // `program` is the name of one of our binaries. Both streams go to `log_path`, standard output
  // elsewhere when `output_path` is given.
  Process(const std::string& program, const std::vector<std::string>& arguments,
          const std::string& log_path, const std::string& output_path = "");
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const { return pid_; }
  void Signal(int signal) const;
  bool running();
  // The exit status, or 128 + the signal that ended it. Waits.
  int Wait();

 private:
  int pid_ = -1;
  int exit_ = -1;
};

struct Outcome {
  int exit = -1;
  std::string output;
  std::string errors;
};
// Runs one of our binaries to its end.
Outcome RunToEnd(const std::string& program, const std::vector<std::string>& arguments);

// How long a test waits for what must happen; generous, so that a busy machine is no failure.
inline constexpr absl::Duration kLimit = absl::Seconds(120);

// Asks until `condition` holds. False when `limit` passed first.
template <typename Condition>
bool Eventually(const Condition& condition, absl::Duration limit) {
  const absl::Time end = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

class Palate {
 public:
  // Starts all five and waits until each serves.
  explicit Palate(const std::string& folder);

  // "embedding", "ranking", "featurestore", "retrieval" or "gateway", on the port that it had
  // before.
  void Start(const std::string& part);
  // kill -9, and waits for the end.
  void Kill(const std::string& part);
  Process& process(const std::string& part) { return *processes_.at(part); }

  std::shared_ptr<grpc::Channel> gateway() const { return channel_; }
  std::string address(const std::string& part) const;

 private:
  std::vector<std::string> Arguments(const std::string& part) const;

  const std::string folder_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::map<std::string, int> ports_;
  std::shared_ptr<grpc::Channel> channel_;
};

std::string ReadFile(const std::string& path);

// Folder of a model that comes with the binaries: "dual_encoder", "shopper-lm".
std::string BuiltinModel(const std::string& name);

// The built-in language model may be missing from a build; then ranking runs without one and
// templates explain.
bool HasLanguageModel();

// A picture of one color, as a PNG file's bytes.
std::string MakePng(int width, int height, unsigned char red, unsigned char green,
                    unsigned char blue);

}  // namespace palate::services
