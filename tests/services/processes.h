// Starts, kills and restarts the five services as five processes over TCP, as an operator runs
// them.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace palate::services {

// One child process. It is killed when this object is destroyed, and when the test process dies.
class Process {
 public:
  // `program` is the name of one of our binaries. Both output streams are appended to `log_path`;
  // if `output_path` is given, standard output is appended to it instead.
  Process(const std::string& program, const std::vector<std::string>& arguments,
          const std::string& log_path, const std::string& output_path = "");
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const { return pid_; }
  void Signal(int signal) const;
  bool running();
  // Waits for the end. Returns the exit status, or 128 + the number of the signal that ended the
  // process.
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
// Runs one of our binaries and waits for its end.
Outcome RunToEnd(const std::string& program, const std::vector<std::string>& arguments);

class Palate {
 public:
  // Starts all five and waits until each serves.
  explicit Palate(const std::string& folder);

  // "embedding", "ranking", "featurestore", "retrieval" or "gateway", on the port of its previous
  // start, if any.
  void Start(const std::string& part);
  // Kills the process (SIGKILL) and waits for its end.
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

// Folder of a built-in model: "dual_encoder", "shopper-lm".
std::string BuiltinModel(const std::string& name);

// Whether this build has the built-in language model. Without it ranking runs without a model, and
// templates explain.
bool HasLanguageModel();

// The bytes of a PNG file with an image of one color.
std::string MakePng(int width, int height, unsigned char red, unsigned char green,
                    unsigned char blue);

}  // namespace palate::services
