// Flags of the client commands, and the connection that they open.
//
// --server HOST:PORT talks to a running Palate; --data-dir D opens the data in this process, and
// fails naming the owner if another process has them open. Not thread-safe.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "services/runtime/channel.h"

namespace palate::services {

// How long a command waits for a response by default.
inline constexpr absl::Duration kDefaultTimeout = absl::Seconds(10);

class LocalStack;

// Parses a command's flags; `switches` are those without a value, beside --json and --help.
absl::StatusOr<Flags> ParseClientFlags(const std::vector<std::string>& arguments,
                                       std::set<std::string> switches = {});

// The server of a client command. Owns the in-process services.
class Connection {
 public:
  // Reads --server, --data-dir and, for the latter, --config.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(Flags& flags);
  // Services in this process over `data_dir`; with `listen` (host:port, port 0 for any free port)
  // other processes can call them too.
  static absl::StatusOr<std::unique_ptr<Connection>> OpenLocal(const std::string& data_dir,
                                                               const std::string& config_path,
                                                               const std::string& listen = "");

  ~Connection();
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  ChannelProvider provider() const {
    return [channel = channel_] { return channel; };
  }
  const std::string& data_dir() const { return data_dir_; }
  // The in-process services; null with --server.
  LocalStack* local() const { return local_.get(); }

  // `wanted`, or if it is empty the only existing catalog. FailedPrecondition listing the catalogs
  // when there are several, NotFound when there is none.
  absl::StatusOr<std::string> ResolveCatalog(const std::string& wanted) const;

 private:
  Connection();

  std::string data_dir_;
  std::unique_ptr<LocalStack> local_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Parts of the client commands' --help: the connection, the catalog, timeout and output.
extern const char kConnectionHelp[];
extern const char kCatalogHelp[];
extern const char kAnswerHelp[];

}  // namespace palate::services
