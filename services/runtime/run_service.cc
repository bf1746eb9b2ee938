#include "services/runtime/run_service.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/log.h"
#include "base/status.h"
#include "base/version.h"
#include "google/protobuf/stubs/logging.h"
#include "services/runtime/server.h"

namespace palate::services {
namespace {

sigset_t TerminationSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Protobuf would write a line to standard error for each string of a caller that is not UTF-8. The
// caller gets an error anyway, and must not be able to fill the log.
void QuietProtobuf() {
  google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string& message) {
        spdlog::debug("protobuf: {}", message);
      });
}

absl::Status Serve(const ServiceProgram& program) {
  InitLogging(program.server->log_level);
  QuietProtobuf();
  spdlog::info("{}: {}", program.name, program.config->Summary());

  PALATE_ASSIGN_OR_RETURN(ServiceSet services, program.make());
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Server> server,
                          Server::Start(*program.server, std::move(services)));

  if (!program.server->port_file.empty())
    PALATE_RETURN_IF_ERROR(WritePortFile(program.server->port_file, server->port()));
  std::cout << program.name << " serves on port " << server->port() << std::endl;

  WaitForTermination();
  spdlog::info("{}: shutting down; calls in progress have {} ms", program.name,
               absl::ToInt64Milliseconds(program.server->drain));
  server->Drain();
  server.reset();
  spdlog::info("{}: shut down", program.name);
  return absl::OkStatus();
}

}  // namespace

void BlockTerminationSignals() {
  const sigset_t signals = TerminationSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void WaitForTermination() {
  const sigset_t signals = TerminationSignals();
  int received = 0;
  sigwait(&signals, &received);
}

absl::StatusOr<bool> LoadConfiguration(const CommandLine& line, const std::string& usage,
                                       Config& config) {
  if (!line.positional.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", line.positional[0], "; see --help"));
  }

  for (const auto& [name, value] : line.flags) {
    if (name == "config") PALATE_RETURN_IF_ERROR(config.LoadFile(value));
  }
  PALATE_RETURN_IF_ERROR(
      config.LoadEnvironment([](const char* name) { return std::getenv(name); }));
  bool help = false;
  for (const auto& [name, value] : line.flags) {
    if (name == "help") help = true;
    if (name != "help" && name != "config") PALATE_RETURN_IF_ERROR(config.SetFlag(name, value));
  }

  if (!help) return true;
  std::cout << usage
            << "\nFlags, with their current values; each has a key in the file of --config and an "
               "environment variable\n"
            << "(--server.port-file: server.port_file, PALATE_SERVER_PORT_FILE). Flags override "
               "the environment, which overrides\n"
            << "the file.\n\n"
            << "  --config=FILE\n      YAML file, see deploy/config.\n"
            << "  --version\n      Prints the version and exits.\n"
            << config.Help();
  return false;
}

absl::Status WritePortFile(const std::string& path, int port) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  {
    std::ofstream file(temporary);
    file << port << "\n";
    if (!file.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", temporary));
  }

  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

absl::Status RunProgram(const std::vector<std::string>& arguments, const ServiceProgram& program) {
  PALATE_ASSIGN_OR_RETURN(const CommandLine line, ParseCommandLine(arguments, {"help", "version"}));
  for (const auto& [name, value] : line.flags) {
    if (name != "version") continue;
    std::cout << program.name << " " << Version() << std::endl;
    return absl::OkStatus();
  }

  const std::string usage =
      absl::StrCat(program.name, ": ", program.purpose, "\n\nUsage: ", program.name,
                   " [--config=FILE] [--key=value ...]\n");

  PALATE_ASSIGN_OR_RETURN(const bool serve, LoadConfiguration(line, usage, *program.config));
  return serve ? Serve(program) : absl::OkStatus();
}

int RunMain(int argc, char** argv, const ServiceProgram& program) {
  BlockTerminationSignals();
  const absl::Status status = RunProgram(std::vector<std::string>(argv + 1, argv + argc), program);

  if (status.ok()) return 0;
  std::cerr << program.name << ": " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace palate::services
