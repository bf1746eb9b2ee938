#include "tests/services/kill/servers.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/runtime/channel.h"
#include "tests/eventually.h"

namespace palate::services {
namespace {

constexpr const char* kParts[] = {"embedding", "featurestore", "retrieval", "gateway"};
constexpr char kWhole[] = "palate";

// A port that was free a moment ago. A server that finds it taken ends, and the test says so.
int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  EXPECT_TRUE(bound) << "there is no free port";
  return ntohs(address.sin_port);
}

}  // namespace

Servers::Servers(std::string folder, std::map<std::string, std::string> models)
    : folder_(std::move(folder)), models_(std::move(models)) {
  ChoosePorts();
}

void Servers::ChoosePorts() {
  for (const char* part : kParts) {
    ports_[part] = FreePort();
    channels_[part] = DialTcp(Address(part));
  }
  ports_[kWhole] = ports_.at("gateway");
}

std::string Servers::Address(const std::string& part) const {
  return absl::StrCat("127.0.0.1:", ports_.at(part));
}

std::string Servers::address() const { return Address("gateway"); }

std::vector<std::string> Servers::Parts() const {
  if (layout_ == Layout::kOneProcess) return {kWhole};
  return {std::begin(kParts), std::end(kParts)};
}

const std::shared_ptr<grpc::Channel>& Servers::channel(const std::string& part) const {
  return channels_.at(layout_ == Layout::kOneProcess ? "gateway" : part);
}

std::string Servers::Log(const std::string& part) const {
  return ReadFile(folder_ + "/" + part + ".log");
}

std::vector<std::string> Servers::Arguments(const std::string& part) const {
  const bool whole = part == kWhole;
  std::vector<std::string> arguments;
  if (whole) arguments = {"serve", "--data-dir=" + folder_ + "/data", "--ranking.models="};
  arguments.push_back("--server.listen=" + Address(part));
  arguments.push_back("--server.port_file=" + PortFile(part));

  if (whole || part == "embedding") {
    arguments.push_back("--embedding.models=" +
                        absl::StrJoin(models_, ",", absl::PairFormatter("=")));
    arguments.push_back("--embedding.default_model=" + models_.begin()->first);
  }
  if (part == "embedding")
    arguments.push_back("--embedding.cache.dir=" + folder_ + "/data/embedding-cache");

  if (whole || part == "featurestore") {
    // Small, so that kills also fall into flushes and compactions.
    arguments.push_back("--featurestore.write_buffer_bytes=1048576");
  }
  if (part == "featurestore") {
    arguments.push_back("--featurestore.dir=" + folder_ + "/data/store");
    arguments.push_back("--featurestore.embedding=" + Address("embedding"));
  }

  if (whole || part == "retrieval") {
    // Often, so that kills also fall into the writing of a snapshot.
    arguments.push_back("--retrieval.snapshot_interval_ms=300");
  }
  if (part == "retrieval") {
    arguments.push_back("--retrieval.feature_store=" + Address("featurestore"));
    arguments.push_back("--retrieval.snapshot_dir=" + folder_ + "/data/index");
  }

  if (part == "gateway") {
    arguments.push_back("--gateway.feature_store=" + Address("featurestore"));
    arguments.push_back("--gateway.embedding=" + Address("embedding"));
    arguments.push_back("--gateway.retrieval=" + Address("retrieval"));
  }
  return arguments;
}

void Servers::Launch(Layout layout) {
  std::filesystem::create_directories(folder_ + "/data");
  layout_ = layout;
  for (const std::string& part : Parts()) {
    if (processes_.count(part) > 0) continue;
    std::filesystem::remove(PortFile(part));
    const std::string program = part == kWhole ? kWhole : absl::StrCat("palate-", part);
    processes_[part] =
        std::make_unique<Process>(program, Arguments(part), folder_ + "/" + part + ".log");
  }
}

bool Servers::AwaitReady() {
  for (const auto& [part, process] : processes_) {
    const bool started = Eventually([&, &part = part, &process = process] {
      return std::filesystem::exists(PortFile(part)) || !process->running();
    });
    if (started && process->running()) continue;
    ADD_FAILURE() << part << " does not serve:\n" << Log(part);
    return false;
  }
  return true;
}

void Servers::Kill(const std::string& part) {
  Process& process = *processes_.at(part);
  EXPECT_TRUE(process.running()) << part << " ended by itself:\n" << Log(part);
  process.Signal(SIGKILL);
  process.Wait();
  processes_.erase(part);
}

void Servers::KillAll() {
  // All at once first: none sees the end of another.
  for (const auto& [part, process] : processes_) process->Signal(SIGKILL);
  for (const auto& [part, process] : processes_) process->Wait();
  processes_.clear();
}

}  // namespace palate::services
