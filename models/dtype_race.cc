#include "models/dtype_race.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/status.h"
#include "models/dtype.h"

namespace palate::models {
namespace {

// The fastest of several runs is compared: other work on the machine only makes runs slower.
constexpr int kMinRuns = 5, kMaxRuns = 20;
// bf16 loses precision, so it must be faster than measurements vary.
constexpr double kClearlyFaster = 0.9;

Mutex& MemoryMutex() {
  static auto* const mutex = new Mutex;
  return *mutex;
}

std::map<std::string, DtypeRace>& Memory() {
  static auto* const memory = new std::map<std::string, DtypeRace>;
  return *memory;
}

// "model name", as the processor calls itself; empty when unknown.
std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "model name")) return line;
  }
  return "";
}

std::string Content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

// The regular files of the folder and its subfolders, by path.
std::vector<std::filesystem::path> FilesOf(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(folder, error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool HoldsWeights(const std::filesystem::path& path) { return path.extension() == ".safetensors"; }

int64_t SizeOf(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

bool IsPossible(const DtypeRace& race) {
  return std::isfinite(race.fp32_seconds) && std::isfinite(race.bf16_seconds) &&
         race.fp32_seconds > 0 && race.bf16_seconds > 0;
}

// Lines of key, seconds in fp32 and seconds in bf16; the last one of a key counts. Lines of another
// form are skipped: a lost file costs one race.
std::optional<DtypeRace> FindInFile(const std::string& key, const std::string& path) {
  std::optional<DtypeRace> found;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string of;
    DtypeRace race;
    if (fields >> of >> race.fp32_seconds >> race.bf16_seconds && of == key && IsPossible(race))
      found = race;
  }
  return found;
}

}  // namespace

at::ScalarType DtypeRace::winner() const {
  return bf16_seconds < kClearlyFaster * fp32_seconds ? at::kBFloat16 : at::kFloat;
}

std::string DtypeRace::Reason() const {
  return absl::StrFormat("measured: bf16 takes %.2f times as long as fp32",
                         bf16_seconds / fp32_seconds);
}

bool DtypeNeedsRace(absl::string_view dtype, const c10::Device& device) {
  if (dtype != "auto" || !device.is_cpu()) return false;
  const CpuMatrixSupport support = DetectCpuMatrixSupport();
  return support.avx512_bf16 || support.amx_bf16;
}

absl::StatusOr<DtypeRace> RaceDtypes(const RaceRun& fp32, const RaceRun& bf16,
                                     absl::Duration budget) {
  const absl::Time end = absl::Now() + budget;
  // On a busy machine few runs fit into the budget, and those say little.
  const absl::Time last_end = end + 3 * budget;
  PALATE_RETURN_IF_ERROR(fp32());
  PALATE_RETURN_IF_ERROR(bf16());

  constexpr double kNever = std::numeric_limits<double>::infinity();
  DtypeRace race = {kNever, kNever};
  const auto measure = [](const RaceRun& run, double& least) -> absl::Status {
    const absl::Time began = absl::Now();
    PALATE_RETURN_IF_ERROR(run());
    // The clock may not advance during a very short run.
    least = std::min(least, std::max(absl::ToDoubleSeconds(absl::Now() - began), 1e-9));
    return absl::OkStatus();
  };
  for (int i = 0; i < kMaxRuns; ++i) {
    if (i > 0 && absl::Now() >= (i < kMinRuns ? last_end : end)) break;
    PALATE_RETURN_IF_ERROR(measure(fp32, race.fp32_seconds));
    PALATE_RETURN_IF_ERROR(measure(bf16, race.bf16_seconds));
  }
  return race;
}

std::string RaceKey(const std::vector<std::string>& folders) {
  std::string identity = absl::StrCat(ProcessorName(), "\n");
  for (const std::string& folder : folders) {
    for (const std::filesystem::path& file : FilesOf(folder)) {
      if (HoldsWeights(file)) {
        absl::StrAppend(&identity, "weights ", SizeOf(file), "\n");
      } else if (file.filename() == "config.json" || file.filename() == "dual_encoder.json") {
        absl::StrAppend(&identity, Content(file), "\n");
      }
    }
  }
  return absl::BytesToHexString(Sha256(identity).substr(0, 8));
}

int64_t WeightBytes(const std::vector<std::string>& folders) {
  int64_t bytes = 0;
  for (const std::string& folder : folders) {
    for (const std::filesystem::path& file : FilesOf(folder)) {
      if (HoldsWeights(file)) bytes += SizeOf(file);
    }
  }
  return bytes;
}

std::optional<DtypeRace> RememberedRace(const std::string& key, const std::string& file) {
  MutexLock lock(MemoryMutex());
  if (!file.empty()) {
    if (const auto stored = FindInFile(key, file); stored.has_value()) return stored;
  }
  const auto found = Memory().find(key);
  return found == Memory().end() ? std::nullopt : std::optional<DtypeRace>(found->second);
}

absl::Status RememberRace(const std::string& key, const DtypeRace& race, const std::string& file) {
  MutexLock lock(MemoryMutex());
  Memory()[key] = race;
  if (file.empty()) return absl::OkStatus();

  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), ignored);
  std::ofstream out(file, std::ios::app);
  out << absl::StrFormat("%s %.9g %.9g\n", key, race.fp32_seconds, race.bf16_seconds);
  out.flush();
  if (!out) return absl::UnavailableError(absl::StrCat("cannot write ", file));
  return absl::OkStatus();
}

}  // namespace palate::models
