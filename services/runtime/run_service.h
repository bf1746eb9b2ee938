// The bootstrap of all server binaries: configuration, logging, serving, then SIGTERM ->
// NOT_SERVING -> drain -> exit 0.
//
// Usage:
//   int main(int argc, char** argv) {
//     return RunService<EchoConfig>(argc, argv, "palate-echo", "Returns what it is sent.",
//                                   /*default_port=*/7105, &MakeEchoServices);
//   }
//
// A service's configuration is a struct with `void Bind(Config&)`. Exit codes: 0 after an orderly
// shutdown, --help or --version, 1 when the service could not start, 2 for a wrong command line or
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

// Blocks SIGTERM and SIGINT in this thread and the threads it starts; WaitForTermination waits for
// them instead of a handler. Call it first in main.
void BlockTerminationSignals();
// Blocks until SIGTERM or SIGINT arrives. REQUIRES: BlockTerminationSignals() was called.
void WaitForTermination();

// Applies --config, the environment and flags. Returns false after it has printed the help for
// --help.
absl::StatusOr<bool> LoadConfiguration(const CommandLine& line, const std::string& usage,
                                       Config& config);

// Writes the port number to a file, atomically.
absl::Status WritePortFile(const std::string& path, int port);

// Serves until a termination signal arrives, then drains; with --version or --help it prints and
// returns. InvalidArgument for a wrong command line or configuration. REQUIRES:
// BlockTerminationSignals() was called.
absl::Status RunProgram(const std::vector<std::string>& arguments, const ServiceProgram& program);
// The same as a complete main function; returns the exit code.
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
