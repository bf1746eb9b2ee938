// Flags of the client commands, and the connection that they lead to.
//
// --server HOST:PORT talks to a running Palate; --data-dir D opens the data in this process (a
// directory that is open elsewhere says by whom). Used by one thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/runtime/channel.h"
#include "services/runtime/command_line.h"

namespace palate::services {

// How long a command waits for an answer, unless it is told.
inline constexpr absl::Duration kDefaultTimeout = absl::Seconds(10);

class LocalStack;

// A parsed command line whose flags are taken one by one; what nobody took is an error.
class Flags {
 public:
  // `switches`: flags without a value, beside --json and --help.
  static absl::StatusOr<Flags> Parse(const std::vector<std::string>& arguments,
                                     std::set<std::string> switches = {});
  // The same with these switches and no others.
  static absl::StatusOr<Flags> ParseWithSwitches(const std::vector<std::string>& arguments,
                                                 const std::set<std::string>& switches);

  // The last value of the flag, or `fallback`.
  std::string Text(const std::string& name, std::string fallback = "");
  // Every value of a flag that may stand several times.
  std::vector<std::string> Texts(const std::string& name);
  bool Switch(const std::string& name);
  // InvalidArgument naming the flag, its value and the bounds, which are inclusive.
  absl::StatusOr<int> Int(const std::string& name, int fallback, int low, int high);
  absl::StatusOr<double> Number(const std::string& name, double fallback, double low, double high);
  // A whole number of milliseconds.
  absl::StatusOr<absl::Duration> Milliseconds(const std::string& name, absl::Duration fallback);
  // RFC 3339; `fallback` when absent.
  absl::StatusOr<absl::Time> Time(const std::string& name, absl::Time fallback);

  const std::vector<std::string>& positional() const { return line_.positional; }
  // InvalidArgument naming flags that no one asked for.
  absl::Status CheckAllUsed() const;

 private:
  CommandLine line_;
  std::set<std::string> used_;
};

// Where a client command sends its calls. Keeps the in-process services alive.
class Connection {
 public:
  // Takes --server, --data-dir and, for the latter, --config.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(Flags& flags);
  // Services in this process over `data_dir`; with `listen` (host:port, port 0 for any) others can
  // call them too.
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

  // `wanted`, or the only catalog there is. FailedPrecondition listing the catalogs when there are
  // several, NotFound when there is none.
  absl::StatusOr<std::string> ResolveCatalog(const std::string& wanted) const;

 private:
  Connection();

  std::string data_dir_;
  std::unique_ptr<LocalStack> local_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Parts of the client commands' --help: where to connect to; the catalog; how the answer is waited
// for and printed.
extern const char kConnectionHelp[];
extern const char kCatalogHelp[];
extern const char kAnswerHelp[];

}  // namespace palate::services
