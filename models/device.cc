#include "models/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/status.h"
#include "models/torch_status.h"

namespace palate::models {
namespace {

constexpr char kCudaLibrary[] = "libtorch_cuda.so";
constexpr int kMaxDevices = 64;

// The folder that LibTorch's CPU part was loaded from, with a trailing slash; empty when unknown.
std::string LibTorchFolder() {
  Dl_info info = {};
  if (::dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) == 0 ||
      info.dli_fname == nullptr)
    return "";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

// Loads LibTorch's CUDA part once; it registers itself with the CPU part.
absl::Status OpenCudaPart() {
  static auto* const mutex = new Mutex;
  static auto* const outcome = new std::optional<absl::Status>;
  MutexLock lock(*mutex);
  if (outcome->has_value()) return **outcome;

  // LibTorch's folder first, then the loader's search path. The library stays open because its
  // registered kernels cannot be removed.
  void* library = ::dlopen((LibTorchFolder() + kCudaLibrary).c_str(), RTLD_NOW | RTLD_GLOBAL);
  const char* const beside = library == nullptr ? ::dlerror() : nullptr;
  std::string problem = beside == nullptr ? "" : beside;
  if (library == nullptr) {
    library = ::dlopen(kCudaLibrary, RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
      const char* const elsewhere = ::dlerror();
      absl::StrAppend(&problem, "; ", elsewhere == nullptr ? "" : elsewhere);
    }
  }

  outcome->emplace(library != nullptr
                       ? absl::OkStatus()
                       : absl::FailedPreconditionError(absl::StrCat(
                             "no GPU can be used: cannot load LibTorch's CUDA part: ", problem)));
  return **outcome;
}

absl::StatusOr<int> CountGpus() {
  PALATE_RETURN_IF_ERROR(OpenCudaPart());
  return CatchTorch([]() -> absl::StatusOr<int> {
    if (!at::globalContext().hasCUDA()) {
      return absl::FailedPreconditionError(
          "no GPU can be used: there is no driver or no device, or LibTorch computed before its "
          "CUDA part was loaded");
    }
    return static_cast<int>(at::detail::getCUDAHooks().deviceCount());
  });
}

absl::StatusOr<c10::Device> OpenGpu(int index) {
  PALATE_ASSIGN_OR_RETURN(const int count, CountGpus());
  if (index >= count)
    return absl::FailedPreconditionError(
        absl::StrCat("there is no device cuda:", index, "; this machine has ", count));

  const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));

  // Create a context now, so that an unusable device is reported here.
  PALATE_RETURN_IF_ERROR(
      CatchTorch([&] { at::globalContext().lazyInitDevice(c10::DeviceType::CUDA); }));
  return device;
}

}  // namespace

absl::StatusOr<c10::Device> OpenDevice(absl::string_view name) {
  if (name == "cpu") return c10::Device(c10::DeviceType::CPU);
  if (name == "auto") {
    const absl::StatusOr<int> count = CountGpus();
    if (!count.ok() || *count == 0) return c10::Device(c10::DeviceType::CPU);
    return OpenGpu(0);
  }

  if (name == "cuda") return OpenGpu(0);

  int index = 0;
  absl::string_view number = name;
  if (!absl::ConsumePrefix(&number, "cuda:") || !absl::SimpleAtoi(number, &index) || index < 0 ||
      index >= kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("device ", QuoteForMessage(name), " must be auto, cpu, cuda or cuda:N"));
  }
  return OpenGpu(index);
}

int ComputeCapabilityMajor(const c10::Device& device) {
  if (!device.is_cuda()) return 0;
  // The CUDA runtime was loaded with LibTorch's CUDA part. Linking it would make the binaries
  // depend on it.
  using GetAttribute = int (*)(int* value, int attribute, int device);
  const auto get = reinterpret_cast<GetAttribute>(::dlsym(RTLD_DEFAULT, "cudaDeviceGetAttribute"));

  constexpr int kComputeCapabilityMajor = 75;
  int major = 0;
  if (get == nullptr ||
      get(&major, kComputeCapabilityMajor, device.has_index() ? device.index() : 0) != 0)
    return 0;
  return major;
}

}  // namespace palate::models
