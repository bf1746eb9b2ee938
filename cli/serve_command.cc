// palate serve: all services in one process.

#include "cli/commands.h"
#include "services/local/local_stack.h"
#include "services/runtime/run_service.h"

namespace palate::services {

absl::Status RunServe(const Arguments& arguments) {
  BlockTerminationSignals();
  StackConfig stack;
  stack.server.listen = "127.0.0.1:7100";
  Config config;
  stack.Bind(config);
  return RunProgram(
      arguments,
      {"palate serve",
       "All services in one process: recommendation, search, embedding, index and feature store.",
       &config, &stack.server, [&] { return MakeStackServices(stack); }});
}

}  // namespace palate::services
