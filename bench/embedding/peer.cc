#include "bench/embedding/peer.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace palate::bench {
namespace {

const std::string kFolder = std::string(PALATE_SOURCE_DIR) + "/bench/embedding";

// A line without its end; empty at the end of the file.
std::string ReadLine(FILE* file) {
  char* line = nullptr;
  size_t capacity = 0;
  const ssize_t size = getline(&line, &capacity, file);
  std::string result = size > 0 ? std::string(line, static_cast<size_t>(size)) : std::string();
  std::free(line);
  return std::string(absl::StripSuffix(result, "\n"));
}

// The interpreter of the peers' environment.
absl::StatusOr<std::string> SetUp() {
  FILE* const output = popen((kFolder + "/setup_peers.sh").c_str(), "r");
  if (output == nullptr) return absl::FailedPreconditionError("cannot run setup_peers.sh");
  const std::string python = ReadLine(output);
  if (pclose(output) != 0 || python.empty())
    return absl::FailedPreconditionError("setup_peers.sh failed");
  return python;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Peer>> Peer::Start(int threads) {
  PALATE_ASSIGN_OR_RETURN(const std::string python, SetUp());
  const std::string script = kFolder + "/peer.py";
  const std::string count = absl::StrCat(threads);

  std::array<int, 2> requests = {};
  std::array<int, 2> answers = {};
  if (pipe(requests.data()) != 0 || pipe(answers.data()) != 0)
    return absl::InternalError("cannot make a pipe");

  std::signal(SIGPIPE, SIG_IGN);  // a write to an ended peer must not end us
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError("cannot start a process");

  if (pid == 0) {
    dup2(requests[0], STDIN_FILENO);
    dup2(answers[1], STDOUT_FILENO);
    for (const int end : {requests[0], requests[1], answers[0], answers[1]}) close(end);
    setenv("PALATE_BENCH_THREADS", count.c_str(), 1);
    setenv("OMP_NUM_THREADS", count.c_str(), 1);
    // The peer downloads nothing, and prints nothing but responses.
    setenv("HF_HUB_OFFLINE", "1", 1);
    setenv("TRANSFORMERS_VERBOSITY", "error", 1);
    execl(python.c_str(), python.c_str(), script.c_str(), nullptr);
    _exit(127);
  }

  close(requests[0]);
  close(answers[1]);
  return std::unique_ptr<Peer>(new Peer(pid, fdopen(requests[1], "w"), fdopen(answers[0], "r")));
}

std::unique_ptr<Peer> Peer::StartOrSayWhy(int threads) {
  absl::StatusOr<std::unique_ptr<Peer>> peer = Start(threads);
  if (peer.ok()) return *std::move(peer);
  std::printf("without peers: %s\n", std::string(peer.status().message()).c_str());
  return nullptr;
}

Peer::~Peer() {
  fclose(requests_);
  fclose(answers_);
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<nlohmann::json> Peer::Call(const std::string& name, nlohmann::json request) {
  request["request"] = name;
  std::fputs((request.dump() + "\n").c_str(), requests_);
  std::fflush(requests_);

  const nlohmann::json answer =
      nlohmann::json::parse(ReadLine(answers_), nullptr, /*allow_exceptions=*/false);

  if (!answer.is_object())
    return absl::InternalError(absl::StrCat("the peer ended during \"", name, "\""));
  if (answer.contains("error")) return absl::InternalError(answer["error"].get<std::string>());
  return answer;
}

absl::StatusOr<double> Peer::Run(const std::string& name, size_t batch) {
  PALATE_ASSIGN_OR_RETURN(const nlohmann::json answer,
                          Call("run", {{"name", name}, {"batch", batch}}));
  return answer.at("seconds").get<double>();
}

}  // namespace palate::bench
