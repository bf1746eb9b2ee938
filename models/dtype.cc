#include "models/dtype.h"

#include <cpuid.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "models/device.h"

namespace palate::models {
namespace {

struct Leaf {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
};

// All zero when the processor lacks the leaf.
Leaf ReadLeaf(uint32_t leaf, uint32_t subleaf) {
  Leaf result;
  if (__get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx) == 0)
    return {};
  return result;
}

constexpr bool Bit(uint64_t word, int bit) { return ((word >> bit) & 1) != 0; }

// The register sets that the operating system saves, and therefore lets programs use.
uint64_t EnabledStates() {
  constexpr int kOsxsave = 27;
  if (!Bit(ReadLeaf(1, 0).ecx, kOsxsave)) return 0;

  uint32_t low = 0;
  uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

}  // namespace

CpuMatrixSupport DetectCpuMatrixSupport() {
  constexpr uint64_t kAvx512States = 0xe6;   // SSE, AVX, opmask, both halves of the ZMM registers
  constexpr uint64_t kTileStates = 0x60000;  // tile configuration and data
  const uint64_t states = EnabledStates();
  const bool avx512 = (states & kAvx512States) == kAvx512States;
  const bool tiles = (states & kTileStates) == kTileStates;

  const Leaf features = ReadLeaf(7, 0);
  const Leaf more = ReadLeaf(7, 1);
  constexpr int kAvx512Bf16 = 5, kAmxFp16 = 21, kAmxBf16 = 22, kAmxTile = 24;

  const bool amx = avx512 && tiles && Bit(features.edx, kAmxTile);
  return {.avx512_bf16 = avx512 && Bit(more.eax, kAvx512Bf16),
          .amx_bf16 = amx && Bit(features.edx, kAmxBf16),
          .amx_fp16 = amx && Bit(more.eax, kAmxFp16)};
}

absl::StatusOr<at::ScalarType> ParseDtype(absl::string_view name, const c10::Device& device) {
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  if (name == "fp16") return at::kHalf;
  if (name != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("compute type ", QuoteForMessage(name), " must be auto, fp32, bf16 or fp16"));
  }

  if (device.is_cuda()) {
    constexpr int kFirstWithBf16 = 8;
    return ComputeCapabilityMajor(device) >= kFirstWithBf16 ? at::kBFloat16 : at::kHalf;
  }

  const CpuMatrixSupport support = DetectCpuMatrixSupport();
  return support.avx512_bf16 || support.amx_bf16 ? at::kBFloat16 : at::kFloat;
}

absl::string_view DtypeName(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "fp32";
    case at::kBFloat16:
      return "bf16";
    case at::kHalf:
      return "fp16";
    default:
      return "";
  }
}

}  // namespace palate::models
