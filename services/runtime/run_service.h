// The one bootstrap of every server binary: configuration, logging, serving, SIGTERM -> NOT_SERVING
// -> drain -> exit 0.
//
//   int main(int argc, char** argv) {
//     return RunService<RankingConfig>(argc, argv, "palate-ranking", "Orders and explains
//     candidates.", &MakeRankingServices);
//   }
//
// A service's configuration is a struct with `void Bind(Config&)`. Exit codes: 0 after an orderly
// end, --help or --version, 1 when the service could not start, 2 for a wrong command line or
// configuration.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/command_line.h"
#include "services/runtime/config.h"
#include "services/runtime/server_config.h"
#include "services/runtime/service_set.h"

namespace palate::services {

struct ServiceProgram {
  std::string name;
  std::string purpose;  // one sentence for --help
  Config* config = nullptr;
  ServerConfig* server = nullptr;
  std::function<absl::StatusOr<ServiceSet>()> make;
};

// Blocks SIGTERM and SIGINT in this thread and those it starts: they are waited for, never handled.
// Called first in main.
void BlockTerminationSignals();
// Waits for one of them.
void WaitForTermination();

// Applies --config, the environment and flags. Returns false when --help was asked for (and
// printed).
absl::StatusOr<bool> LoadConfiguration(const CommandLine& line, const std::string& usage,
                                       Config& config);

// Writes a file with the port's number, whole or not at all.
absl::Status WritePortFile(const std::string& path, int port);

// Serves until a termination signal came and everything has drained; with --version or --help
// prints and returns. InvalidArgument for a wrong command line or configuration. REQUIRES:
// BlockTerminationSignals() was called.
absl::Status RunProgram(const std::vector<std::string>& arguments, const ServiceProgram& program);
// The same as the whole of a main function.
int RunMain(int argc, char** argv, const ServiceProgram& program);

template <typename ServiceConfig>
int RunService(int argc, char** argv, std::string name, std::string purpose, int default_port,
               absl::StatusOr<ServiceSet> (*make)(const ServiceConfig&)) {
  ServiceConfig service;
  ServerConfig server;
  server.listen = "127.0.0.1:" + std::to_string(default_port);
  Config config;
  server.Bind(config);
  service.Bind(config);
  return RunMain(argc, argv, {std::move(name), std::move(purpose), &config, &server, [&] {
                                return make(service);
                              }});
}

}  // namespace palate::services
