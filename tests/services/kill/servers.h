// Palate over one data folder, as four processes or as one, to be killed and started again.
//
// Both layouts keep the same files in the same places, so a folder may change between them at every
// start. Ranking keeps nothing and is not started. Not thread-safe; the channels are.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/services/processes.h"

namespace palate::services {

class Servers {
 public:
  enum class Layout { kFourProcesses, kOneProcess };

  // `models` are folders by the embedding models' names; the first is the default. Starts nothing.
  Servers(std::string folder, std::map<std::string, std::string> models);

  // Starts what does not run. Another layout than before needs everything to be down.
  void Launch(Layout layout);
  // Waits until everything that was launched accepts calls. False, with a failure of the test, when
  // a process ends instead.
  bool AwaitReady();
  // SIGKILL, and waits for the end.
  void Kill(const std::string& part);
  void KillAll();

  // "gateway", "featurestore", "retrieval", "embedding"; in one process only "palate".
  std::vector<std::string> Parts() const;
  Layout layout() const { return layout_; }
  std::string address() const;  // of the gateway

  const std::shared_ptr<grpc::Channel>& gateway() const { return channels_.at("gateway"); }
  // The channel to the service, which in one process is the gateway's.
  const std::shared_ptr<grpc::Channel>& channel(const std::string& part) const;
  std::string Log(const std::string& part) const;

 private:
  std::vector<std::string> Arguments(const std::string& part) const;
  std::string PortFile(const std::string& part) const { return folder_ + "/" + part + ".port"; }
  std::string Address(const std::string& part) const;
  // Finds a free port for every part; the ports stay the same from then on.
  void ChoosePorts();

  const std::string folder_;
  const std::map<std::string, std::string> models_;
  Layout layout_ = Layout::kFourProcesses;
  std::map<std::string, int> ports_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

}  // namespace palate::services
