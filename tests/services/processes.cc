#include "tests/services/processes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <png.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "services/runtime/channel.h"
#include "tests/eventually.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

namespace fs = std::filesystem;

std::string BinaryFolder() {
  const char* configured = std::getenv("PALATE_BIN_DIR");
  if (configured != nullptr) return configured;
  return (fs::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path() / "bin")
      .string();
}

}  // namespace

Process::Process(const std::string& program, const std::vector<std::string>& arguments,
                 const std::string& log_path, const std::string& output_path) {
  const std::string path = BinaryFolder() + "/" + program;
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  const int log = ::open(log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  const int output = output_path.empty()
                         ? ::dup(log)
                         : ::open(output_path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);

  pid_ = ::fork();
  if (pid_ != 0) {
    ::close(log);
    ::close(output);
    return;
  }

  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv(path.c_str(), argv.data());
  ::_exit(127);
}

Process::~Process() {
  if (!running()) return;
  Signal(SIGKILL);
  Wait();
}

void Process::Signal(int signal) const { ::kill(pid_, signal); }

bool Process::running() {
  int status = 0;
  if (exit_ < 0 && ::waitpid(pid_, &status, WNOHANG) == pid_)
    exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_ < 0;
}

int Process::Wait() {
  int status = 0;
  if (exit_ < 0 && ::waitpid(pid_, &status, 0) == pid_)
    exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_;
}

Outcome RunToEnd(const std::string& program, const std::vector<std::string>& arguments) {
  TempFolder folder;
  const std::string output = folder.path() + "/output";
  const std::string errors = folder.path() + "/errors";
  Process process(program, arguments, errors, output);

  Outcome outcome;
  outcome.exit = process.Wait();
  outcome.output = ReadFile(output);
  outcome.errors = ReadFile(errors);
  return outcome;
}

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string BuiltinModel(const std::string& name) {
  const char* share = std::getenv("PALATE_SHARE_DIR");
  return (share != nullptr ? std::string(share) : BinaryFolder() + "/../share") + "/models/" + name;
}

bool HasLanguageModel() {
  return fs::exists(fs::path(BinaryFolder()).parent_path() / "share" / "models" / "shopper-lm" /
                    "config.json");
}

Palate::Palate(const std::string& folder) : folder_(folder) {
  for (const char* part : {"embedding", "ranking", "featurestore", "retrieval", "gateway"})
    Start(part);
  channel_ = DialTcp(address("gateway"));
}

std::string Palate::address(const std::string& part) const {
  const auto port = ports_.find(part);
  return absl::StrCat("127.0.0.1:", port == ports_.end() ? 0 : port->second);
}

std::vector<std::string> Palate::Arguments(const std::string& part) const {
  std::vector<std::string> arguments = {"--server.listen=" + address(part),
                                        "--server.port_file=" + folder_ + "/" + part + ".port"};

  if (part == "ranking" && !HasLanguageModel()) arguments.push_back("--ranking.models=");

  if (part == "featurestore") {
    arguments.push_back("--featurestore.dir=" + folder_ + "/store");
    arguments.push_back("--featurestore.embedding=" + address("embedding"));
  }

  if (part == "retrieval") {
    arguments.push_back("--retrieval.feature_store=" + address("featurestore"));
    arguments.push_back("--retrieval.snapshot_dir=" + folder_ + "/index");
  }

  if (part == "gateway") {
    arguments.push_back("--gateway.feature_store=" + address("featurestore"));
    for (const char* other : {"embedding", "retrieval", "ranking"})
      arguments.push_back(absl::StrCat("--gateway.", other, "=", address(other)));
  }
  return arguments;
}

void Palate::Start(const std::string& part) {
  const std::string port_file = folder_ + "/" + part + ".port";
  fs::remove(port_file);
  const std::string log = folder_ + "/" + part + ".log";
  auto process = std::make_unique<Process>("palate-" + part, Arguments(part), log);
  const bool started = Eventually([&] { return fs::exists(port_file) || !process->running(); });
  ASSERT_TRUE(started && process->running()) << part << " does not serve:\n" << ReadFile(log);

  ports_[part] = std::stoi(ReadFile(port_file));
  processes_[part] = std::move(process);
}

void Palate::Kill(const std::string& part) {
  processes_.at(part)->Signal(SIGKILL);
  processes_.at(part)->Wait();
}

std::string MakePng(int width, int height, unsigned char red, unsigned char green,
                    unsigned char blue) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp writer, png_bytep data, png_size_t size) {
        static_cast<std::string*>(png_get_io_ptr(writer))
            ->append(reinterpret_cast<const char*>(data), size);
      },
      nullptr);

  png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);

  std::string row;
  for (int x = 0; x < width; ++x)
    row += {static_cast<char>(red), static_cast<char>(green), static_cast<char>(blue)};
  for (int y = 0; y < height; ++y)
    png_write_row(png, reinterpret_cast<png_const_bytep>(row.data()));

  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

}  // namespace palate::services
