// palate: the command line, with all services in one process.

#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "base/version.h"
#include "cli/commands.h"

namespace {

using palate::services::Arguments;

struct Command {
  const char* summary;
  absl::Status (*run)(const Arguments&);
};

const std::map<std::string, Command>& Commands() {
  static const auto* const commands = new std::map<std::string, Command>{
      {"catalog", {"shows, alters and deletes catalogs", &palate::services::RunCatalog}},
      {"serve", {"all services in one process", &palate::services::RunServe}},
      {"demo",
       {"recommendations and explanations for a generated shop",
        &palate::services::RunDemoCommand}},
      {"import",
       {"items and events: MovieLens, or your own JSON lines", &palate::services::RunImport}},
      {"embed",
       {"embeds a file of items or queries, without any service", &palate::services::RunEmbed}},
      {"recommend", {"items for a user, with reasons", &palate::services::RunRecommend}},
      {"search", {"items that match a text, a picture, or both", &palate::services::RunSearch}},
      {"similar", {"items like a given one", &palate::services::RunSimilar}},
      {"events", {"shows the events of a user, or writes one", &palate::services::RunEvents}},
      {"status", {"counts, embedding backlog, index", &palate::services::RunStatus}},
  };
  return *commands;
}

void PrintUsage(std::ostream& out) {
  out << "palate: recommendations with reasons\n\nusage: palate COMMAND [FLAGS]; palate COMMAND "
         "--help says more; palate --version\n\n";
  for (const auto& [name, command] : Commands())
    out << "  " << name << std::string(12 - name.size(), ' ') << command.summary << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
    PrintUsage(arguments.empty() ? std::cerr : std::cout);
    return arguments.empty() ? 2 : 0;
  }
  if (arguments[0] == "--version") {
    std::cout << "palate " << palate::Version() << "\n";
    return 0;
  }

  const auto command = Commands().find(arguments[0]);
  if (command == Commands().end()) {
    std::cerr << "palate: unknown command " << arguments[0] << "\n\n";
    PrintUsage(std::cerr);
    return 2;
  }
  palate::InitLogging("warning");  // client commands hide the logs of the services they open
  const absl::Status status =
      command->second.run(Arguments(arguments.begin() + 1, arguments.end()));
  if (status.ok()) return 0;
  std::cerr << "palate " << arguments[0] << ": " << status.message() << "\n";
  return palate::services::ExitCode(status);
}
